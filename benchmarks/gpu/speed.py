"""How fast trainings and attacks are on this GPU. Each function gives the rows of a table, heading first."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch

from benchmarks import autoattack_resnet18, contestants, peers, textbook
from benchmarks.timing import measured
from benchmarks.workload import CLASSES, EPS, STEP_SIZE, Workload
from robustfront import attacks
from robustfront.config.schema import Ascent
from robustfront.models.folded import fold
from robustfront.training.loop import Watcher

EPOCH = 50_000
"""Images of an epoch, of CIFAR-10's training part."""

Rows = list[list[str]]


def peaks(work: Workload, size: int) -> Rows:
    """Square matrix products and 3x3 convolutions, as `make bench` has them: what the card can do."""
    rows = [["", "TFLOP/s"]]
    for contestant in contestants.peaks(work.device, size):
        seconds = seconds_of(contestant.run, work.device, 5)
        rows.append([contestant.name, f"{contestant.units * contestant.unit_flops / seconds / 1e12:.0f}"])
    return rows


def trainings(work: Workload, steps: int, size: int, repeats: int) -> Rows:
    """A step of each training: its seconds, and what it makes an epoch of 50,000 images."""
    part = work.part(size)
    rows = [["", "ms a step", "s an epoch", "images/s", "useful TFLOP/s", "peak MiB"]]
    for name, run, units in _entrants(part, steps):
        seconds, peak = _measured(run, part.device, repeats)
        rows.append([
            name,
            f"{seconds * 1e3:.2f}",
            f"{seconds * EPOCH / size:.1f}",
            f"{size / seconds:.0f}",
            f"{units * part.unit_flops(size) / seconds / 1e12:.0f}",
            f"{peak / 2**20:.0f}",
        ])  # fmt: skip
        attacks.release_stand_ins()
    return rows


def _entrants(work: Workload, steps: int) -> Iterator[tuple[str, Callable[[], object], int]]:
    """Name, a step, and the forward-equivalents that it needs at least."""
    ours = partial(work.training_step, steps=steps)
    given = {"eps": EPS, "step_size": STEP_SIZE, "steps": steps}
    trades = {"generator": "trades", "beta": 6.0}
    model = work.copy()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    published = partial(textbook.pgd_at_step, model, optimizer, work.x, work.labels, **given)
    yield "PGD-AT, textbook loop, TF32", contestants.as_installed(published), 2 * steps + 3
    yield (
        "PGD-AT, textbook loop, bf16 autocast",
        contestants.as_installed(_in_bf16(published, work.device)),
        2 * steps + 3,
    )
    yield "PGD-AT, ours, float32", ours("pgd_at", precision="fp32"), 2 * steps + 3
    yield "PGD-AT, ours, bf16", ours("pgd_at", precision="bf16"), 2 * steps + 3
    yield "the same, cuDNN free to choose", _free(ours("pgd_at", precision="bf16")), 2 * steps + 3
    published = partial(textbook.trades_step, model, optimizer, work.x, work.labels, beta=6.0, **given)
    yield "TRADES, textbook loop, TF32", contestants.as_installed(published), 2 * steps + 7
    yield "TRADES, ours, bf16", ours("trades", precision="bf16", beta=6.0), 2 * steps + 7
    yield "NPDA + TRADES, ours, bf16", ours("npda", precision="bf16", **trades), 2 * steps + 7
    yield "NPGD + TRADES, ours, bf16", ours("npgd", precision="bf16", **trades), 2 * steps + 7


def graphs(work: Workload, steps: int, sizes: Sequence[int], repeats: int, *, compiled: bool) -> Rows:
    """The attack of a bf16 training on the eager copy, replayed, and compiled and replayed."""
    kinds = ["eager", "replayed", *(["compiled and replayed"] if compiled else [])]
    rows = [["images", *(f"{kind}, ms" for kind in kinds), "eager/replayed"]]
    for size in sizes:
        found = [_attack(work.part(size), steps, kind, repeats) for kind in kinds]
        rows.append([str(size), *(f"{each * 1e3:.2f}" for each in found), f"{found[0] / found[1]:.2f}x"])
    return rows


def _attack(work: Workload, steps: int, kind: str, repeats: int) -> float:
    x, labels, model = work.channels_last, work.labels, work.copy(channels_last=True)
    ascent = Ascent(steps=steps, step_size=STEP_SIZE, start="uniform")
    attacks.release_stand_ins()
    with torch.autocast(work.device.type, torch.bfloat16):
        attacks.compile_stand_ins(kind.startswith("compiled"))
        copied = fold(model, torch.bfloat16) if kind == "eager" else attacks.stand_in(model, x)
        attacks.compile_stand_ins(False)
        return seconds_of(partial(attacks.pgd, copied, x, labels, work.ball(), ascent), work.device, repeats)


def evaluation(work: Workload, steps: int, repeats: int) -> Rows:
    """PGD as an evaluation has it, beside other libraries; theirs under PyTorch's own settings (TF32)."""
    rows = [["", "images/s"]]
    given = {"eps": EPS, "step_size": STEP_SIZE, "steps": steps}
    for name in peers.installed():
        attack = peers.pgd(name, work.copy(), classes=CLASSES, **given)
        run = contestants.as_installed(partial(attack, work.x, work.labels))
        rows.append([name, f"{len(work.labels) / seconds_of(run, work.device, repeats):.0f}"])
    ours = contestants.Ours(work.copy(channels_last=True), work, steps)
    rows.append(["ours, float32", f"{len(work.labels) / seconds_of(ours.run, work.device, repeats):.0f}"])
    return rows


def autoattack(work: Workload) -> Rows:
    """Standard AutoAttack on images that all withstand it, a twentieth of its steps and queries."""
    rows = [["", "s for 1,000 images that withstand all of it"]]
    model = work.copy()
    entrants = autoattack_resnet18.entrants(model, work.x, model(work.x).argmax(1).detach())
    with autoattack_resnet18.shortened():
        for name, attack in entrants.items():
            seconds, _ = measured(attack, work.device)
            whole = seconds * autoattack_resnet18.SHORTER * 1000 / len(work.labels)
            rows.append([name, f"{whole:.0f}"])
    return rows


def epoch(work: Workload, steps: int) -> Sequence[str]:
    """One whole epoch of PGD-AT with all that belongs to it, on the images there are."""
    trainer = work.trainer("pgd_at", precision="bf16", steps=steps, batch=min(128, len(work.labels) // 2))
    began = time.monotonic()
    _, row = trainer.fit(Watcher(lambda state: None)).history
    seconds = time.monotonic() - began
    count, size, spent = len(work.labels), trainer.training.batch_size, row["seconds"]
    return [
        f"{count} images in batches of {size}: {spent:.1f} s of training, {seconds:.1f} s with capture, "
        f"judging and saving; that makes {spent * EPOCH / count:.1f} s for {EPOCH:,} images",
        f"accuracy on its training images: {row['train_adversarial_accuracy']:.1%} under attack",
    ]


# ------------------------------------------------------------------------------------------------ helpers
def _measured(run: Callable[[], object], device: torch.device, repeats: int) -> tuple[float, int]:
    """Of one call after two that do not count: the median second of three rounds, and the bytes it needs."""
    for _ in range(2):
        run()
    found = [measured(lambda: [run() for _ in range(repeats)], device) for _ in range(3)]
    return statistics.median(seconds for seconds, _ in found) / repeats, max(memory for _, memory in found)


def seconds_of(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Of one call, after two that do not count."""
    return _measured(run, device, repeats)[0]


def _in_bf16(run: Callable[[], object], device: torch.device) -> Callable[[], object]:
    def call() -> object:
        with torch.autocast(device.type, torch.bfloat16):
            return run()

    return call


def _free(run: Callable[[], object]) -> Callable[[], object]:
    """Not held to the same bits every time, and with cuDNN trying its ways out."""

    def call() -> object:
        cudnn = torch.backends.cudnn
        cudnn.deterministic, cudnn.benchmark = False, True
        try:
            return run()
        finally:
            cudnn.deterministic, cudnn.benchmark = True, False

    return call
