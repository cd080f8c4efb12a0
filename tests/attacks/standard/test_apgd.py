import pytest
import torch
from authors import NORMS, Recorder, curved, images, problem, recorded, sturdy_images
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from torch import Tensor, nn

from robustfront.attacks.standard.apgd import apgd, cross_entropy, random_start, targeted_dlr
from robustfront.evaluation.attacks.apgd import LOSSES


def start(x: Tensor, norm: str, eps: float) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return random_start(problem(nn.Identity(), norm, eps), x, lambda kind: kind(x.shape, generator=generator))


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.004), ("l2", 0.03)])
@pytest.mark.parametrize("named", ["ce", "dlr", "targeted"])
def test_every_iterate_is_that_of_the_authors(in_float64: None, norm: str, eps: float, named: str) -> None:
    model = curved().double()
    x, y = sturdy_images(model, 12)
    targets = model(x).sort(dim=1).indices[:, -3]

    def authors(network: Recorder) -> None:
        if named == "targeted":
            attack = APGDAttack_targeted(network, norm=NORMS[norm], eps=eps, device="cpu")
            attack.y_target = targets
        else:
            attack = APGDAttack(network, norm=NORMS[norm], eps=eps, device="cpu", loss=named)
        attack.init_hyperparam(x)
        _, stands, _, _ = attack.attack_single_run(x, y)
        assert stands.all()  # else the batches would differ

    expected = recorded(authors, model)
    loss = {**LOSSES, "targeted": targeted_dlr}[named]
    begin = start(x, norm, eps)
    queries = recorded(
        lambda network: apgd(problem(network, norm, eps), x, y, targets, loss, start=begin),
        model,
    )
    assert len(queries) == len(expected) == 101
    torch.testing.assert_close(torch.stack(queries), torch.stack(expected), rtol=0, atol=1e-9)


def test_what_falls_is_dropped_and_in_the_ball() -> None:
    model = curved()
    x, y = images(model, 24)
    sizes = []
    outcome = None

    def run(network: Recorder) -> None:
        nonlocal outcome
        outcome = apgd(problem(network, "linf", 0.02), x, y, y, cross_entropy, start=start(x, "linf", 0.02))

    sizes = [len(points) for points in recorded(run, model)]
    assert outcome is not None
    assert torch.equal(model(outcome.x_adv).argmax(1) != y, outcome.fell)
    assert 0 < outcome.fell.sum() < 24
    assert sizes[-1] == 24 - outcome.fell.sum()
    assert (outcome.x_adv - x).abs().amax() <= 0.02 + 1e-6
    assert torch.equal(outcome.x_adv[~outcome.fell], x[~outcome.fell])
