import pytest
import torch
from authors import NORMS, Recorder, curved, images, problem, recorded, sturdy_images
from pyautoattack.fab_projections import projection_l2, projection_linf
from pyautoattack.fab_pt import FABAttack_PT
from torch import Tensor

from robustfront.attacks.standard.fab import fab, nearby, to_plane


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("reach", [0.01, 0.3, 30.0])
def test_projection_is_that_of_the_authors(norm: str, reach: float) -> None:
    generator = torch.Generator().manual_seed(0)
    point = torch.rand(64, 50, generator=generator, dtype=torch.float64)
    point[:, ::7] = point[:, ::7].round()  # black and white pixels
    slope = torch.randn(64, 50, generator=generator, dtype=torch.float64)
    slope[:, ::5] = 0
    height = reach * torch.randn(64, generator=generator, dtype=torch.float64)
    theirs = {"linf": projection_linf, "l2": projection_l2}[norm]
    expected = theirs(point, slope.clone(), (slope * point).sum(1) - height)
    reached = to_plane(norm, point, slope, height)
    torch.testing.assert_close(reached, expected.double(), rtol=0, atol=1e-6 if reach > 1 else 1e-9)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_projection_meets_the_plane_or_the_corner(norm: str) -> None:
    point = torch.tensor([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])
    slope = torch.tensor([[1.0, -1.0], [1.0, -1.0], [0.0, 0.0]])
    height = torch.tensor([0.4, -9.0, 1.0])
    expected = torch.tensor([[-0.2, 0.2], [0.5, -0.5], [0.0, 0.0]])
    torch.testing.assert_close(to_plane(norm, point, slope, height), expected)


@pytest.mark.parametrize("targeted", [True, False])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_iterate_is_that_of_the_authors(in_float64: None, norm: str, targeted: bool) -> None:
    model = curved().double()
    x, y = sturdy_images(model, 6)

    def authors(network: Recorder) -> None:
        attack = FABAttack_PT(network, norm=NORMS[norm], eps=1e-4, device="cpu", targeted=targeted)
        attack.target_class = 2
        with torch.no_grad():
            attack.attack_single_run(x, y, is_targeted=targeted)

    clean = 2 if targeted else 1  # queries at first, of the clean images
    expected = recorded(authors, model)[clean:]
    targets = model(x).sort(dim=1).indices[:, -2] if targeted else None
    queries = recorded(lambda network: fab(problem(network, norm, 1e-4), x, y, targets), model)
    assert len(queries) == len(expected) == 200
    torch.testing.assert_close(torch.stack(queries), torch.stack(expected), rtol=0, atol=1e-9)


def test_the_first_point_within_eps_is_taken() -> None:
    model = curved()
    x, y = images(model, 24)
    targets = model(x).sort(dim=1).indices[:, -2]
    outcome = fab(problem(model, "linf", 0.02), x, y, targets)
    assert 0 < outcome.fell.sum() < 24
    assert torch.equal(model(outcome.x_adv).argmax(1) != y, outcome.fell)
    assert (outcome.x_adv - x).abs().amax() <= 0.02 + 1e-6


def test_a_success_of_the_search_alone_is_none() -> None:
    model = curved()
    x, y = images(model, 8)

    def always_wrong(points: Tensor) -> Tensor:
        return model(points).flip(1) + 0 * points.sum()

    deceived = problem(model, "linf", 1e-4)
    deceived = type(deceived)(model, always_wrong, "linf", 1e-4)
    outcome = fab(deceived, x, y, (y + 1) % 6, steps=5)
    assert not outcome.fell.any()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_further_restart_is_that_of_the_authors(in_float64: None, norm: str) -> None:
    model = curved().double()
    x, y = sturdy_images(model, 6)

    def authors(network: Recorder) -> None:
        attack = FABAttack_PT(network, norm=NORMS[norm], eps=0.01, n_iter=20, device="cpu")
        with torch.no_grad():
            attack.attack_single_run(x, y, use_rand_start=True)

    def ours(network: Recorder) -> None:
        there = problem(network, norm, 0.01)
        fab(there, x, y, steps=20, start=nearby(there, x, lambda kind: kind(x.shape)))

    expected = recorded(authors, model)[1:]
    queries = recorded(ours, model)
    assert (queries[0] - x).abs().max() > 1e-3
    for found, known in zip(queries[:10], expected[:10], strict=True):
        torch.testing.assert_close(found, known, rtol=0, atol=1e-9)
