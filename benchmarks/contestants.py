"""Who competes in which table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import peers, textbook
from benchmarks.timing import Contestant
from benchmarks.workload import CLASSES, EPS, STEP_SIZE, Workload
from robustfront import attacks
from robustfront.config.schema import Ascent
from robustfront.devices import round_to_tf32
from robustfront.models import Classifier

AT, ATTACK, TRADES, NULL, LEVERS, STEPS, IMAGES, PEAK = (
    "Adversarial-training step, PGD-{steps}",
    "PGD-{double} attack",
    "TRADES step, {steps} attack steps",
    "Null-space projection (NPAT)",
    "What each measure brings, PGD-{steps} attack",
    "Cost against attack steps",
    "Cost against images",
    "Peak of this machine",
)


TEXTBOOK = "textbook loop"


@dataclass(frozen=True)
class Budget:
    """`steps` of training attacks; the evaluation attack has twice as many."""

    steps: int

    def title(self, table: str) -> str:
        return table.format(steps=self.steps, double=2 * self.steps)


@dataclass(frozen=True)
class Ours:
    """Our PGD with as many of the engine's measures as asked for; `copied`: on the folded copy."""

    model: Classifier
    work: Workload
    steps: int
    channels_last: bool = True
    bf16: bool = False
    copied: bool = False

    def run(self) -> Tensor:
        x, labels = self.work.x, self.work.labels
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        ascent = Ascent(steps=self.steps, step_size=STEP_SIZE, start="uniform")
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            attacked = attacks.stand_in(self.model, x) if self.copied else self.model
            return attacks.pgd(attacked, x, labels, self.work.ball(), ascent)


def training(work: Workload, budget: Budget) -> Iterator[Contestant]:
    """PGD-AT and TRADES: the textbook loop, ours in float32, ours in bfloat16."""
    count, steps = len(work.labels), budget.steps
    schedule = {"eps": EPS, "step_size": STEP_SIZE, "steps": steps}
    for table, method, params, units in (
        (AT, "pgd_at", {}, 2 * steps + 3),
        (TRADES, "trades", {"beta": 6.0}, 2 * steps + 7),
    ):
        title = budget.title(table)
        model = work.copy()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
        step = textbook.pgd_at_step if method == "pgd_at" else textbook.trades_step
        published = partial(step, model, optimizer, work.x, work.labels, **schedule, **params)
        spent = 3 * steps + 3 if method == "pgd_at" else 3 * steps + 9
        make = _maker(title, count, units, work.unit_flops(count), TEXTBOOK)
        yield make(TEXTBOOK, as_installed(published), note=f"{spent} forward-equivalents, float32, NCHW")
        for precision, name in (("fp32", "ours, fp32"), ("bf16", "ours, bf16")):
            run = work.training_step(method, precision=precision, steps=steps, **params)
            note = f"{units} forward-equivalents, channels-last"
            yield make(name, run, note, bf16=precision == "bf16")


def null_space(work: Workload, budget: Budget) -> Iterator[Contestant]:
    """NPDA and NPGD against TRADES with the same attack and the same loss."""
    count = len(work.labels)
    make = _maker(NULL, count, 2 * budget.steps + 7, work.unit_flops(count), "TRADES, bf16")
    for name, method, params in (
        ("TRADES, bf16", "trades", {}),
        ("NPDA, bf16", "npda", {"generator": "trades"}),
        ("NPGD, bf16", "npgd", {"generator": "trades"}),
    ):
        run = work.training_step(method, precision="bf16", steps=budget.steps, beta=6.0, **params)
        yield make(name, run, bf16=True)


def evaluation(work: Workload, budget: Budget, *, rivals: Sequence[str]) -> Iterator[Contestant]:
    """PGD on a model in eval mode: these peers, among which may be the textbook loop, and ours."""
    count, steps = len(work.labels), 2 * budget.steps
    schedule = {"eps": EPS, "step_size": STEP_SIZE, "steps": steps}
    make = _maker(budget.title(ATTACK), count, 2 * steps, work.unit_flops(count), "torchattacks")
    if TEXTBOOK in rivals:
        plain = partial(textbook.pgd, work.copy(), work.x, work.labels, **schedule)
        yield make(TEXTBOOK, as_installed(plain))
    for name in (name for name in rivals if name != TEXTBOOK):
        attack = peers.pgd(name, work.copy(), classes=CLASSES, **schedule)
        yield make(name, as_installed(partial(attack, work.x, work.labels)))
    ours = Ours(work.copy(channels_last=True), work, steps)
    yield make("ours, fp32", ours.run, note="what evaluations run")
    yield make("ours, bf16", replace(ours, bf16=True, copied=True).run, note="what trainings run", bf16=True)


def levers(work: Workload, budget: Budget, *, compiled: bool) -> Iterator[Contestant]:
    """One measure more each time; `compiled`: torch.compile, too."""
    count, steps = len(work.labels), budget.steps
    schedule = {"eps": EPS, "step_size": STEP_SIZE, "steps": steps}
    title = budget.title(LEVERS)
    make = _maker(title, count, 2 * steps, work.unit_flops(count), "weights' gradients, NCHW")
    wasteful = partial(textbook.pgd, work.copy(), work.x, work.labels, **schedule)
    yield make("weights' gradients, NCHW", as_installed(wasteful))
    yield make("+ input gradients only", Ours(work.copy(), work, steps, channels_last=False).run)
    last = Ours(work.copy(channels_last=True), work, steps)
    yield make("+ channels-last", last.run)
    yield make("+ bfloat16 autocast", replace(last, bf16=True).run, bf16=True)
    yield make("+ folded copy", replace(last, bf16=True, copied=True).run, bf16=True)
    if compiled:
        ours = Ours(work.copy(channels_last=True), work, steps, bf16=True, copied=True)
        yield make("+ torch.compile", partial(_compiling, ours.run), bf16=True)


def linearity(work: Workload, budget: Budget) -> Iterator[Contestant]:
    """Ours in bf16 with half, once and twice the steps; with a quarter, half and all of the images."""
    count, model = len(work.labels), work.copy(channels_last=True)
    for factor in (1, 2, 4):
        steps = max(1, budget.steps * factor // 2)
        make = _maker(STEPS, count, 2 * steps, work.unit_flops(count), None)
        yield make(f"{steps} steps", Ours(model, work, steps, bf16=True, copied=True).run, bf16=True)
    for factor in (4, 2, 1):
        few = replace(work, images=work.images[: count // factor], labels=work.labels[: count // factor])
        make = _maker(IMAGES, len(few.labels), 2 * budget.steps, work.unit_flops(len(few.labels)), None)
        ours = Ours(model, few, budget.steps, bf16=True, copied=True)
        yield make(f"{len(few.labels)} images", ours.run, bf16=True)


def peaks(device: torch.device, size: int) -> Iterator[Contestant]:
    """Square matrix products and 3x3 convolutions, ten each, in both types: what the hardware can do."""
    for dtype, name in ((torch.float32, "fp32"), (torch.bfloat16, "bf16")):
        a = torch.randn(size, size, device=device, dtype=dtype)
        x = torch.randn(64, size // 8, 8, 8, device=device, dtype=dtype)
        weight = torch.randn(size // 8, size // 8, 3, 3, device=device, dtype=dtype)
        x, weight = (value.contiguous(memory_format=torch.channels_last) for value in (x, weight))
        make = partial(Contestant, PEAK, images=10, units=10, bf16=dtype == torch.bfloat16)
        product = partial(_repeat, torch.mm, a, a)
        yield make(f"matrix product, {name}", run=product, unit_flops=2 * size**3)
        convolution = partial(_repeat, partial(F.conv2d, padding=1), x, weight)
        flops = 2 * weight.numel() * x[:, 0].numel()
        yield make(f"3x3 convolution, {name}", run=convolution, unit_flops=flops)


def as_installed(run: Callable[[], Any]) -> Callable[[], Any]:
    """`run` under PyTorch's own settings; ours ask cuDNN for deterministic convolutions without TF32."""

    def call() -> Any:
        torch.backends.cudnn.deterministic = False
        round_to_tf32(True)
        try:
            return run()
        finally:
            torch.backends.cudnn.deterministic = True
            round_to_tf32(False)

    return call


def _compiling(run: Callable[[], Tensor]) -> None:
    attacks.compile_stand_ins(True)
    try:
        run()
    finally:
        attacks.compile_stand_ins(False)


def _repeat(operation: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> None:
    for _ in range(10):
        operation(a, b)


def _maker(
    table: str, images: int, units: float, flops: float, against: str | None
) -> Callable[..., Contestant]:
    def make(name: str, run: Callable[[], object], note: str = "", *, bf16: bool = False) -> Contestant:
        other = None if name == against else against
        return Contestant(table, name, run, images, units, flops, other, note, bf16)

    return make
