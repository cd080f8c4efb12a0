"""Networks with FiLM, dual or single batch norm, and their twins, against plain functions in float64."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from robustfront.attacks import stand_in
from robustfront.config.images import Normalisation
from robustfront.config.networks import NetworkConfig
from robustfront.config.networks.film_resnet import FilmResNet
from robustfront.config.networks.film_wide_resnet import FilmWideResNet
from robustfront.models import Classifier, build
from robustfront.models.conditional import Conditional

NORMALISATION = Normalisation(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
LAMBDAS = torch.tensor([0.4, 0.0, 1.0, 0.0, 0.25])
FILMS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "one": {"width": 8},
    "dual": {"width": 8, "dual_norm": True},
    "dual-residual": {"encoding": "none", "dual_norm": True, "after": "residual"},
}
RESIDUAL = {"depth": 10, "width": 3}
WIDE = {"depth": 16, "widening_factor": 2, "width": 3, "dropout": 0.3}

each_film = pytest.mark.parametrize("film", FILMS.values(), ids=FILMS)


def config(kind: type[NetworkConfig], **settings: Any) -> NetworkConfig:
    return kind.model_validate(settings)


def network(described: NetworkConfig, channels: int = 3) -> Classifier:
    """float64, every weight and statistic drawn, in eval mode."""
    torch.manual_seed(0)
    normalisation = NORMALISATION if channels == 3 else Normalisation(mean=(0.5,), std=(0.5,))
    model = build(described, channels=channels, classes=4, normalisation=normalisation).double().eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "norm" in name and tensor.is_floating_point():
                tensor.copy_(0.5 + torch.rand_like(tensor))
    return model


class Plain:
    """The network as functions of its tensors."""

    def __init__(self, model: Classifier, lambdas: Tensor, after: str) -> None:
        self.tensors, self.lambdas, self.after = model.state_dict(), lambdas, after
        if isinstance(model, Conditional):
            self.codes = model.encoding(lambdas).double()

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def conv(self, name: str, h: Tensor, stride: int = 1) -> Tensor:
        weight = self[f"{name}.weight"]
        return F.conv2d(h, weight, stride=stride, padding=weight.shape[-1] // 2)

    def batch_norm(self, name: str, h: Tensor) -> Tensor:
        mean, var, weight, bias = (
            self[f"{name}.{each}"].view(-1, 1, 1)
            for each in ("running_mean", "running_var", "weight", "bias")
        )
        return (h - mean) / (var + 1e-5).sqrt() * weight + bias

    def norm(self, name: str, h: Tensor, *, residual: bool = True) -> Tensor:
        if f"{name}.norm.weight" in self.tensors:
            h = self.batch_norm(f"{name}.norm", h)
        else:
            rows = [
                self.batch_norm(f"{name}.norm.{'standard' if value == 0 else 'robust'}", image)
                for value, image in zip(self.lambdas, h, strict=True)
            ]
            h = torch.stack(rows)
        assert (f"{name}.film.hidden.weight" in self.tensors) == (
            "encoding.rows" in self.tensors and (residual or self.after == "every")
        )
        if f"{name}.film.hidden.weight" in self.tensors:
            v = self.codes
            for layer in ("hidden", "outputs"):
                v = v @ self[f"{name}.film.{layer}.weight"].T + self[f"{name}.film.{layer}.bias"]
                v = torch.where(v > 0, v, 0.01 * v)
            channels = h.shape[1]
            h = h * v[:, :channels, None, None] + v[:, channels:, None, None]
        return h

    def block(self, name: str, h: Tensor, stride: int) -> Tensor:
        x, h = h, self.conv(f"{name}.conv1", h, stride)
        h = self.norm(f"{name}.norm1", h).relu()
        h = self.norm(f"{name}.norm2", self.conv(f"{name}.conv2", h))
        if f"{name}.shortcut.weight" in self.tensors:
            x = self.conv(f"{name}.shortcut", x, stride)
            x = self.norm(f"{name}.shortcut_norm", x, residual=False)
        return (h + x).relu()

    def wide_block(self, name: str, h: Tensor, stride: int) -> Tensor:
        x, a = h, self.norm(f"{name}.norm1", h).relu()
        if f"{name}.shortcut.weight" in self.tensors:
            x = self.conv(f"{name}.shortcut", a, stride)
        h = self.norm(f"{name}.norm2", self.conv(f"{name}.conv1", a, stride)).relu()
        return x + self.conv(f"{name}.conv2", h)

    def logits(self, x: Tensor, blocks: list[int], wide: bool) -> Tensor:
        mean, std = (torch.tensor(v).double().view(-1, 1, 1) for v in (NORMALISATION.mean, NORMALISATION.std))
        h = self.conv("trunk.stem", (x - mean) / std)
        if not wide:
            h = self.norm("trunk.norm", h).relu()
        for number, stride in enumerate(blocks):
            step = self.wide_block if wide else self.block
            h = step(f"trunk.blocks.{number}", h, stride)
        if wide:
            h = self.norm("trunk.norm", h, residual=False).relu()
        return h.mean((2, 3)) @ self["head.weight"].T + self["head.bias"]


@each_film
@pytest.mark.parametrize("wide", [False, True])
def test_logits_are_those_of_plain_functions(film: dict[str, Any] | None, wide: bool) -> None:
    settings, kind = (WIDE, FilmWideResNet) if wide else (RESIDUAL, FilmResNet)
    model = network(config(kind, **settings, film=film))
    x = torch.rand(5, 3, 9, 9, dtype=torch.float64)
    plain = Plain(model, LAMBDAS, (film or {}).get("after", "every"))
    expected = plain.logits(x, [1, 1, 2, 1, 2, 1] if wide else [1, 2, 2, 2], wide)
    found = model.given(LAMBDAS.double())(x)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)  # codes are float32
    assert isinstance(model, Conditional) == (film is not None)
    if film is not None:
        torch.testing.assert_close(model.given(0.0)(x[1:2]), found[1:2], rtol=1e-7, atol=1e-7)
        assert (model.given(0.0)(x) - model.given(1.0)(x)).abs().min() > 1e-6


def test_images_of_one_lambda_share_a_dual_norm_and_its_statistics() -> None:
    model = network(config(FilmResNet, **RESIDUAL, film={"width": 8, "dual_norm": True})).train()
    x = torch.rand(5, 3, 9, 9, dtype=torch.float64)
    norm = model.trunk.norm.norm
    stem = F.conv2d(model.normalise(x), model.trunk.stem.weight, padding=1)
    before = norm.standard.running_mean.clone(), norm.robust.running_mean.clone()
    model.given(LAMBDAS)(x)
    for layer, images, old in zip((norm.standard, norm.robust), ([1, 3], [0, 2, 4]), before, strict=True):
        expected = 0.9 * old + 0.1 * stem[images].mean((0, 2, 3))
        torch.testing.assert_close(layer.running_mean, expected, rtol=1e-12, atol=1e-12)


@each_film
@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("wide", [False, True])
def test_closed_forms_are_what_torch_counts(film: dict[str, Any] | None, size: int, wide: bool) -> None:
    settings, kind = (WIDE, FilmWideResNet) if wide else (RESIDUAL, FilmResNet)
    described = config(kind, **settings, film=film)
    model = network(described, channels=1)
    with FlopCounterMode(display=False) as counter:
        model(torch.rand(1, 1, size, size, dtype=torch.float64))
    assert described.forward_flops(channels=1, size=size, classes=4) == counter.get_total_flops()
    assert described.parameters(channels=1, classes=4) == sum(p.numel() for p in model.parameters())
    assert described.feature_count == model.feature_dim


def test_sizes_are_the_published_ones() -> None:
    """31.4040 million parameters stand in the public code beside its conditional ResNet-34; WRN-16-8 has 11.0
    and WRN-40-2 2.2 million (Zagoruyko & Komodakis 2016, Table 4), ResNet-34 21.28."""

    def millions(described: NetworkConfig) -> float:
        found = described.parameters(channels=3, classes=10)
        assert found is not None
        return found / 1e6

    assert millions(config(FilmResNet, film={"encoding": "none", "after": "residual"})) == pytest.approx(
        31.4040, abs=5e-5
    )
    assert millions(config(FilmResNet, film=None)) == pytest.approx(21.282, abs=5e-4)
    assert millions(config(FilmWideResNet, film=None)) == pytest.approx(11.0, abs=0.05)
    wrn_40_2 = config(FilmWideResNet, depth=40, widening_factor=2, film=None)
    assert millions(wrn_40_2) == pytest.approx(2.2, abs=0.05)


def test_dropout_acts_in_training_alone_and_is_seeded_by_the_global_generator() -> None:
    model, x = network(config(FilmWideResNet, **WIDE, film=None)), torch.rand(5, 3, 8, 8).double()
    assert torch.equal(model(x), model(x))
    model.train()
    seen = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        seen.append(model(x))
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_a_training_attack_runs_on_the_network_itself() -> None:
    model = network(config(FilmResNet, **RESIDUAL)).float()
    with torch.autocast("cpu", torch.bfloat16):
        told = model.given(0.4)
        assert stand_in(told, torch.rand(2, 3, 8, 8)) is told


@pytest.mark.parametrize("depth", [9, 12, 4])
def test_a_depth_without_whole_blocks_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match="6 n"):
        config(FilmWideResNet, depth=depth)
