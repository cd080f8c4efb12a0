"""What must hold on a GPU before its times mean anything. Each function is a step of the journal.

On a CPU they run, too, which rehearses them; what CUDA graphs are for is then the same thing twice.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.workload import STEP_SIZE, Workload
from robustfront import attacks
from robustfront.attacks import objectives
from robustfront.config.schema import Ascent
from robustfront.errors import Interrupted
from robustfront.models.folded import fold
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.loop import Trainer, Watcher

STILL = Ascent(steps=10, step_size=STEP_SIZE, start="none")
"""A start that is drawn differs between devices."""


def float32(work: Workload) -> Sequence[str]:
    """Gradients of weights and images in train mode, and PGD, against float64 and against the CPU."""
    few = work.part(32)
    exact = _gradients(few, torch.device("cpu"), torch.float64)
    found = _gradients(few, work.device, torch.float32)
    error = max(_distance(a, b) for a, b in zip(found, exact, strict=True))
    assert error < 1e-3, f"gradients in float32 are off by {error:.1e}"
    there = attacks.pgd(few.copy(), few.x, few.labels, few.ball(), STILL)
    here = few.on(torch.device("cpu"))
    x_adv = attacks.pgd(here.copy(), here.x, here.labels, here.ball(), STILL)
    same = (there.cpu() == x_adv).double().mean().item()
    with torch.no_grad():
        losses = [
            objectives.ce(here.copy()(x), here.labels).mean().item() for x in (here.x, x_adv, there.cpu())
        ]
    gain = (losses[2] - losses[0]) / (losses[1] - losses[0])
    assert abs(gain - 1) < 0.01, f"PGD gains {gain:.3f} of what it gains on the CPU"
    return [
        f"gradients of weights and images against float64: largest relative distance {error:.1e}",
        f"PGD-10 against the CPU: {same:.2%} of x' are equal, the loss gains {gain:.4f} times as much",
    ]


def bfloat16(work: Workload) -> Sequence[str]:
    """The gradient under autocast, and that of the folded copy, against float32."""
    model = work.copy(channels_last=True)
    exact = attacks.input_gradient(model, work.channels_last, work.labels)
    with _autocast(work):
        plain = attacks.input_gradient(model, work.channels_last, work.labels)
        folded = attacks.input_gradient(fold(model, torch.bfloat16), work.channels_last, work.labels)
    cosines = [torch.cosine_similarity(g.flatten(), exact.flatten(), dim=0).item() for g in (plain, folded)]
    assert min(cosines) > 0.97, f"cosines to the float32 gradient: {cosines}"
    return [f"cosine to the gradient in float32: {cosines[0]:.4f} plain, {cosines[1]:.4f} on the folded copy"]


def replayed(work: Workload) -> Sequence[str]:
    """The replayed gradient against that of the eager copy, over three changes of the weights."""
    model = work.copy(channels_last=True)
    equal = []
    with _autocast(work):
        for _ in range(3):
            found = attacks.input_gradient(
                attacks.stand_in(model, work.channels_last), work.channels_last, work.labels
            )
            eager = attacks.input_gradient(fold(model, torch.bfloat16), work.channels_last, work.labels)
            assert _distance(found, eager) < 1e-2, (
                f"the replayed gradient is off by {_distance(found, eager):.1e}"
            )
            equal.append((found == eager).double().mean().item())
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.mul_(1 + 0.1 * torch.rand_like(parameter))
    return [f"values equal to those of the eager copy, for three states of the weights: {_shares(equal)}"]


def two_passes(work: Workload) -> Sequence[str]:
    """A gradient outlives the next one; of two forward passes the first has none any more, and says so."""
    x, y, model = work.channels_last, work.labels, work.copy(channels_last=True)
    with _autocast(work):
        copied = attacks.stand_in(model, x)
        first = attacks.input_gradient(copied, x, y)
        kept = first.clone()
        attacks.input_gradient(copied, x.flip(0), y)
        assert torch.equal(first, kept), "a gradient was overwritten by the next one"
        before, after = (x.detach().clone().requires_grad_() for _ in range(2))
        one, _ = copied(before), copied(after)
        try:
            torch.autograd.grad(one.sum(), before)
        except RuntimeError as error:
            return ["a gradient stays as it is when the next one is taken", f"two passes at once: {error}"]
    assert work.device.type != "cuda", "the gradient of the first of two passes was given without a word"
    return ["a gradient stays as it is when the next one is taken"]


def short_batch(work: Workload) -> Sequence[str]:
    """The last batch of an epoch, shorter than the captured ones, between two of them."""
    model = work.copy(channels_last=True)
    equal = []
    with _autocast(work):
        attacked, eager = attacks.stand_in(model, work.channels_last), fold(model, torch.bfloat16)
        for count in (len(work.labels), len(work.labels) * 5 // 8, len(work.labels)):
            x, y = work.channels_last[:count], work.labels[:count]
            pair = [attacks.pgd(one, x, y, work.ball(), STILL) for one in (attacked, eager)]
            equal.append((pair[0] == pair[1]).double().mean().item())
    assert min(equal) > 0.97, f"x' differ: {equal}"
    return [f"values of x' equal to those of the eager copy: {_shares(equal)}"]


def memory_out(work: Workload) -> Sequence[str]:
    """A step in less memory than it takes, down to what a capture does not fit into: in parts, and right."""
    if work.device.type != "cuda":
        return ["needs CUDA"]
    ample = work.trainer("pgd_at", precision="bf16", steps=2)
    peak = _held_by_a_step(ample, work.device)
    found = [f"a step of {len(work.labels)} images takes {peak / 2**20:.0f} MiB"]
    for share in (0.75, 0.4):
        short = work.trainer("pgd_at", precision="bf16", steps=2)
        with _memory(share * peak, work.device):
            _step(short)
        economies = short.gradients.economies
        assert economies, f"in {share:.0%} of its memory there was room enough: the limit did nothing"
        apart = max(
            _distance(a.double(), b.double())
            for a, b in zip(short.model.parameters(), ample.model.parameters(), strict=True)
        )
        assert apart < 0.05, f"weights after the step in {share:.0%} of its memory differ by {apart:.1e}"
        found.append(f"in {share:.0%} of it {economies}; weights differ by {apart:.1e} of their norm")
    return found


def resumed(work: Workload) -> Sequence[str]:
    """Killed in mid-epoch and taken up from the file, against undisturbed: the same bits. The same twice."""
    found = []
    for precision in ("fp32", "bf16"):
        weights = [_weights(_fitted(work, precision)) for _ in range(2)]
        again = _weights(_interrupted(work, precision))
        assert _same(weights[0], weights[1]), f"{precision}: two equal trainings differ"
        assert _same(weights[0], again), f"{precision}: stopped and resumed is another training"
        found.append(
            f"{precision}: two trainings, and one stopped in mid-epoch and resumed, have the same bits"
        )
    return found


# ------------------------------------------------------------------------------------------------ helpers
def _gradients(work: Workload, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    """Of the batch's cross entropy in train mode: of the images and of every weight, float64 on the CPU."""
    work = work.on(device)
    model = work.copy().train().to(dtype)
    x = work.x.to(dtype).requires_grad_()
    loss = objectives.ce(model(x), work.labels).mean()
    found = torch.autograd.grad(loss, [x, *model.parameters()])
    return [gradient.detach().cpu().double() for gradient in found]


def _distance(a: Tensor, b: Tensor) -> float:
    """|a - b| / |b|, and whether b is nothing, |a|; large where there are NaNs."""
    scale = b.norm().item()
    found = (a - b).norm().item() / (scale if scale > 1e-12 else 1)
    return float("inf") if math.isnan(found) else found


def _trainer(work: Workload, precision: str) -> Trainer:
    return work.trainer("pgd_at", precision=precision, steps=2, epochs=2, batch=max(2, len(work.labels) // 3))


def _fitted(work: Workload, precision: str) -> Trainer:
    trainer = _trainer(work, precision)
    trainer.fit(Watcher(lambda state: None))
    return trainer


def _interrupted(work: Workload, precision: str) -> Trainer:
    stopped = _trainer(work, precision)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        with suppress(Interrupted):
            stopped.fit(Watcher(lambda state: state.save(path), lambda: stopped.steps_done == 5))
        trainer = _trainer(work, precision)
        trainer.restore(Checkpoint.load(path, trainer.run_id))
    trainer.fit(Watcher(lambda state: None))
    return trainer


def _weights(trainer: Trainer) -> list[Tensor]:
    return [value.detach().clone() for value in trainer.model.state_dict().values()]


def _same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(a, b, strict=True))


def _step(trainer: Trainer) -> None:
    trainer._step(torch.arange(len(trainer.store.train), device=trainer.device))


def _held_by_a_step(trainer: Trainer, device: torch.device) -> int:
    """Peak bytes."""
    attacks.release_stand_ins()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    _step(trainer)
    peak = torch.cuda.max_memory_reserved(device)
    attacks.release_stand_ins()
    return peak


@contextmanager
def _memory(limit: float, device: torch.device) -> Iterator[None]:
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(limit / total, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def _autocast(work: Workload) -> torch.autocast:
    return torch.autocast(work.device.type, torch.bfloat16)


def _shares(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2%}" for value in values)
