import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustfront.models import nullspace


@pytest.fixture
def space() -> nullspace.NullSpace:
    generator = torch.Generator().manual_seed(0)
    return nullspace.compute(torch.randn(4, 12, generator=generator), 1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(7, 20), st.integers(0, 2**31), st.floats(1e-3, 1e3))
def test_parts_in_row_and_null_space_obey_pythagoras(classes, dimension, seed, size) -> None:
    generator = torch.Generator().manual_seed(seed)
    found = nullspace.compute(torch.randn(classes, dimension, generator=generator), 1e-6)
    vectors = size * torch.randn(9, dimension, generator=generator)
    row, null = found.norms(vectors)
    torch.testing.assert_close(row**2 + null**2, vectors.double().square().sum(dim=1), rtol=1e-9, atol=0)
    share = found.share(vectors)
    assert share == pytest.approx((null**2).sum().item() / (row**2 + null**2).sum().item(), rel=1e-12)


def test_share_of_known_vectors(space) -> None:
    inside, outside = space.V[:, :2].T, space.project(torch.eye(12).double())[:3]
    assert space.share(inside) == pytest.approx(0.0, abs=1e-24)
    assert space.share(outside) == pytest.approx(1.0)
    unit = outside[:1] / outside[:1].norm()
    assert space.share(3 * unit + 4 * inside[:1]) == pytest.approx(9 / 25)
    assert space.share(torch.zeros(2, 12)) is None


def test_a_random_direction_has_the_share_of_the_dimensions(space) -> None:
    vectors = torch.randn(20000, 12, generator=torch.Generator().manual_seed(1))
    assert space.share(vectors) == pytest.approx(space.dimension / 12, abs=0.01)
