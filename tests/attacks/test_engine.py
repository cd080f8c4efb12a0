import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from robustfront import attacks, losses
from robustfront.attacks import Ball, frozen, input_gradient, iterates, objectives, pgd, until_fallen
from robustfront.attacks.draws import ByPosition, PartGenerator
from robustfront.config.schema import Ascent, Threat
from robustfront.errors import ConfigError
from toy_models import Convolutional, random_images, random_linear

SHAPE = (3, 5, 4)


def ascent(steps: int = 5, step_size: float = 0.02, start: str = "uniform", restarts: int = 1) -> Ascent:
    return Ascent.model_validate(
        {"steps": steps, "step_size": step_size, "start": start, "restarts": restarts}
    )


def ball_of(model: nn.Module, norm: str = "linf", space: str = "pixel", eps: float = 0.05) -> Ball:
    threat = Threat.model_validate({"norm": norm, "eps": eps, "space": space})
    return Ball.of(threat, model.mean, model.std)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def convolutional() -> Convolutional:
    torch.manual_seed(0)
    return Convolutional().eval()


def labelled(n: int, shape: tuple[int, int, int] = SHAPE, classes: int = 4) -> tuple[Tensor, Tensor]:
    return random_images(n, shape), torch.arange(n) % classes


@pytest.mark.parametrize("space", ["pixel", "normalised"])
@pytest.mark.parametrize("objective", [objectives.ce, objectives.margin])
@pytest.mark.parametrize(("n", "shape"), [(1, (1, 2, 2)), (7, (3, 5, 4)), (16, (2, 8, 8))])
def test_linf_attack_reaches_the_worst_case_of_a_linear_model(
    space: str, objective: objectives.Objective, n: int, shape: tuple[int, int, int]
) -> None:
    model = random_linear(2, shape)
    x, y = labelled(n, shape, classes=2)
    ball = ball_of(model, "linf", space, eps=0.3)
    x_adv = pgd(model, x, y, ball, ascent(12, 0.06), objective=objective, generator=generator())
    found = objectives.margin(model(x_adv), y)
    torch.testing.assert_close(found, model.worst_margin(x, y, 0.3 * ball.scale), rtol=0, atol=1e-5)


@pytest.mark.parametrize("space", ["pixel", "normalised"])
@pytest.mark.parametrize("objective", [objectives.ce, objectives.margin])
@pytest.mark.parametrize(("n", "shape"), [(1, (1, 2, 2)), (7, (3, 5, 4)), (16, (2, 8, 8))])
@pytest.mark.parametrize("start", ["none", "uniform"])
def test_l2_attack_reaches_the_worst_case_of_a_linear_model(
    space: str, objective: objectives.Objective, n: int, shape: tuple[int, int, int], start: str
) -> None:
    model = random_linear(2, shape)
    x, y = labelled(n, shape, classes=2)
    x = 0.4 + 0.2 * x  # so far from the box that it is never met
    ball = ball_of(model, "l2", space, eps=0.2)
    x_adv = pgd(model, x, y, ball, ascent(60, 0.05, start), objective=objective, generator=generator())
    slope = (model.head.weight[1] - model.head.weight[0]).unflatten(0, shape) / model.std
    worst = objectives.margin(model(x), y) + 0.2 * (slope * ball.scale).norm()
    torch.testing.assert_close(objectives.margin(model(x_adv), y), worst, rtol=0, atol=1e-4)


@pytest.mark.parametrize("clip_start", [False, True])
def test_it_is_the_inner_loop_of_trades_as_published(convolutional: Convolutional, clip_start: bool) -> None:
    """Zhang et al. 2019: noise is added, and the box is met after each step, not before the first one."""
    model, (x, y) = convolutional.double(), labelled(6)
    x, eps, step = x.double().round(), 0.05, 0.02  # on the edge of the box
    settings = ascent(4, step, "gaussian").model_copy(update={"clip_start": clip_start})
    found = pgd(
        model, x, y, ball_of(model, eps=eps), settings, objective=objectives.kl_to(model(x).detach()),
        generator=generator(3),
    )  # fmt: skip
    x_adv = x + 0.001 * torch.randn(x.shape, generator=generator(3), dtype=x.dtype)
    x_adv = x_adv.clamp(0, 1) if clip_start else x_adv
    clean = model(x).softmax(dim=1).detach()
    for _ in range(settings.steps):
        x_adv = x_adv.detach().requires_grad_()
        divergence = nn.functional.kl_div(model(x_adv).log_softmax(dim=1), clean, reduction="sum")
        (gradient,) = torch.autograd.grad(divergence, x_adv)
        x_adv = torch.min(torch.max(x_adv + step * gradient.sign(), x - eps), x + eps).clamp(0, 1)
    torch.testing.assert_close(found, x_adv.detach(), rtol=0, atol=1e-12)


def test_one_step_without_start_is_fgsm(convolutional: Convolutional) -> None:
    x, y = labelled(6)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        nn.functional.cross_entropy(convolutional(leaf), y, reduction="sum"), leaf
    )
    x_adv = pgd(convolutional, x, y, ball_of(convolutional, eps=0.1), ascent(1, 0.1, "none"))
    torch.testing.assert_close(x_adv, (x + 0.1 * gradient.sign()).clamp(0, 1))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_iterates_agree_with_a_loop_written_out(convolutional: Convolutional, norm: str) -> None:
    model = convolutional.double()
    x, y = labelled(5)
    x = x.double()
    std, eps, step = model.std, 0.3, 0.1
    x_adv = x
    for _ in range(4):
        leaf = x_adv.detach().requires_grad_()
        objectives.ce(model(leaf), y).sum().backward()
        assert leaf.grad is not None
        if norm == "linf":
            z = (x_adv - x) / std + step * leaf.grad.sign()
            z = z.clamp(-eps, eps)
        else:
            g = leaf.grad * std
            z = (x_adv - x) / std + step * g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            z = z * (eps / z.flatten(1).norm(dim=1)).clamp(max=1).view(-1, 1, 1, 1)
        x_adv = (x + std * z).clamp(0, 1)
    ball = ball_of(model, norm, "normalised", eps)
    torch.testing.assert_close(pgd(model, x, y, ball, ascent(4, step, "none")), x_adv, rtol=0, atol=1e-10)


def projector(dimension: int, rank: int) -> Tensor:
    basis, _ = torch.linalg.qr(torch.randn(dimension, rank, generator=generator(9), dtype=torch.float64))
    return torch.eye(dimension, dtype=torch.float64) - basis @ basis.T


def test_feature_gradient_acts_between_head_and_features(convolutional: Convolutional) -> None:
    model, p = convolutional.double(), projector(8, 4)
    x, y = labelled(5)
    x = x.double().requires_grad_()
    features = model.features(x)
    (at_features,) = torch.autograd.grad(
        objectives.ce(model.head(features), y).sum(), features, retain_graph=True
    )
    (expected,) = torch.autograd.grad(features, x, at_features @ p)
    found = input_gradient(model, x, y, objectives.ce, lambda g: g @ p)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
    assert (found - input_gradient(model, x, y)).abs().max() > 1e-4


def test_gradient_projected_to_zero_leaves_the_start(convolutional: Convolutional) -> None:
    x, y = labelled(5)
    for norm in ("linf", "l2"):
        ball = ball_of(convolutional, norm)
        x_adv = pgd(convolutional, x, y, ball, ascent(start="none"), feature_gradient=torch.zeros_like)
        torch.testing.assert_close(x_adv, x)


def test_feature_gradient_is_float32_under_autocast(convolutional: Convolutional) -> None:
    x, y = labelled(5)
    seen: list[Tensor] = []

    def record(gradient: Tensor) -> Tensor:
        seen.append(gradient)
        return gradient

    with torch.autocast("cpu", dtype=torch.bfloat16):
        x_adv = pgd(convolutional, x, y, ball_of(convolutional), ascent(2), feature_gradient=record)
        plain = pgd(convolutional, x, y, ball_of(convolutional), ascent(2))
    assert [g.dtype for g in seen] == [torch.float32] * 2
    assert x_adv.dtype == plain.dtype == torch.float32
    row_space = convolutional.head.weight.detach()
    residual = seen[0] - seen[0] @ torch.linalg.pinv(row_space) @ row_space
    assert residual.abs().max() < 1e-6 * seen[0].abs().max()


def test_weights_get_no_gradient_and_stay_trainable(convolutional: Convolutional) -> None:
    convolutional.head.bias.requires_grad_(False)
    convolutional.head.weight.grad = torch.ones_like(convolutional.head.weight)
    before = {name: p.requires_grad for name, p in convolutional.named_parameters()}
    pgd(convolutional, *labelled(4), ball_of(convolutional), ascent(restarts=2))
    assert {name: p.requires_grad for name, p in convolutional.named_parameters()} == before
    assert convolutional.body[0].weight.grad is None
    assert torch.equal(convolutional.head.weight.grad, torch.ones_like(convolutional.head.weight))


def test_weights_are_thawed_when_an_attack_fails(convolutional: Convolutional) -> None:
    def broken(logits: Tensor, labels: Tensor) -> Tensor:
        assert not any(p.requires_grad for p in convolutional.parameters())
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        pgd(convolutional, *labelled(4), ball_of(convolutional), ascent(), objective=broken)
    assert all(p.requires_grad for p in convolutional.parameters())


def test_a_graph_built_before_the_attack_still_reaches_the_weights(convolutional: Convolutional) -> None:
    x, y = labelled(4)
    loss = losses.cross_entropy(convolutional(x), y).mean()
    (expected,) = torch.autograd.grad(loss, convolutional.head.weight, retain_graph=True)
    pgd(convolutional, x, y, ball_of(convolutional), ascent())
    loss.backward()
    torch.testing.assert_close(convolutional.head.weight.grad, expected)


def test_frozen_parameters_need_no_gradient_inside(convolutional: Convolutional) -> None:
    with frozen(convolutional):
        assert not convolutional(labelled(2)[0]).requires_grad
    assert convolutional(labelled(2)[0]).requires_grad


def test_modes_are_left_alone(convolutional: Convolutional) -> None:
    convolutional.train()
    convolutional.body[1].eval()
    before = [module.training for module in convolutional.modules()]
    pgd(convolutional, *labelled(4), ball_of(convolutional), ascent())
    assert [module.training for module in convolutional.modules()] == before


def test_works_where_gradients_are_off(convolutional: Convolutional) -> None:
    x, y = labelled(4)
    expected = pgd(convolutional, x, y, ball_of(convolutional), ascent(), generator=generator())
    with torch.no_grad():
        found = pgd(convolutional, x, y, ball_of(convolutional), ascent(), generator=generator())
    assert torch.equal(found, expected)
    assert not found.requires_grad


def test_the_generator_alone_decides(convolutional: Convolutional) -> None:
    x, y = labelled(4)
    ball = ball_of(convolutional)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = pgd(convolutional, x, y, ball, ascent(), generator=generator(3))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(pgd(convolutional, x, y, ball, ascent(), generator=generator(3)), first)
    assert not torch.equal(pgd(convolutional, x, y, ball, ascent(1), generator=generator(4)), first)


def test_results_of_an_image_do_not_depend_on_its_batch(convolutional: Convolutional) -> None:
    x, y = labelled(6)
    ball = ball_of(convolutional.double())
    x = x.double()
    together = pgd(convolutional, x, y, ball, ascent(start="none"))
    alone = pgd(convolutional, x[4:5], y[4:5], ball, ascent(start="none"))
    torch.testing.assert_close(together[4:5], alone, rtol=0, atol=1e-10)


def test_restarts_keep_the_worst_of_each_image(convolutional: Convolutional) -> None:
    model = convolutional
    x, y = labelled(40)
    ball, shared = ball_of(model, eps=0.2), generator(1)
    runs = [
        pgd(model, x, y, ball, ascent(1, 0.01), objective=objectives.ce, generator=shared) for _ in range(3)
    ]
    with torch.no_grad():
        wrong = torch.stack([model(run).argmax(1) != y for run in runs])
        value = torch.stack([objectives.ce(model(run), y) for run in runs])
    chosen = (1000.0 * wrong + value).argmax(dim=0)
    expected = torch.stack(runs)[chosen, torch.arange(40)]
    found = pgd(model, x, y, ball, ascent(1, 0.01, restarts=3), generator=generator(1))
    assert torch.equal(found, expected)
    assert len(chosen.unique()) == 3


def test_restarts_prefer_a_wrong_prediction_to_a_larger_objective() -> None:
    model = random_linear(2, (1, 2, 2))
    x, y = labelled(200, (1, 2, 2), classes=2)
    ball = ball_of(model, eps=0.3)

    def contrary(logits: Tensor, labels: Tensor) -> Tensor:
        return -objectives.margin(logits, labels)  # largest where the prediction is right

    x_adv = pgd(model, x, y, ball, ascent(1, 1e-9, restarts=20), objective=contrary, generator=generator())
    fell = model(x_adv).argmax(1) != y
    once = pgd(model, x, y, ball, ascent(1, 1e-9), objective=contrary, generator=generator())
    assert fell.sum() > (model(once).argmax(1) != y).sum()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("objective", [objectives.ce, objectives.margin])
def test_images_that_fell_are_left_out_of_further_restarts(
    norm: str, objective: objectives.Objective
) -> None:
    model, (x, y) = random_linear(4, SHAPE, norm=2.0).double(), labelled(60)
    x = x.double()
    y[5:] = model(x[5:]).argmax(1)
    ball, settings = ball_of(model, norm, eps=0.06 if norm == "linf" else 0.3), ascent(1, 0.001, restarts=5)
    shared = ByPosition(3, torch.arange(60))
    runs = torch.stack(
        [pgd(model, x, y, ball, ascent(1, 0.001), objective=objective, generator=shared) for _ in range(5)]
    )
    with torch.no_grad():
        fell = torch.stack([model(run).argmax(1) != y for run in runs])
        value = torch.stack([objective(model(run), y) for run in runs])
    chosen = torch.where(fell.any(0), fell.int().argmax(0), value.argmax(0))
    seen: list[int] = []
    handle = model.head.register_forward_hook(lambda _, inputs, output: seen.append(len(output)))
    found = until_fallen(model, x, y, ball, settings, ByPosition(3, torch.arange(60)), objective=objective)
    handle.remove()
    torch.testing.assert_close(found, runs[chosen, torch.arange(60)], rtol=0, atol=1e-12)
    standing = [60, *(int((~fell[:count].any(0)).sum()) for count in range(1, 5))]
    assert len(set(standing)) > 2, "images fall in the first restart and in later ones"
    assert int((~fell.any(0)).sum()) > 0, "and some withstand"
    assert seen == [count for count in standing for _ in range(2)]  # a step, and a look at where it led
    every = pgd(model, x, y, ball, settings, objective=objective, generator=ByPosition(3, torch.arange(60)))
    assert torch.equal(model(every).argmax(1) != y, fell.any(0))


def test_there_is_no_restart_once_all_fell(convolutional: Convolutional) -> None:
    x, y = labelled(8)
    y = (convolutional(x).argmax(1) + 1) % 4
    seen: list[int] = []
    convolutional.body.register_forward_hook(lambda _, inputs, output: seen.append(len(output)))
    source = ByPosition(0, torch.arange(8))
    x_adv = until_fallen(
        convolutional, x, y, ball_of(convolutional, eps=1e-4), ascent(1, 1e-6, restarts=9), source
    )
    assert seen == [8, 8]
    assert ((x_adv - x).abs() <= 1.01e-4).all()


class NoSync(TorchDispatchMode):
    """Refuses the operations that make the host wait for a device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = func.name()
        assert not any(
            word in name for word in ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero")
        ), name
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_host_never_waits(convolutional: Convolutional, norm: str) -> None:
    x, y = labelled(4)
    ball = ball_of(convolutional, norm, "normalised")
    with NoSync():
        for objective in (
            objectives.ce,
            objectives.dlr,
            objectives.margin,
            objectives.kl_to(torch.zeros(4, 4)),
        ):
            pgd(convolutional, x, y, ball, ascent(2, restarts=2), objective=objective, generator=generator())
    with pytest.raises(AssertionError), NoSync():
        bool((x > 0).all())


def test_channels_last_is_kept(convolutional: Convolutional) -> None:
    x, y = labelled(4)
    x = x.contiguous(memory_format=torch.channels_last)
    x_adv = pgd(convolutional, x, y, ball_of(convolutional), ascent())
    assert x_adv.is_contiguous(memory_format=torch.channels_last)


def test_importing_attacks_and_losses_imports_no_torch() -> None:
    code = "import sys; from robustfront import attacks, losses; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names_are_refused() -> None:
    assert attacks.objectives.ce is objectives.ce
    with pytest.raises(AttributeError, match="pgdd"):
        attacks.pgdd  # noqa: B018


@pytest.mark.parametrize("start", ["none", "uniform"])
def test_iterates_are_the_start_and_what_ever_more_steps_of_pgd_reach(
    start: str, convolutional: Convolutional
) -> None:
    x, y = labelled(3)
    ball = ball_of(convolutional)
    found = list(iterates(convolutional, x, y, ball, ascent(3, start=start), generator=generator()))
    assert torch.equal(found[0], ball.start(x, ascent(1, start=start), generator()))
    for steps in (1, 2, 3):
        x_adv = pgd(convolutional, x, y, ball, ascent(steps, start=start), generator=generator())
        assert torch.equal(found[steps], x_adv)
    assert len(found) == 4


# -------------------------------------------------------------- other starts, networks and objectives by step
def test_an_attack_from_a_given_image_goes_on_where_another_one_ended(convolutional: Convolutional) -> None:
    x, y = labelled(6)
    ball = ball_of(convolutional)
    whole = pgd(convolutional, x, y, ball, ascent(steps=5), generator=generator())
    begun = pgd(convolutional, x, y, ball, ascent(steps=2), generator=generator())
    assert torch.equal(pgd(convolutional, x, y, ball, ascent(steps=3), start=begun), whole)
    far = (x + 0.5).clamp(0, 1)
    assert ball.contains(pgd(convolutional, x, y, ball, ascent(steps=1, step_size=1e-6), start=far), x).all()
    with pytest.raises(ConfigError, match="from a given image has no restarts"):
        pgd(convolutional, x, y, ball, ascent(restarts=2), start=begun)


def test_each_step_may_have_its_network_and_objective(convolutional: Convolutional) -> None:
    torch.manual_seed(1)
    other, (x, y) = Convolutional().eval(), labelled(6)
    ball = ball_of(convolutional)
    steps = [(convolutional, objectives.ce), (other, objectives.margin), (convolutional, objectives.margin)]
    found = pgd(
        convolutional, x, y, ball, ascent(steps=3), generator=generator(), at_step=lambda step: steps[step]
    )
    expected = ball.start(x, ascent(), generator())
    for network, objective in steps:
        expected = pgd(network, x, y, ball, ascent(steps=1), objective=objective, start=expected)
    assert torch.equal(found, expected)
    assert all(p.grad is None and p.requires_grad for p in other.parameters())


def test_an_objective_of_the_whole_batch_is_ascended_and_refuses_restarts(
    convolutional: Convolutional,
) -> None:
    x, y = labelled(6)
    ball, clean = ball_of(convolutional), convolutional(x).detach()

    def nuclear(logits: Tensor, labels: Tensor) -> Tensor:
        return torch.linalg.matrix_norm(losses.widen(logits) - clean, "nuc")

    x_adv = pgd(convolutional, x, y, ball, ascent(steps=10), objective=nuclear, generator=generator())
    start = ball.start(x, ascent(), generator())
    assert nuclear(convolutional(x_adv), y) > 2 * nuclear(convolutional(start), y)
    with pytest.raises(ConfigError, match="cannot rank restarts"):
        pgd(convolutional, x, y, ball, ascent(restarts=2), objective=nuclear, generator=generator())


def test_an_objective_of_the_whole_batch_is_refused_for_a_part_of_it(convolutional) -> None:
    x, y = labelled(4)
    ball, settings = ball_of(convolutional), ascent(steps=1)

    def sum_of_logits(logits: Tensor, labels: Tensor) -> Tensor:
        return logits.sum()

    def attacked(rows: slice) -> Tensor:
        drawing = PartGenerator().take(rows, 4)
        return pgd(
            convolutional, x[rows], y[rows], ball, settings, objective=sum_of_logits, generator=drawing
        )

    assert attacked(slice(0, 4)).shape == x.shape
    for rows in (slice(0, 2), slice(1, 4)):
        with pytest.raises(ConfigError, match=r"was given a part of one: .* `per_image = False`"):
            attacked(rows)
