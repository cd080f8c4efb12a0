"""Which network an attack runs on."""

import copy
import gc
import warnings
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch

from robustfront import attacks
from robustfront.attacks import Ball, standin
from robustfront.config import networks, schema
from robustfront.config.images import Normalisation
from robustfront.models import build
from robustfront.models.folded import fold
from robustfront.models.preact_resnet import PreActResNet
from toy_models import Convolutional, random_images

NORMALISATION = Normalisation(mean=(0.5, 0.4, 0.45), std=(0.25, 0.2, 0.4))
ASCENT = schema.Ascent(steps=3, step_size=0.02)


def network() -> PreActResNet:
    torch.manual_seed(0)
    config = networks.PreActResNet(depth=10, width=4)
    model = build(config, channels=3, classes=4, normalisation=NORMALISATION).eval()
    assert isinstance(model, PreActResNet)
    return model


X = random_images(6, (3, 8, 8))
Y = torch.arange(6) % 4


def test_float32_and_train_mode_attack_the_network_itself() -> None:
    model = network()
    assert attacks.stand_in(model, X) is model
    with torch.autocast("cpu", torch.bfloat16):
        assert attacks.stand_in(model.train(), X) is model
        other = Convolutional().eval()
        assert attacks.stand_in(other, X) is other


def test_one_copy_follows_the_weights() -> None:
    model = network()
    with torch.autocast("cpu", torch.bfloat16):
        first = attacks.stand_in(model, X)
        assert first is not model
        before = first(X)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.5)
        assert attacks.stand_in(model, X) is first
        torch.testing.assert_close(first(X), model(X), rtol=0.05, atol=0.05)
        assert not torch.allclose(first(X), before)
        assert attacks.stand_in(copy.deepcopy(model), X) is not first


def test_copies_go_with_their_networks() -> None:
    model = network()
    with torch.autocast("cpu", torch.bfloat16):
        attacks.stand_in(model, X)
    assert model in standin._copies
    held = len(standin._copies)
    del model
    gc.collect()
    assert len(standin._copies) < held


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_attack_on_the_stand_in_is_as_strong_and_leaves_the_network_alone(norm: str) -> None:
    model = network()
    ball = Ball.of(schema.Threat(norm=norm, eps=0.05 if norm == "linf" else 0.5), model.mean, model.std)
    plain = attacks.pgd(model, X, Y, ball, ASCENT, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        attacked = attacks.stand_in(model, X)
        found = attacks.pgd(attacked, X, Y, ball, ASCENT, generator=torch.Generator().manual_seed(0))
    assert ball.contains(found, X).all()
    loss = [attacks.objectives.ce(model(x), Y).mean().item() for x in (X, plain, found)]
    assert loss[2] - loss[0] > 0.95 * (loss[1] - loss[0]) > 0
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


# ------------------------------------------------------------------------------------------------ CUDA graphs
@pytest.fixture
def capturing(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """Stands for CUDA's capture; the shapes of the batches that are replayed."""
    replayed: list[torch.Size] = []

    def make_graphed_callables(function, sample, **mode):  # type: ignore[no-untyped-def]
        assert sample[0].requires_grad
        function(*sample)

        def replay(images: torch.Tensor) -> torch.Tensor:
            replayed.append(images.shape)
            return function(images)

        return replay

    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", make_graphed_callables)
    return replayed


def test_only_batches_of_the_captured_shape_are_replayed(capturing: list[torch.Size]) -> None:
    model = network()
    folded = fold(model, torch.float32)
    expected = [model.features(x) for x in (X, X[:4])]
    folded.features = standin._quicker("CUDA graphs", standin._capture, folded.features, X)
    found = [folded.features(x) for x in (X, X[:4])]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert capturing == [X.shape]


def captured() -> tuple[PreActResNet, torch.Tensor]:
    folded = fold(network(), torch.float32)
    folded.features = standin._quicker("CUDA graphs", standin._capture, folded.features, X)
    return folded, X


@pytest.mark.parametrize(
    "other", [X.double(), X.contiguous(memory_format=torch.channels_last), X[:, :, :6, :6]]
)
def test_images_of_another_type_or_layout_are_not_replayed(
    capturing: list[torch.Size], other: torch.Tensor
) -> None:
    folded, _ = captured()
    if other.dtype == torch.float64:
        folded.double()
    folded.features(other)
    assert capturing == []


def test_a_graph_is_captured_with_its_backward_pass_where_no_gradient_is_wanted_yet(
    capturing: list[torch.Size],
) -> None:
    with torch.no_grad():
        folded, x = captured()
        assert not folded.features(x).requires_grad
    assert attacks.input_gradient(folded, x, Y).abs().sum() > 0
    assert capturing == [X.shape] * 2


def test_a_gradient_after_another_forward_pass_is_refused(capturing: list[torch.Size]) -> None:
    folded, x = captured()
    before = x.clone().requires_grad_()
    features = folded.features(before)
    with torch.no_grad():
        folded.features(x.flip(0))
    with pytest.raises(RuntimeError, match="take the gradient before the next forward pass"):
        torch.autograd.grad(features.sum(), before)
    assert capturing == [X.shape] * 2


@pytest.mark.usefixtures("capturing")
def test_what_a_graph_gives_is_a_copy_of_its_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    buffers = [torch.zeros(6, 32), torch.zeros_like(X)]

    class Static(torch.autograd.Function):
        @staticmethod
        def forward(ctx, images):  # type: ignore[no-untyped-def]
            return buffers[0].add_(1).view_as(buffers[0])

        @staticmethod
        def backward(ctx, gradient):  # type: ignore[no-untyped-def, override]
            return buffers[1].add_(1).view_as(buffers[1])

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", lambda *_, **__: Static.apply)
    folded, x = captured()
    kept = []
    for _ in range(2):
        images = x.clone().requires_grad_()
        features = folded.features(images)
        kept += [features, *torch.autograd.grad(features.sum(), images)]
    assert [value.mean().item() for value in kept] == [1, 1, 2, 2]


@pytest.mark.usefixtures("capturing")
def test_a_failing_capture_is_told_and_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", refuse)
    folded = fold(network(), torch.float32)
    with pytest.warns(UserWarning, match=r"without CUDA graphs, more slowly: operation not .* capturing$"):
        folded.features = standin._quicker("CUDA graphs", standin._capture, folded.features, X)
    torch.testing.assert_close(folded.features(X), network().features(X), rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("capturing")
def test_memory_running_out_in_a_capture_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        standin._quicker("CUDA graphs", standin._capture, network().features, X)


# -------------------------------------------------------------------------------------------- compilation
@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Stands for torch.compile, which takes half a minute; what it was called with."""
    calls: list[str] = []

    def compile(function, *, dynamic):  # type: ignore[no-untyped-def]
        calls.append("compile")

        def compiled(images: torch.Tensor) -> torch.Tensor:
            calls.append("with gradient" if images.requires_grad and torch.is_grad_enabled() else "without")
            return function(images)

        return compiled

    monkeypatch.setattr(torch, "compile", compile)
    attacks.compile_stand_ins(True)
    yield calls
    attacks.compile_stand_ins(False)


def test_one_graph_serves_passes_with_and_without_gradient(compiling: list[str]) -> None:
    model = network()
    with torch.autocast("cpu", torch.bfloat16):
        attacked = attacks.stand_in(model, X)
        with torch.no_grad():
            found = attacked(X)
        assert not found.requires_grad
        attacks.input_gradient(attacked, X, Y)
        attacks.input_gradient(attacked, X[:4], Y[:4])  # of another shape: not compiled anew
        torch.testing.assert_close(found, fold(model, torch.bfloat16)(X), rtol=0.02, atol=0.02)
    assert compiling == ["compile", *3 * ["with gradient"]]


@pytest.mark.usefixtures("compiling")
def test_without_a_compiler_it_goes_on_and_says_why_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("No working C++ compiler found\nmore")

    monkeypatch.setattr(torch, "compile", refuse)
    model = network()
    with torch.autocast("cpu", torch.bfloat16):
        with pytest.warns(
            UserWarning, match="without torch.compile, more slowly: No working C.. compiler found$"
        ):
            first = attacks.stand_in(model, X)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert attacks.stand_in(model, X) is first
        first(X)


@pytest.mark.slow
def test_compiled_attack_is_the_eager_one_but_for_rounding() -> None:
    """Of the features, as of a gradient rounding also moves the corners of ReLUs, now more, now less."""
    model = network()
    exact, exact_gradient = model.features(X).detach(), attacks.input_gradient(model, X, Y)
    found = {}
    with torch.autocast("cpu", torch.bfloat16):
        for compiled in (False, True):
            attacks.release_stand_ins()
            attacks.compile_stand_ins(compiled)
            copied = attacks.stand_in(model, X)
            gradient = attacks.input_gradient(copied, X, Y)
            found[compiled] = (copied.features(X).detach() - exact).norm()
            assert torch.cosine_similarity(gradient.flatten(), exact_gradient.flatten(), dim=0) > 0.95
    attacks.compile_stand_ins(False)
    assert 0 < found[True] < 2 * found[False]


@pytest.mark.gpu
def test_replayed_attack_is_the_eager_one() -> None:
    model = network().cuda().to(memory_format=torch.channels_last)
    x, y = X.cuda().contiguous(memory_format=torch.channels_last), Y.cuda()
    ball = Ball.of(schema.Threat(eps=0.05), model.mean, model.std)
    with torch.autocast("cuda", torch.bfloat16):
        replayed = attacks.stand_in(model, x)
        eager = fold(model, torch.bfloat16)
        for count in (6, 4, 6):
            found, expected = (
                attacks.pgd(one, x[:count], y[:count], ball, ASCENT.model_copy(update={"start": "none"}))
                for one in (replayed, eager)
            )
            assert (found == expected).double().mean() > 0.99
