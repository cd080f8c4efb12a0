from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from moments import moment
from robustfront.config.schema import Threat
from robustfront.errors import ConfigError
from robustfront.methods import methods
from robustfront.methods.base import Setting
from robustfront.methods.npat import ROUNDING
from robustfront.models import nullspace

GENERATORS = ["pgd", "trades", "score"]
ONE_STEP = {"steps": 1, "step_size": 0.04, "start": "gaussian", "start_std": 0.01}


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def start(method, x: Tensor) -> Tensor:
    return method.ball.start(x, method.params.attack, seeded())


def dense_projector(weight: Tensor) -> Tensor:
    """I - W^T (W W^T)^-1 W, the closed form for a head of full row rank."""
    W = weight.detach()
    return torch.eye(W.shape[1], dtype=W.dtype) - W.T @ torch.linalg.inv(W @ W.T) @ W


def objective_gradient(kind: str, z: Tensor, z_clean: Tensor, y: Tensor) -> Tensor:
    """dL/dz of each generator's objective, (B, C), in closed form."""
    p, reference = z.softmax(1), z_clean.softmax(1)
    if kind == "pgd":
        return p - torch.eye(z.shape[1], dtype=z.dtype)[y]
    if kind == "trades":
        return p - reference
    difference = p - reference
    return 2 * p * (difference - (p * difference).sum(1, keepdim=True))


def explicit_direction(model, x: Tensor, x_clean: Tensor, y: Tensor, kind: str, P: Tensor) -> Tensor:
    """J^T P W^T dL/dz per image, with the Jacobian J = dh/dx, (B, D, C, H, W), written out."""
    model.eval()
    g = objective_gradient(kind, model(x).detach(), model(x_clean).detach(), y) @ model.head.weight.detach()
    image = x.clone().requires_grad_()
    features = model.features(image)
    J = torch.stack([torch.autograd.grad(h.sum(), image, retain_graph=True)[0] for h in features.T], dim=1)
    model.train()
    return torch.einsum("bd,bdchw->bchw", g @ P, J)


@pytest.mark.parametrize("kind", GENERATORS)
def test_step_of_npda_follows_the_projected_gradient(kind, model, batch, make, drift) -> None:
    x, y = batch
    P = dense_projector(model.head.weight)
    method = make("npda", generator=kind, beta=1.0, attack=ONE_STEP)
    drift(0.1)
    direction = explicit_direction(model, start(method, x), x, y, kind, P)
    unprojected = explicit_direction(model, start(method, x), x, y, kind, torch.eye(16).double())
    step = (method.craft(x, y, moment(seeded())) - start(method, x)) / (0.04 * model.std)
    torch.testing.assert_close(step, direction.sign(), rtol=0, atol=1e-9)
    assert (direction.sign() != unprojected.sign()).double().mean() > 0.05, "the projector must matter here"


@pytest.mark.parametrize("kind", GENERATORS)
def test_npgd_attacks_without_a_projector(kind, model, batch, make, drift) -> None:
    x, y = batch
    method = make("npgd", generator=kind, beta=1.0, attack=ONE_STEP)
    drift(0.1)
    direction = explicit_direction(model, start(method, x), x, y, kind, torch.eye(16).double())
    step = (method.craft(x, y, moment(seeded())) - start(method, x)) / (0.04 * model.std)
    torch.testing.assert_close(step, direction.sign(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", GENERATORS)
def test_hold_keeps_the_start_while_the_head_is_that_of_the_projector(
    kind, precision, model, batch, make
) -> None:
    model.to(precision)
    x, y = batch[0].to(precision), batch[1]
    held = make("npda", generator=kind, beta=1.0)
    raw = make("npda", generator=kind, beta=1.0, zero_start="raw")
    assert torch.equal(held.craft(x, y, moment(seeded())), start(held, x))
    moved = (raw.craft(x, y, moment(seeded())) - start(raw, x)).abs()
    assert moved.max() > 0.005, "rounding noise has a sign"


@pytest.mark.parametrize("kind", GENERATORS)
def test_hold_and_raw_agree_once_the_head_has_drifted(kind, model, batch, make, drift) -> None:
    model.float()
    x, y = batch[0].float(), batch[1]
    held = make("npda", generator=kind, beta=1.0)
    raw = make("npda", generator=kind, beta=1.0, zero_start="raw")
    drift(1e-4)
    x_adv = held.craft(x, y, moment(seeded()))
    assert torch.equal(x_adv, raw.craft(x, y, moment(seeded())))
    assert ((x_adv - start(held, x)).flatten(1).abs().amax(dim=1) > 0.005).all()


def test_hold_is_decided_image_by_image(model, make) -> None:
    method = make("npda", generator="pgd", beta=1.0)
    inside, noise = method.null_space.V[:, 0], method.null_space.project(torch.ones(16).double())
    noise = noise / noise.norm()
    g = torch.stack(
        [inside + 2 * ROUNDING * noise, inside + 0.5 * ROUNDING * noise, torch.zeros(16).double()]
    )
    projected = method.feature_gradient(g)
    torch.testing.assert_close(projected[0], 2 * ROUNDING * noise, rtol=1e-6, atol=0)
    assert not projected[1:].any()


@pytest.mark.parametrize(("classes", "features"), [(2, 16), (10, 64), (300, 600)])
def test_rounding_of_a_float32_head_stays_below_the_threshold(classes, features) -> None:
    generator = torch.Generator().manual_seed(classes)
    W = torch.randn(classes, features, generator=generator) / features**0.5
    z = torch.randn(64, features, generator=generator).relu() @ W.T
    gradient = objective_gradient("pgd", z, z, torch.arange(64) % classes) @ W
    projected = nullspace.compute(W, 1e-6).project(gradient)
    assert (projected.norm(dim=1) / gradient.norm(dim=1)).max() < ROUNDING


def test_norm_and_share_are_means_over_images_and_steps_and_start_anew_each_epoch(
    model, batch, make, drift
) -> None:
    x, y = batch
    P = dense_projector(model.head.weight)
    method = make("npda", generator="pgd", beta=1.0)
    norms, shares = [], []

    def logged() -> list[float]:
        found = method.diagnostics(moment())
        return [found["projected_gradient_norm"], found["projected_gradient_share"]]

    def watch(gradient: Tensor) -> Tensor:
        projected = (gradient @ P).norm(dim=1)
        norms.extend(projected.tolist())
        shares.extend((projected / gradient.norm(dim=1)).tolist())
        return inner(gradient)

    assert logged() == [0.0, 0.0]
    drift(0.1)
    inner, method.feature_gradient = method.feature_gradient, watch
    method.craft(x, y, moment(seeded()))
    method.craft(x, y, moment(seeded()))
    assert len(shares) == 2 * 3 * len(x)
    assert logged() == pytest.approx([np.mean(norms), np.mean(shares)], rel=1e-6)
    assert logged() == [0.0, 0.0]
    norms.clear()
    shares.clear()
    drift(0.2)
    method.craft(x, y, moment(seeded()))
    assert logged() == pytest.approx([np.mean(norms), np.mean(shares)], rel=1e-6)


def test_state_carries_the_norm_over_an_interruption(model, batch, make, drift) -> None:
    x, y = batch
    whole, first, second = (make("npda", generator="pgd", beta=1.0) for _ in range(3))
    drift(0.1)
    for method, images in ((whole, x), (whole, x + 0.1), (first, x)):
        method.craft(images, y, moment(seeded()))
    second.load_state({name: value.clone() for name, value in first.state().items()})
    second.craft(x + 0.1, y, moment(seeded()))
    assert second.diagnostics(moment()) == whole.diagnostics(moment())


def test_projected_gradient_leaves_the_logits_of_the_start_alone(model, make, drift) -> None:
    W = model.head.weight.detach().clone()
    method = make("npda", generator="pgd", beta=1.0, zero_start="raw")
    drift(0.1)
    g = torch.randn(8, 16, dtype=torch.float64, generator=seeded())
    projected = method.feature_gradient(g)
    assert (projected @ W.T).abs().max() < 1e-13 * g.norm()
    torch.testing.assert_close(method.feature_gradient(projected), projected, rtol=0, atol=1e-14)


# ------------------------------------------------------------------------------------------- NPGD's step
def run_npgd(weight: Tensor, P: Tensor, after: Callable, *, nesterov: bool) -> list[Tensor]:
    """SGD on a quadratic with momentum and weight decay; `after(old, new)` makes each new weight."""
    generator = torch.Generator().manual_seed(3)
    target, W, v = torch.randn(weight.shape, generator=generator).double(), weight.clone(), 0
    path = []
    for _ in range(200):
        g = (W - target) * torch.rand(W.shape, generator=generator) + 5e-2 * W
        v = 0.9 * v + g
        W = after(W, W - 0.02 * (g + 0.9 * v if nesterov else v))
        path.append(W)
    return path


@pytest.mark.parametrize("nesterov", [False, True])
def test_projecting_the_offset_is_projecting_every_update(nesterov, model, make) -> None:
    method = make("npgd", generator="pgd", beta=1.0)
    start_weight = model.head.weight.detach().clone()
    P = dense_projector(start_weight)

    def ours(old: Tensor, new: Tensor) -> Tensor:
        with torch.no_grad():
            model.head.weight.copy_(new)
        method.after_step(moment())
        return model.head.weight.detach().clone()

    updates = run_npgd(start_weight, P, lambda old, new: old + (new - old) @ P, nesterov=nesterov)
    free = run_npgd(start_weight, P, lambda old, new: new, nesterov=nesterov)
    for step, weight in enumerate(run_npgd(start_weight, P, ours, nesterov=nesterov)):
        torch.testing.assert_close(weight, updates[step], rtol=0, atol=1e-12)
    assert (updates[-1] - free[-1]).abs().max() > 0.1
    assert (updates[-1] - start_weight).abs().max() > 0.1


@pytest.mark.parametrize(("bias", "moves"), [("frozen", False), ("free", True)])
def test_bias_of_the_head_moves_only_if_free(bias, moves, model, make) -> None:
    before = model.head.bias.detach().clone()
    method = make("npgd", generator="pgd", beta=1.0, bias=bias)
    with torch.no_grad():
        model.head.bias.add_(0.5)
    method.after_step(moment())
    assert torch.equal(model.head.bias.detach(), before + 0.5 * moves)


def test_logged_offset_is_what_lies_in_the_row_space(model, make) -> None:
    method = make("npgd", generator="pgd", beta=1.0)
    assert method.diagnostics(moment())["head_offset_in_row_space"] == 0.0
    with torch.no_grad():
        model.head.weight.add_(0.5 * method.null_space.V[:, 1])
    assert method.diagnostics(moment())["head_offset_in_row_space"] == pytest.approx(0.5)
    method.after_step(moment())
    assert method.diagnostics(moment())["head_offset_in_row_space"] < 1e-14


@pytest.mark.parametrize("name", ["npda", "npgd"])
def test_without_a_null_space_the_method_says_what_it_needs(name, model) -> None:
    kind = methods[name].method
    params = {"threat": Threat(eps=0.1), "attack": ONE_STEP, "generator": "pgd", "beta": 1.0}
    with pytest.raises(ConfigError, match="need the null space"):
        kind(kind.Params.model_validate(params), Setting(model=model))
