import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from robustfront.errors import ArtefactError, ConfigError
from robustfront.models import nullspace

TOLERANCE = 1e-6
EXACT = {"rtol": 0.0, "atol": 1e-12}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dense(space: nullspace.NullSpace) -> Tensor:
    """P as a matrix."""
    return torch.eye(space.V.shape[0], dtype=torch.float64) - space.V @ space.V.T


def test_axis_aligned_head_keeps_exactly_the_unseen_coordinates() -> None:
    weight = torch.tensor([[2.0, 0, 0, 0, 0], [0, 0, 3.0, 0, 0]])
    space = nullspace.compute(weight, TOLERANCE)
    g = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    torch.testing.assert_close(space.project(g), torch.tensor([0.0, 2.0, 0.0, 4.0, 5.0]))
    assert space.singular_values == (3.0, 2.0)
    assert (space.rank, space.dimension) == (2, 3)


@pytest.mark.parametrize(("classes", "features"), [(10, 512), (2, 3), (1, 7), (4, 4096)])
def test_full_row_rank_agrees_with_the_papers_closed_form(classes: int, features: int) -> None:
    weight = normal(classes, features)
    space = nullspace.compute(weight, TOLERANCE)
    g = normal(3, features, seed=1)
    closed = g - torch.linalg.solve(weight @ weight.T, weight @ g.T).T @ weight
    torch.testing.assert_close(space.project(g), closed, **EXACT)
    assert (space.rank, space.dimension) == (classes, features - classes)


def test_rank_deficient_head_has_a_larger_null_space() -> None:
    weight = normal(10, 3) @ normal(3, 20, seed=1)
    space = nullspace.compute(weight, TOLERANCE)
    assert (space.rank, space.dimension) == (3, 17)
    torch.testing.assert_close(
        dense(space), torch.eye(20).double() - torch.linalg.pinv(weight) @ weight, **EXACT
    )


def test_more_classes_than_features_is_fine_while_rank_deficient() -> None:
    weight = normal(10, 2) @ normal(2, 4, seed=1)
    assert nullspace.compute(weight, TOLERANCE).dimension == 2


@pytest.mark.parametrize(("tolerance", "rank"), [(1e-3, 3), (0.05, 2), (0.5, 1), (1.0, 0)])
def test_tolerance_is_relative_to_the_largest_singular_value_and_strict(tolerance: float, rank: int) -> None:
    weight = torch.diag(torch.tensor([100.0, 10.0, 1.0, 0.0]))
    space = nullspace.compute(weight, tolerance)
    assert space.rank == rank
    assert space.residuals["|WP|"] == pytest.approx([100.0, 10.0, 1.0, 0.0][rank])


def test_zero_head_sees_nothing_so_everything_passes() -> None:
    space = nullspace.compute(torch.zeros(3, 5), TOLERANCE)
    g = normal(4, 5)
    assert (space.rank, space.dimension) == (0, 5)
    assert torch.equal(space.project(g), g)
    assert space.offset_in_row_space(normal(3, 5), torch.zeros(3, 5)) == 0.0


@pytest.mark.parametrize("classes", [5, 10])
def test_head_without_null_space_is_a_config_error(classes: int) -> None:
    with pytest.raises(
        ConfigError, match=rf"{classes} classes on 5 features .* no null space; give it more than"
    ):
        nullspace.compute(normal(classes, 5), TOLERANCE)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weight_that_is_not_finite_is_refused(bad: float) -> None:
    weight = normal(2, 5)
    weight[0, 0] = bad
    with pytest.raises(ArtefactError, match="NaN or infinite"):
        nullspace.compute(weight, TOLERANCE)


@settings(max_examples=40, deadline=None)
@given(
    classes=st.integers(1, 8),
    extra=st.integers(1, 12),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    seed=st.integers(0, 2**31),
)
def test_projector_is_the_orthogonal_one(classes: int, extra: int, scale: float, seed: int) -> None:
    features = classes + extra
    weight = scale * normal(classes, features, seed=seed)
    space = nullspace.compute(weight, TOLERANCE)
    g, h = normal(2, 6, features, seed=seed + 1)
    projected = space.project(g)
    torch.testing.assert_close(weight @ projected.T / scale, torch.zeros(classes, 6).double(), **EXACT)
    torch.testing.assert_close(space.project(projected), projected, **EXACT)
    torch.testing.assert_close((projected * h).sum(), (g * space.project(h)).sum(), **EXACT)
    assert projected.norm() <= g.norm()
    assert space.residuals["|WP|"] <= 1e-13 * scale * features
    assert max(space.residuals["|P^2-P|"], space.residuals["|P-P^T|"]) <= 1e-13


def test_residuals_are_those_of_the_dense_projector() -> None:
    weight = torch.diag(torch.tensor([4.0, 2.0, 0.0])).double()
    space = nullspace.compute(weight, 0.75)
    P = dense(space)
    assert space.residuals["|WP|"] == (weight @ P).abs().max() == 2.0
    assert space.residuals["|P^2-P|"] == pytest.approx((P @ P - P).abs().max().item(), abs=1e-15)
    assert space.residuals["|P-P^T|"] == pytest.approx((P - P.T).abs().max().item(), abs=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_type_and_shape_of_the_gradient_are_kept(dtype: torch.dtype) -> None:
    weight = normal(3, 8)
    space = nullspace.compute(weight.to(dtype), TOLERANCE)
    g = normal(2, 5, 8).to(dtype)
    projected = space.project(g)
    assert (projected.dtype, projected.shape) == (dtype, g.shape)
    assert (weight.to(dtype).double() @ projected.double().mT).abs().max() < 50 * torch.finfo(dtype).eps


def test_autocast_does_not_coarsen_the_projection() -> None:
    weight = normal(10, 64).float()
    space = nullspace.compute(weight, TOLERANCE)
    g = normal(16, 64, seed=1).float()
    with torch.autocast("cpu", torch.bfloat16):
        projected = space.project(g)
    assert torch.equal(projected, space.project(g))
    assert (projected @ weight.T).abs().max() < 1e-5


def test_offset_measures_the_row_space_part_only() -> None:
    weight = normal(3, 10)
    space = nullspace.compute(weight, TOLERANCE)
    inside = space.project(normal(3, 10, seed=1))
    assert space.offset_in_row_space(weight + inside, weight) < 1e-13
    outside = 0.25 * space.V[:, 1] * torch.tensor([[0.0], [1.0], [-2.0]])
    assert space.offset_in_row_space(weight + inside + outside, weight) == pytest.approx(0.5)


def test_offset_takes_a_parameter_in_single_precision() -> None:
    weight = normal(3, 10).float()
    space = nullspace.compute(torch.nn.Parameter(weight), TOLERANCE)
    moved = torch.nn.Parameter(weight + space.project(normal(3, 10, seed=1).float()))
    assert 0 < space.offset_in_row_space(moved, weight) < 1e-6


def test_saved_projector_comes_back_exactly(tmp_path: Path) -> None:
    space = nullspace.compute(normal(4, 9), TOLERANCE)
    space.save(tmp_path / "p")
    back = nullspace.load(tmp_path / "p")
    assert torch.equal(back.V, space.V)
    assert (back.singular_values, back.rank_tolerance, back.residuals) == (
        space.singular_values,
        TOLERANCE,
        space.residuals,
    )
    facts = json.loads((tmp_path / "p" / "projector.json").read_text())
    assert (facts["features"], facts["rank"], facts["null_space_dimension"]) == (9, 4, 5)
    assert facts["residuals"].keys() == {"|WP|", "|P^2-P|", "|P-P^T|"}


def test_saving_twice_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        nullspace.compute(normal(4, 9), TOLERANCE).save(tmp_path / name)
    for file in ("projector.json", "projector.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("file", ["projector.json", "projector.safetensors"])
def test_damaged_or_missing_projector_names_the_file(tmp_path: Path, file: str) -> None:
    nullspace.compute(normal(4, 9), TOLERANCE).save(tmp_path)
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ArtefactError, match=rf"{file}: damaged .*; delete it"):
        nullspace.load(tmp_path)
    path.unlink()
    with pytest.raises(ArtefactError, match=rf"{file}: missing; run"):
        nullspace.load(tmp_path)


def test_files_of_two_projectors_are_not_mixed(tmp_path: Path) -> None:
    nullspace.compute(normal(4, 9), TOLERANCE).save(tmp_path / "a")
    nullspace.compute(normal(3, 9), TOLERANCE).save(tmp_path / "b")
    (tmp_path / "a" / "projector.json").replace(tmp_path / "b" / "projector.json")
    with pytest.raises(ArtefactError, match=r"not a projector \(V does not fit"):
        nullspace.load(tmp_path / "b")


def test_moving_to_a_device_moves_the_basis() -> None:
    space = nullspace.compute(normal(4, 9), TOLERANCE)
    moved = space.to("meta")
    assert moved.V.device.type == "meta"
    assert moved.project(torch.empty(2, 9, device="meta")).shape == (2, 9)
    assert space.V.device.type == "cpu"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_projection_on_the_gpu_ignores_tf32() -> None:
    weight = normal(10, 512).float()
    space = nullspace.compute(weight.cuda(), TOLERANCE).to("cuda")
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        projected = space.project(normal(64, 512, seed=1).float().cuda())
    finally:
        torch.set_float32_matmul_precision(before)
    assert (projected.double() @ weight.double().cuda().T).abs().max() < 1e-5
