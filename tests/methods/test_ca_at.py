"""Vanilla-AT and CA-AT against the paper's formulas on flat vectors, in float64."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from tiny_training import TRAINING
from torch import Tensor, nn

from moments import moment
from robustfront import attacks
from robustfront.attacks import adaptive
from robustfront.config.images import CropFlip, Normalisation
from robustfront.config.networks import PreActResNet
from robustfront.config.schema import Training
from robustfront.config.yaml_loader import load_yaml
from robustfront.data.store import Split, Store
from robustfront.methods import methods
from robustfront.methods.base import Setting
from robustfront.methods.ca_at import Angle, ConflictAwareAT, ConflictAwareParams
from robustfront.models import build
from robustfront.models.batch_norm import forget_statistics
from robustfront.training.loop import Outcome, Trainer, Watcher
from small_params import complaint, study_plan, tree, write

Batch = tuple[Tensor, Tensor]
LOSSES = ("ce", "trades", "clp")
METHODS: list[tuple[str, dict[str, Any]]] = [
    ("vanilla_at", {"adversarial_weight": 0.0}),
    ("vanilla_at", {"adversarial_weight": 0.3}),
    ("vanilla_at", {"adversarial_weight": 1.0}),
    ("ca_at", {"gamma": 0.0}),
    ("ca_at", {"gamma": 0.9}),
    ("ca_at", {"gamma": 0.9999}),
    ("ca_at", {"gamma": 1.0}),
]
CLASSES = 4
SMALL: dict[str, Any] = {"threat": {"eps": 0.1}, "attack": {"steps": 3, "step_size": 0.1}}


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def equation_4(g_c: np.ndarray, g_a: np.ndarray, gamma: float) -> np.ndarray:
    """As printed, gamma < 1."""
    phi, c, a = cosine(g_a, g_c), np.linalg.norm(g_c), np.linalg.norm(g_a)
    if phi > gamma:
        return g_c
    above = a * (gamma * math.sqrt(1 - phi**2) - phi * math.sqrt(1 - gamma**2))
    return g_a + above / (c * math.sqrt(1 - gamma**2)) * g_c


def step_of(name: str, params: dict[str, Any], g_c: np.ndarray, g_a: np.ndarray) -> np.ndarray:
    """The gradient of the step, by the paper."""
    if name == "vanilla_at":
        weight = params["adversarial_weight"]
        return (1 - weight) * g_c + weight * g_a
    return g_c if params["gamma"] == 1 else equation_4(g_c, g_a, params["gamma"])


# -------------------------------------------------------------------------------------- Eq. 4 on vectors
def cut(vector: np.ndarray, lengths: list[int]) -> dict[str, Tensor]:
    """One vector as parameters of these lengths, under names."""
    pieces = torch.from_numpy(vector).split(lengths)
    return {f"p{number}": piece for number, piece in enumerate(pieces)}


def mixed(g_c: np.ndarray, g_a: np.ndarray, gamma: float, lengths: list[int]) -> np.ndarray:
    """What CA-AT makes of two gradients that lie in parameters of these lengths."""
    clean, adversarial = cut(g_c, lengths), cut(g_a, lengths)
    method = ConflictAwareAT.__new__(ConflictAwareAT)
    method.params = ConflictAwareParams.model_validate(SMALL | {"gamma": gamma})
    of_clean, of_adversarial = method.weights(Angle.between(clean, adversarial))
    return torch.cat([of_clean * clean[name] + of_adversarial * adversarial[name] for name in clean]).numpy()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=30).filter(lambda found: sum(found) > 1),
    seed=st.integers(0, 2**32 - 1),
    gamma=st.floats(0, 0.999),
    phi=st.floats(-0.999, 0.999),
    scale=st.floats(1e-8, 1e8),
)
@example(lengths=[2], seed=0, gamma=0.8, phi=-0.999, scale=1.0)
@example(lengths=[2], seed=0, gamma=0.8, phi=0.9, scale=1.0)
@example(lengths=[1] * 30, seed=0, gamma=0.0, phi=-0.5, scale=1.0)
def test_the_step_lies_on_the_cone_or_is_the_clean_gradient(
    lengths: list[int], seed: int, gamma: float, phi: float, scale: float
) -> None:
    random = np.random.default_rng(seed)
    g_c, other = random.normal(size=(2, sum(lengths)))
    other -= (other @ g_c) / (g_c @ g_c) * g_c
    if np.linalg.norm(other) < 1e-3 * np.linalg.norm(g_c):
        return  # no direction across to speak of
    g_a = scale * (phi * g_c / np.linalg.norm(g_c) + math.sqrt(1 - phi**2) * other / np.linalg.norm(other))
    step = mixed(g_c, g_a, gamma, lengths)
    if cosine(g_a, g_c) > gamma + 1e-12:
        assert np.array_equal(step, g_c)
    elif cosine(g_a, g_c) < gamma - 1e-12:
        assert cosine(step, g_c) == pytest.approx(gamma, abs=1e-9)
        k = (step - g_a) @ g_c / (g_c @ g_c)
        assert k > 0, "towards the clean gradient"
        assert np.linalg.norm(step - g_a - k * g_c) < 1e-9 * (np.linalg.norm(step) + scale)
        np.testing.assert_allclose(step, equation_4(g_c, g_a, gamma), rtol=1e-7, atol=1e-9 * scale)


def test_at_the_cone_the_adversarial_gradient_stays_as_it_is() -> None:
    """Eq. 4 has phi <= gamma, where Algorithm 1 would take the clean gradient."""
    g_c, g_a = np.array([1.0, 0.0]), np.array([3.0, 4.0])
    assert np.array_equal(mixed(g_c, g_a, 0.6, [1, 1]), g_a)
    assert np.array_equal(mixed(g_c, g_a, math.nextafter(0.6, 0), [1, 1]), g_c)


def test_opposite_gradients_cancel_as_the_formula_says() -> None:
    g_c = np.array([3.0, -4.0])
    assert np.abs(mixed(g_c, -2 * g_c, 0.8, [2])).max() < 1e-15


def test_a_gradient_that_is_zero_has_no_angle() -> None:
    g, zero = np.array([3.0, -4.0]), np.zeros(2)
    assert np.array_equal(mixed(zero, g, 0.8, [1, 1]), g)
    assert np.array_equal(mixed(g, zero, 0.8, [1, 1]), zero)


def test_float32_gradients_too_small_to_be_squared_have_an_angle() -> None:
    g_c, g_a = (1e-25 * np.array(values, dtype=np.float32) for values in ([1, 0], [-3, 4]))
    angle = Angle.between({"p": torch.from_numpy(g_c)}, {"p": torch.from_numpy(g_a)})
    assert angle.cosine.item() == pytest.approx(-0.6, rel=1e-6)
    assert angle.conflict.item() == pytest.approx(1e-50 * 5 * 1.6, rel=1e-6)


# ------------------------------------------------------------------------------------------- whole steps
def flat(gradients: Any) -> np.ndarray:
    return torch.cat([gradient.flatten() for gradient in gradients]).numpy()


def both_losses(model: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    z, z_adv = model(x), model(x_adv)
    p, q = z.softmax(dim=1), z_adv.softmax(dim=1)
    rows = torch.arange(len(y))
    clean = -p[rows, y].log().mean()
    if kind == "ce":
        return clean, -q[rows, y].log().mean()
    if kind == "trades":
        return clean, (p * (p / q).log()).sum(dim=1).mean()
    return clean, ((p - q) ** 2).sum(dim=1).sqrt().mean()


def explicit_gradients(
    model: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """g_c and g_a as vectors, each by a forward pass of its own."""
    weights = list(model.parameters())
    found = []
    for which in (0, 1):
        loss = both_losses(model, x, x_adv, y, kind)[which]
        found.append(flat(torch.autograd.grad(loss, weights, materialize_grads=True)))
    return found[0], found[1]


def ascended(logits: Tensor, y: Tensor, clean: Tensor, objective: str) -> Tensor:
    """What the attack ascends, for all images together."""
    q, rows = logits.softmax(dim=1), torch.arange(len(y))
    if objective == "ce":
        return -q[rows, y].log().sum()
    if objective == "kl":
        p = clean.softmax(dim=1)
        return (p * (p / q).log()).sum()
    ordered = logits.sort(dim=1, descending=True).values
    others = logits.masked_fill(torch.nn.functional.one_hot(y, logits.shape[1]).bool(), -math.inf)
    return ((others.amax(dim=1) - logits[rows, y]) / (ordered[:, 0] - ordered[:, 2])).sum()


def attacked(model: nn.Module, x: Tensor, y: Tensor, objective: str) -> Tensor:
    """Three steps in a ball of pixels, by running statistics, from a point off the image."""
    model.eval()
    with torch.no_grad():
        clean = model(x)
    found = x + 0.01 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=x.dtype)
    for _ in range(3):
        leaf = found.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(ascended(model(leaf), y, clean, objective), leaf)
        found = (x + (leaf + 0.02 * gradient.sign() - x).clamp(-0.05, 0.05)).clamp(0, 1)
    model.train()
    return found.detach()


INNER = {"threat": {"eps": 0.05}, "attack": {"steps": 3, "step_size": 0.02, "start_std": 0.01}}
INNER["attack"]["start"] = "gaussian"


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize(
    ("loss", "inner", "objective"),
    [("ce", "pgd", "ce"), ("trades", "pgd", "kl"), ("clp", "pgd", "ce"), ("ce", "pgd-dlr", "dlr")],
)
def test_the_attack_ascends_what_the_loss_and_the_solver_say(
    loss: str, inner: str, objective: str, model: nn.Module, batch: Batch, make: Any
) -> None:
    x, _ = batch
    y = model.eval()(x).argmin(dim=1)  # of the third class the difference of logits ratio is 1 all around
    method = make("ca_at", gamma=0.8, adversarial_loss=loss, inner=inner, **INNER)
    found = method.craft(x, y, moment(seeded()))
    torch.testing.assert_close(found, attacked(model, x, y, objective), rtol=0, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("name", "params"), METHODS)
def test_steps_are_those_of_the_formulas(
    name: str, params: dict[str, Any], loss: str, model: nn.Module, batch: Batch, make: Any
) -> None:
    x, y = batch
    method = make(name, adversarial_loss=loss, **params, **INNER)
    weights = list(model.parameters())
    for _ in range(3):
        before = {key: value.clone() for key, value in model.state_dict().items()}
        x_adv = attacked(model, x, y, "kl" if loss == "trades" else "ce")
        g_c, g_a = explicit_gradients(model, x, x_adv, y, loss)
        model.load_state_dict(before)  # the passes above have moved running statistics
        losses = method.gradients(x, y, moment(seeded()))
        expected = [value.item() for value in both_losses(model, x, x_adv, y, loss)]
        assert [part.item() for part in losses.parts.values()] == pytest.approx(expected, rel=1e-9)
        found = flat(weight.grad for weight in weights)
        wanted = step_of(name, params, g_c, g_a)
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-10 * np.abs(wanted).max())
        with torch.no_grad():
            for weight in weights:
                weight.sub_(0.05 / np.linalg.norm(wanted) * weight.grad)
                weight.grad = None


def test_a_frozen_parameter_is_no_part_of_the_angle(model: nn.Module, batch: Batch, make: Any) -> None:
    x, y = batch
    model.stem.requires_grad_(False)
    method = make("ca_at", gamma=0.9, **INNER)
    x_adv = method.craft(x, y, moment(seeded()))
    method.combine(method.losses(x, x_adv, y, moment()), moment())
    assert model.stem.weight.grad is None
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    clean, adversarial = both_losses(model, x, x_adv, y, "ce")
    g_c, g_a = (flat(torch.autograd.grad(loss, trained)) for loss in (clean, adversarial))
    np.testing.assert_allclose(
        flat(weight.grad for weight in trained), equation_4(g_c, g_a, 0.9), rtol=1e-7, atol=1e-12
    )


def test_equal_softmaxes_have_a_distance_without_a_gradient(
    model: nn.Module, batch: Batch, make: Any
) -> None:
    x, y = batch
    method = make("vanilla_at", adversarial_weight=1.0, adversarial_loss="clp")
    method.combine(method.losses(x, x.clone(), y, moment()), moment())
    assert all(not weight.grad.any() for weight in model.parameters())


# ------------------------------------------------------------------------------- APGD as inner maximisation
@pytest.mark.parametrize(
    ("inner", "objective"), [("apgd-ce", "ce"), ("apgd-dlr", "dlr"), ("t-apgd-dlr", None)]
)
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_apgd_attacks_with_as_many_steps_in_the_mode_asked_for(
    inner: str, objective: str | None, mode: str, model: nn.Module, batch: Batch, make: Any
) -> None:
    x, y = batch
    method = make("ca_at", gamma=0.8, inner=inner, attack_mode=mode, **INNER)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    seen: list[bool] = []
    hook = model.stem.register_forward_hook(lambda *_: seen.append(model.training))
    found = method.craft(x, y, moment(seeded()))
    hook.remove()
    assert model.training
    ascents, ranking = (1, 0) if objective else (CLASSES - 1, 1)
    assert seen == [mode == "train"] * (ascents * (3 + 1) + ranking)
    model.load_state_dict(before)
    model.train(mode == "train")
    how = {"steps": 3, "generator": seeded()}
    if objective:
        ascends = getattr(attacks.objectives, objective)
        expected = adaptive.apgd(model, x, y, method.ball, objective=ascends, **how)
    else:
        expected = adaptive.targeted_apgd(model, x, y, method.ball, targets=9, **how)
    assert torch.equal(found, expected)
    assert 0.04 < (found - x).abs().max() <= 0.05 + 1e-12


@pytest.mark.parametrize(
    ("inner", "units"), [("pgd-dlr", 26), ("apgd-ce", 28), ("apgd-dlr", 28), ("t-apgd-dlr", 205)]
)
def test_what_an_attack_of_ten_steps_costs(inner: str, units: int) -> None:
    ten = {"threat": {"eps": 0.1}, "attack": {"steps": 10, "step_size": 0.1}, "gamma": 0.8, "inner": inner}
    assert ConflictAwareAT.units(ConflictAwareParams.model_validate(ten)) == units


# ------------------------------------------------------------------------------------------- what is logged
def test_the_epoch_logs_means_over_its_steps(model: nn.Module, batch: Batch, make: Any) -> None:
    """With gamma between the cosines of two batches, so that each takes a branch of its own."""
    x, y = batch
    near, far = x + 1e-3 * (x - 0.5), 1 - x
    angles = [explicit_gradients(model, x, x_adv, y, "ce") for x_adv in (near, far)]
    phis = [cosine(g_a, g_c) for g_c, g_a in angles]
    gamma = sum(phis) / 2
    assert 0 < phis[1] + 0.05 < gamma < phis[0] - 0.05 or phis[1] < 0 < gamma < phis[0] - 0.05
    method = make("ca_at", gamma=gamma)
    for _ in range(2):
        for x_adv in (near, far, far):
            method.combine(method.losses(x, x_adv, y, moment()), moment())
        (g_c, g_a), step = angles[1], equation_4(*angles[1], gamma)
        mus = [np.linalg.norm(g_c) * np.linalg.norm(g_a) - g_c @ g_a for g_c, g_a in angles]
        assert method.diagnostics(moment()) == pytest.approx(
            {
                "gradient_cosine": (phis[0] + 2 * phis[1]) / 3,
                "gradient_conflict": (mus[0] + 2 * mus[1]) / 3,
                "clean_gradient_share": 1 / 3,
                "projection_weight": (step - g_a) @ g_c / (g_c @ g_c),
            },
            rel=1e-9,
        )


def test_there_is_no_projection_weight_without_a_projection(
    model: nn.Module, batch: Batch, make: Any
) -> None:
    x, y = batch
    method = make("ca_at", gamma=1.0)
    method.gradients(x, y, moment(seeded()))
    logged = method.diagnostics(moment())
    assert logged["clean_gradient_share"] == 1
    assert "projection_weight" not in logged
    vanilla = make("vanilla_at", adversarial_weight=1.0)
    vanilla.gradients(x, y, moment(seeded()))
    assert vanilla.diagnostics(moment()).keys() == {"gradient_cosine", "gradient_conflict"}


# ------------------------------------------------------------------------------------------- its cost
class Backward:
    """Counts backward passes through the stem, to its weights."""

    def __init__(self, model: nn.Module) -> None:
        self.count = 0
        model.stem.register_forward_hook(self._watch)

    def _watch(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if output.requires_grad and module.weight.requires_grad:
            output.register_hook(self._seen)

    def _seen(self, gradient: Tensor) -> None:
        self.count += 1


@pytest.mark.parametrize(("loss", "passes", "units"), [("ce", 2, 26), ("trades", 3, 29), ("clp", 3, 28)])
@pytest.mark.parametrize("name", ["vanilla_at", "ca_at"])
def test_no_pass_is_made_twice(
    name: str, loss: str, passes: int, units: int, model: nn.Module, batch: Batch, make: Any
) -> None:
    x, y = batch
    weight = {"adversarial_weight": 0.5} if name == "vanilla_at" else {"gamma": 0.8}
    method = make(name, adversarial_loss=loss, **weight)
    counted, forward = Backward(model), []
    x_adv = method.craft(x, y, moment(seeded()))
    model.stem.register_forward_hook(lambda *_: forward.append(1))
    method.combine(method.losses(x, x_adv, y, moment()), moment())
    assert (counted.count, len(forward)) == (passes, 2)
    ten = method.Params.model_validate(
        SMALL | weight | {"adversarial_loss": loss, "attack": {"steps": 10, "step_size": 0.1}}
    )
    assert method.units(ten) == units == 2 * 10 + (loss == "trades") + 2 + 2 * passes


# ------------------------------------------------------------------------------------------- trainings
def digits() -> Store:
    """Real digits, 8x8: 240 to train on, 60 to validate."""
    found = load_digits()
    images = torch.from_numpy(found.images * 15.9).to(torch.uint8)[:, None]
    labels = torch.from_numpy(found.target).long()
    splits = {
        name: Split(images[rows], labels[rows], torch.arange(len(labels))[rows])
        for name, rows in (("train", slice(240)), ("validation", slice(240, 300)), ("test", slice(300, 310)))
    }
    return Store(**splits, classes=10)


def training(
    name: str, epochs: int = 2, precision: str = "fp32", tracked: bool = True, **params: Any
) -> Outcome:
    """Of a small network on digits."""
    torch.manual_seed(0)
    normalisation = Normalisation(mean=(0.3,), std=(0.25,))
    model = build(PreActResNet(depth=10, width=4), channels=1, classes=10, normalisation=normalisation).to(
        memory_format=torch.channels_last
    )
    if not tracked:
        forget_statistics(model)
    kind = methods[name].method
    edits = {"epochs": epochs, "batch_size": 40, "precision": precision, "optimizer": {"lr": 0.1}}
    made = Trainer(
        "a-run",
        model=model,
        method=kind(kind.Params.model_validate(params), Setting(model)),
        store=digits(),
        training=Training.model_validate(TRAINING | edits),
        augmentation=CropFlip(pad=0),
        seed=0,
    )
    return made.fit(Watcher(save=lambda state: None))


ATTACKED = {"threat": {"eps": 0.1}, "attack": {"steps": 2, "step_size": 0.1}}


def test_digits_take_both_branches() -> None:
    history = training("ca_at", epochs=6, gamma=0.7, **ATTACKED).history[1:]  # the start has not been trained
    shares = [row["clean_gradient_share"] for row in history]
    assert 0.1 < sum(shares) / len(shares) < 0.9
    assert all(row["gradient_conflict"] > 0 for row in history)
    assert all(row["projection_weight"] > 0 for row in history if row["clean_gradient_share"] < 1)
    assert history[-1]["validation_clean_accuracy"] > 0.7


def furthest(a: Outcome, b: Outcome) -> float:
    return max((a.weights[name] - b.weights[name]).abs().max().item() for name in a.weights)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_projection_has_an_effect(precision: str) -> None:
    trainings = [
        training("vanilla_at", precision=precision, adversarial_weight=0.5, **ATTACKED),
        *(training("ca_at", precision=precision, gamma=gamma, **ATTACKED) for gamma in (0.8, 0.95, 1.0)),
    ]
    for number, one in enumerate(trainings):
        assert all(furthest(one, other) > 1e-3 for other in trainings[:number])


@pytest.mark.parametrize(
    ("name", "params", "other", "given"),
    [
        ("vanilla_at", {"adversarial_weight": 0.0}, "standard", {"loss": "ce"}),
        ("vanilla_at", {"adversarial_weight": 1.0}, "pgd_at", ATTACKED),
        ("ca_at", {"gamma": 1.0}, "standard", {"loss": "ce"}),
    ],
)
def test_ends_of_the_fronts_are_trainings_by_one_loss(
    name: str, params: dict[str, Any], other: str, given: dict[str, Any]
) -> None:
    """Without running statistics, which the passes for the other loss move."""
    found = training(name, tracked=False, **params, **ATTACKED)
    assert furthest(found, training(other, tracked=False, **given)) < 1e-6


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_apgd_trains(precision: str) -> None:
    how = {"epochs": 1, "precision": precision, "gamma": 0.8} | ATTACKED
    targeted, by_pgd = (training("ca_at", inner=inner, **how) for inner in ("t-apgd-dlr", "pgd"))
    assert furthest(targeted, by_pgd) > 1e-3
    _, row = targeted.history
    assert row["train_adversarial_loss"] > row["train_clean_loss"]


# ------------------------------------------------------------------------------------------- in a study
def test_runs_are_called_after_what_decides_them(tmp_path: Any) -> None:
    runs: dict[str, dict[str, Any]] = {
        "a": {"method": "vanilla_at", "adversarial_weight": 0.25},
        "b": {"method": "vanilla_at", "adversarial_weight": 1.0},
        "c": {"method": "vanilla_at", "adversarial_weight": 1.0, "adversarial_loss": "clp"},
        "d": {"method": "vanilla_at", "adversarial_weight": 1.0, "adversarial_loss": "trades"},
        "e": {"method": "vanilla_at", "adversarial_weight": 0.5, "adversarial_loss": "trades"},
        "f": {"method": "ca_at", "gamma": 0.8, "inner": "pgd-dlr"},
        "g": {"method": "ca_at", "gamma": 0.85, "adversarial_loss": "clp"},
        "h": {"method": "ca_at", "gamma": 1.0},
    }
    plan = study_plan(write(tmp_path, tree(runs=runs)))
    labels = {
        run.names[0]: run.id.rpartition("-s0-")[0].removeprefix("digits-") for run in plan.runs.values()
    }
    assert labels == {
        "a": "vanilla-at-l0.25",
        "b": "vanilla-at-l1",
        "c": "vanilla-at-l1-clp-no-labels",
        "d": "vanilla-at-l1-trades-no-labels",
        "e": "vanilla-at-l0.5-trades",
        "f": "ca-at-g0.8-pgd-dlr",
        "g": "ca-at-g0.85-clp",
        "h": "ca-at-g1-clean-only",
    }


def test_the_runs_of_the_documentation_are_planned(project: Path, tmp_path: Path) -> None:
    page = (project / "docs" / "reproduction" / "ca-at.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
    (tmp_path / "example.yaml").write_text(example, encoding="utf-8")
    runs = load_yaml(tmp_path / "example.yaml")["runs"]
    planned = {run.names[0]: run.config for run in study_plan(write(tmp_path, tree(runs=runs))).runs.values()}
    found = {
        name: (run.params["adversarial_loss"], run.params["attack"]["start"]) for name, run in planned.items()
    }
    assert found == {
        "vanilla-at": ("ce", "uniform"),
        "ca-at": ("ce", "uniform"),
        "ca-at-trades": ("trades", "gaussian"),
    }


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"method": "vanilla_at", "adversarial_weight": 1.5},
            ".adversarial_weight = 1.5: must be less than or equal to 1",
        ),
        ({"method": "ca_at", "gamma": 1.1}, ".gamma = 1.1: must be less than or equal to 1"),
        ({"method": "ca_at", "gamma": -0.1}, ".gamma = -0.1: must be greater than or equal to 0"),
        ({"method": "ca_at"}, ".gamma: missing"),
        (
            {
                "method": "ca_at",
                "gamma": 0.8,
                "inner": "apgd-ce",
                "threat": {"eps": 0.1, "space": "normalised"},
            },
            ": inner = 'apgd-ce': APGD has one radius for all pixels; set threat.space to 'pixel'",
        ),
    ],
)
def test_what_is_no_weight_and_no_cosine_is_refused(
    params: dict[str, Any], message: str, tmp_path: Any
) -> None:
    assert complaint(write(tmp_path, tree(runs={"a": params}))).startswith(f"runs.a{message}")
