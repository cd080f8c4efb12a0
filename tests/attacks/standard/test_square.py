import pytest
import torch
from authors import NORMS, Recorder, curved, images, problem, recorded, sturdy_images
from pyautoattack.square import SquareAttack
from torch import Tensor, nn

from robustfront.attacks.standard.square import AT_ONCE, square


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def asked_by_authors(model: nn.Module, x: Tensor, y: Tensor, norm: str, eps: float) -> list[Tensor]:
    def authors(network: Recorder) -> None:
        settings = {"norm": NORMS[norm], "eps": eps, "n_queries": 3000, "resc_schedule": False}
        attack = SquareAttack(network, device="cpu", **settings)
        attack.init_hyperparam(x)
        attack.attack_single_run(x, y)

    return recorded(authors, model)


def first_times(queries: list[Tensor]) -> Tensor:
    """Each point of one image's search once, in order."""
    seen = {point.numpy().tobytes(): point for points in queries for point in points}
    return torch.stack(list(seen.values()))


def test_every_query_for_linf_is_that_of_the_authors_and_none_is_repeated(
    in_float64: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AT_ONCE, "cpu", 1)
    model = curved().double()
    x, y = sturdy_images(model, 1)
    expected = asked_by_authors(model, x, y, "linf", 0.005)
    queries = recorded(
        lambda network: square(problem(network, "linf", 0.005), x, y, generator=generator(), queries=3000),
        model,
    )
    assert len(expected) == 3001
    assert len(queries) < 2700
    torch.testing.assert_close(first_times(queries), first_times(expected), rtol=0, atol=1e-9)


def test_trying_candidates_ahead_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = curved().double()
    x, y = images(model, 12)

    def run(network: nn.Module) -> Tensor:
        return square(problem(network, "linf", 0.04), x, y, generator=generator(), queries=600).x_adv

    ahead = run(model)
    batches = len(recorded(run, model))
    monkeypatch.setitem(AT_ONCE, "cpu", 1)
    one_by_one = run(model)
    assert len(recorded(run, model)) > 1.2 * batches
    assert 0 < (ahead != x).flatten(1).any(dim=1).sum() < 12
    torch.testing.assert_close(ahead, one_by_one, rtol=0, atol=1e-12)


def test_every_query_for_l2_is_that_of_the_authors(in_float64: None) -> None:
    model = curved().double()
    x, y = sturdy_images(model, 5)
    expected = asked_by_authors(model, x, y, "l2", 0.05)
    queries = recorded(
        lambda network: square(problem(network, "l2", 0.05), x, y, generator=generator(), queries=3000), model
    )
    assert len(queries) == len(expected) == 3001
    # the budget is the root of eps^2 - |delta|^2, which is 0 but for rounding
    torch.testing.assert_close(torch.stack(queries), torch.stack(expected), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.03), ("l2", 0.3)])
def test_what_falls_is_in_the_ball(norm: str, eps: float) -> None:
    model = curved()
    x, y = images(model, 24)
    outcome = square(problem(model, norm, eps), x, y, generator=generator(), queries=300)
    assert 0 < outcome.fell.sum() < 24
    assert torch.equal(model(outcome.x_adv).argmax(1) != y, outcome.fell)
    delta = (outcome.x_adv - x).flatten(1)
    assert (
        torch.linalg.vector_norm(delta, ord=float("inf") if norm == "linf" else 2, dim=1).max() <= eps + 1e-6
    )
    assert torch.equal(outcome.x_adv[~outcome.fell], x[~outcome.fell])


def test_a_success_of_the_search_alone_is_none() -> None:
    model = curved()
    x, y = images(model, 8)
    exact = problem(model, "linf", 1e-4)
    deceived = type(exact)(model, lambda points: model(points).flip(1), "linf", 1e-4)
    outcome = square(deceived, x, y, generator=generator(), queries=20)
    assert not outcome.fell.any()
