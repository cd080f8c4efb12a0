import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from robustfront import losses
from robustfront.attacks import objectives
from robustfront.errors import ConfigError

LABELS = torch.tensor([0, 3, 1, 2, 2, 0])


def logits(seed: int = 0, scale: float = 2.0) -> Tensor:
    return scale * torch.randn(6, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


OBJECTIVES = {
    "ce": objectives.ce,
    "dlr": objectives.dlr,
    "margin": objectives.margin,
    "kl": objectives.kl_to(logits(1)),
    "lse": objectives.lse_to(logits(1).softmax(1)),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradient_agrees_with_finite_differences(name: str) -> None:
    z = logits().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: OBJECTIVES[name](z, LABELS), z)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_values_are_per_sample(name: str) -> None:
    together = OBJECTIVES[name](logits(), LABELS)
    assert together.shape == (6,)
    if name not in ("kl", "lse"):
        alone = torch.cat([OBJECTIVES[name](z[None], y[None]) for z, y in zip(logits(), LABELS, strict=True)])
        torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("pair", [losses.kl_divergence, losses.squared_distance])
def test_gradient_flows_through_both_predictions_of_a_loss(pair: object) -> None:
    a, b = logits(0).requires_grad_(), logits(1).requires_grad_()
    assert torch.autograd.gradcheck(pair, (a, b))  # type: ignore[arg-type]


def test_losses_agree_with_torch() -> None:
    z, reference = logits(0), logits(1)
    torch.testing.assert_close(losses.cross_entropy(z, LABELS), F.cross_entropy(z, LABELS, reduction="none"))
    kl = F.kl_div(z.log_softmax(1), reference.softmax(1), reduction="none").sum(1)
    torch.testing.assert_close(losses.kl_divergence(reference, z), kl)
    one_hot = F.one_hot(LABELS, 4).double()
    torch.testing.assert_close(losses.squared_error(z, LABELS), (z.softmax(1) - one_hot).square().sum(1))
    distance = (z.softmax(1) - reference.softmax(1)).square().sum(1)
    torch.testing.assert_close(losses.squared_distance(z, reference), distance)


def test_squared_error_has_the_gradient_of_its_formula() -> None:
    assert torch.autograd.gradcheck(lambda z: losses.squared_error(z, LABELS), logits().requires_grad_())


def test_margin_and_dlr_by_hand() -> None:
    z = torch.tensor([[3.0, 1.0, 0.5, -1.0], [3.0, 1.0, 0.5, -1.0]])
    y = torch.tensor([0, 2])
    assert objectives.margin(z, y).tolist() == [-2.0, 2.5]
    assert objectives.dlr(z, y).tolist() == pytest.approx([-2.0 / 2.5, 2.5 / 2.5])


def test_dlr_agrees_with_pyautoattack() -> None:
    from pyautoattack.autopgd_base import APGDAttack

    reference = APGDAttack(None, eps=0.1, device="cpu").dlr_loss(logits(), LABELS)
    torch.testing.assert_close(objectives.dlr(logits(), LABELS), reference)


def test_dlr_refuses_two_classes() -> None:
    with pytest.raises(ConfigError, match=r"dlr.*3 or more classes, not 2"):
        objectives.dlr(torch.zeros(2, 2), torch.zeros(2, dtype=torch.int64))
    assert objectives.dlr(torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([0])).item() == -0.5


@pytest.mark.parametrize("name", OBJECTIVES)
def test_huge_logits_give_finite_values_and_gradients(name: str) -> None:
    z = torch.tensor([[2e4, -2e4, 0.0, 1.0]] * 6, requires_grad=True)
    value = OBJECTIVES[name](z, LABELS)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    assert value.isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_half_precision_logits_are_widened(name: str) -> None:
    z = logits().to(torch.bfloat16)
    value = OBJECTIVES[name](z, LABELS)
    expected = OBJECTIVES[name](z.double(), LABELS)
    assert value.dtype in (torch.float32, torch.float64)  # float64 where the reference prediction is
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)


def test_reference_predictions_take_no_gradient() -> None:
    reference, z = logits(1).requires_grad_(), logits().requires_grad_()
    total = objectives.kl_to(reference)(z, LABELS) + objectives.lse_to(reference.softmax(1))(z, LABELS)
    total.sum().backward()
    assert reference.grad is None
    assert z.grad is not None


@pytest.mark.parametrize("make", [objectives.kl_to, lambda z: objectives.lse_to(z.softmax(1))])
def test_distance_to_the_own_prediction_is_zero_with_zero_gradient(make: object) -> None:
    z = logits().requires_grad_()
    value = make(z)(z, LABELS)  # type: ignore[operator]
    (gradient,) = torch.autograd.grad(value.sum(), z)
    torch.testing.assert_close(value, torch.zeros_like(value))
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))
