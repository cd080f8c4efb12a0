import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from moments import moment

ALL = [
    ("standard", {"loss": "ce"}),
    ("standard", {"loss": "lse"}),
    ("pgd_at", {}),
    ("trades", {"beta": 1.5}),
    ("trades", {"beta": 0.01}),
    ("score", {"beta": 3.0}),
    ("score", {"beta": 3.0, "label_smoothing": 0.2, "clip": 0.6, "clipped": "sum"}),
    ("score", {"beta": 3.0, "clip": 0.1, "clipped": "distance"}),
    ("score", {"mode": "pgd", "label_smoothing": 0.1, "clip": 0.7}),
    *(
        (name, {"generator": generator, "beta": 1.5})
        for name in ("npda", "npgd")
        for generator in ("pgd", "trades", "score")
    ),
]


def label(case):
    return "-".join([case[0], *(f"{value}" for value in case[1].values())])


def sees_clean_images(name: str, params: dict) -> bool:
    return name != "pgd_at" and params.get("mode") != "pgd"


each_method = pytest.mark.parametrize(("name", "params"), ALL, ids=map(label, ALL))


def reference(name: str, params: dict, clean: np.ndarray, adversarial: np.ndarray, y: np.ndarray) -> dict:
    """The parts of the loss as the papers write them, in numpy."""
    one_hot = np.eye(clean.shape[1])[y]
    p, q = softmax(clean, axis=1), softmax(adversarial, axis=1)
    clean_ce = -(one_hot * log_softmax(clean, axis=1)).sum(1).mean()
    if name == "standard":
        brier = ((p - one_hot) ** 2).sum(1).mean()
        return {"clean_loss": clean_ce if params["loss"] == "ce" else brier}
    if name == "pgd_at":
        return {"adversarial_loss": -(one_hot * log_softmax(adversarial, axis=1)).sum(1).mean()}
    if name == "score":
        classes, clip = p.shape[1], params.get("clip", 0)
        smoothing = params.get("label_smoothing", 0)
        target = np.where(one_hot == 1, 1 - smoothing, smoothing / (classes - 1))
        given = np.where(one_hot == 1, 1 - clip, clip / (classes - 1))
        bound = ((given - one_hot) ** 2).sum(1)  # the same for every label
        error, distance = ((p - target) ** 2).sum(1), ((q - p) ** 2).sum(1)
        if params.get("mode") == "pgd":
            attacked = ((q - target) ** 2).sum(1)
            return {"adversarial_loss": np.maximum(attacked - bound, 0).mean()}
        if params.get("clipped") == "sum":
            return {"clipped_loss": np.maximum(error + params["beta"] * distance - bound, 0).mean()}
        if params.get("clipped") == "distance":
            distance = np.maximum(distance - bound, 0)
        return {"clean_loss": error.mean(), "adversarial_loss": params["beta"] * distance.mean()}
    return {"clean_loss": clean_ce, "adversarial_loss": params["beta"] * rel_entr(p, q).sum(1).mean()}


def another(x: Tensor) -> Tensor:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(9), dtype=x.dtype)
    return x + 0.05 * noise


@each_method
def test_losses_are_those_of_the_papers(name, params, model, batch, make) -> None:
    x, y = batch
    x_adv = None if name == "standard" else another(x)
    losses = make(name, **params).losses(x, x_adv, y, moment())
    with torch.no_grad():
        clean, adversarial = model(x).numpy(), model(another(x)).numpy()
    expected = reference(name, params, clean, adversarial, y.numpy())
    assert losses.parts.keys() == expected.keys()
    for part, value in expected.items():
        assert losses.parts[part].item() == pytest.approx(value, rel=1e-12)
    assert losses.total.item() == pytest.approx(sum(expected.values()), rel=1e-12)
    for logits, known in ((losses.clean_logits, clean), (losses.adversarial_logits, adversarial)):
        if logits is not None:
            np.testing.assert_allclose(logits.detach().numpy(), known, rtol=1e-12)
    assert (losses.clean_logits is not None) == sees_clean_images(name, params)
    assert (losses.adversarial_logits is not None) == (name != "standard")


@each_method
def test_gradient_of_the_weights_is_that_of_finite_differences(name, params, model, batch, make) -> None:
    x, y = batch
    x_adv = None if name == "standard" else another(x)
    method = make(name, **params)
    method.combine(method.losses(x, x_adv, y, moment()), moment())
    step = 1e-6
    for parameter in (model.stem.weight, model.stages[3][0].norm2.bias, model.head.weight, model.head.bias):
        direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)).double()
        totals = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.add_(sign * step * direction)
                totals.append(method.losses(x, x_adv, y, moment()).total.item())
                parameter.sub_(sign * step * direction)
        slope = (totals[0] - totals[1]) / (2 * step)
        assert parameter.grad is not None
        assert (parameter.grad * direction).sum().item() == pytest.approx(slope, rel=1e-5, abs=1e-9)


WITH_BETA = [case for case in ALL if "beta" in case[1] and case[1].get("clipped") != "sum"]


@pytest.mark.parametrize(("name", "params"), WITH_BETA, ids=map(label, WITH_BETA))
def test_the_adversarial_term_reaches_the_clean_image_too(name, params, batch, make) -> None:
    x, y = batch
    x, x_adv = x.clone().requires_grad_(), another(x).requires_grad_()
    method = make(name, **params)
    gradients = torch.autograd.grad(
        method.losses(x, x_adv, y, moment()).parts["adversarial_loss"], (x, x_adv)
    )
    step = 1e-6
    for image, gradient in zip((x, x_adv), gradients, strict=True):
        direction = torch.randn(image.shape, generator=torch.Generator().manual_seed(3)).double()
        values = []
        for sign in (1, -1):
            moved = (image + sign * step * direction).detach()
            views = (moved, x_adv) if image is x else (x, moved)
            values.append(method.losses(*views, y, moment()).parts["adversarial_loss"].item())
        slope = (values[0] - values[1]) / (2 * step)
        assert abs(slope) > 1e-9
        assert (gradient * direction).sum().item() == pytest.approx(slope, rel=1e-5)


# Passes of the network in one step: the attack's, the clean reference of its objective, and the outer loss's.
FORWARDS = {"standard": (0, 0, 1), "pgd_at": (3, 0, 1), "trades": (3, 1, 2), "score": (3, 1, 2)}


@each_method
def test_no_pass_is_made_twice(name, params, model, batch, make) -> None:
    x, y = batch
    method = make(name, **params)
    seen: list[tuple[int, bool]] = []
    model.stem.register_forward_hook(lambda *_: seen.append((len(x), model.training)))
    generator = torch.Generator().manual_seed(0)
    x_adv = method.craft(x, y, moment(generator))
    if name in ("npda", "npgd"):
        attack, references, outer = *FORWARDS["pgd_at" if params["generator"] == "pgd" else "trades"][:2], 2
    else:
        attack, references, outer = FORWARDS[name if sees_clean_images(name, params) else "pgd_at"]
    assert [training for _, training in seen] == [False] * (attack + references)
    assert model.training
    method.losses(x, x_adv, y, moment())
    assert [training for _, training in seen[attack + references :]] == [True] * outer
    assert (x_adv is None) == (name == "standard")


class Convolutions(TorchDispatchMode):
    """Counts multiply-adds of convolutions: forward, and backward to input and weight where asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.work = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution.default:
            self.work += result.numel() * args[1][0].numel()
        elif func is torch.ops.aten.convolution_backward.default:
            self.work += sum(args[-1][:2]) * args[0].numel() * args[2][0].numel()
        return result


@each_method
def test_units_are_the_arithmetic_that_is_done(name, params, model, batch, make) -> None:
    x, y = batch
    method = make(name, **params)
    with Convolutions() as forward, torch.no_grad():
        model(x)
    with Convolutions() as stem, torch.no_grad():
        model.stem(x)
    with Convolutions() as crafting:
        x_adv = method.craft(x, y, moment(torch.Generator().manual_seed(0)))
    with Convolutions() as outer:
        losses = method.losses(x, x_adv, y, moment())
        method.combine(losses, moment())
    views = (losses.clean_logits is not None) + (losses.adversarial_logits is not None)
    assert crafting.work == (method.units(method.params) - 3 * views) * forward.work
    # the outer backward pass has no business with the gradient of the images
    assert outer.work == views * (3 * forward.work - stem.work)


@each_method
def test_an_attack_leaves_weights_and_gradients_alone(name, params, model, batch, make) -> None:
    x, y = batch
    method = make(name, **params)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x_adv = method.craft(x, y, moment(torch.Generator().manual_seed(0)))
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert x_adv is None or not x_adv.requires_grad


def test_attack_in_train_mode_moves_running_statistics_and_eval_mode_does_not(model, batch, make) -> None:
    x, y = batch
    for mode, moves in (("eval", False), ("train", True)):
        before = model.norm.running_mean.clone()
        make("trades", beta=1.0, attack_mode=mode).craft(x, y, moment(torch.Generator().manual_seed(0)))
        assert bool((model.norm.running_mean != before).any()) == moves
        assert model.training


def test_reference_of_the_score_generator_is_float32_under_autocast(model, batch, make) -> None:
    model.float()
    x, y = batch[0].float(), batch[1]
    method = make("score", beta=1.0, attack={"steps": 1, "step_size": 0.04, "start": "none"})
    with torch.autocast("cpu", torch.bfloat16):
        x_adv = method.craft(x, y, moment(torch.Generator().manual_seed(0)))
    assert torch.equal(x_adv, x), "the distance from itself has no gradient, unless the reference was rounded"


@pytest.mark.parametrize("name", ["trades", "score"])
@pytest.mark.parametrize(("start", "exact"), [("gaussian", True), ("uniform", False)])
def test_first_step_from_a_near_start_is_float32_under_autocast(
    name, start, exact, model, batch, make
) -> None:
    model.float()
    x, y = batch[0].float(), batch[1]
    x = torch.cat([x, 1 - x, x.flip(3), 1 - x.flip(3)])
    y = y.repeat(4)
    method = make(name, beta=1.0, attack={"steps": 1, "step_size": 0.01, "start": start})
    expected = method.craft(x, y, moment(torch.Generator().manual_seed(0)))
    with torch.autocast("cpu", torch.bfloat16):
        found = method.craft(x, y, moment(torch.Generator().manual_seed(0)))
    assert torch.equal(found, expected) == exact
