"""Contestants take turns, so that whatever else the machine does meets all of them alike."""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Contestant:
    """One thing to time. `units`: forward-equivalents per image that the task needs at least, in any code.

    `unit_flops` are those of one unit of all the images; `against` names the contestant it is compared with;
    `bf16` says that its convolutions are computed in that type.
    """

    table: str
    name: str
    run: Callable[[], Any]
    images: int
    units: float
    unit_flops: float
    against: str | None = None
    note: str = ""
    bf16: bool = False


@dataclass
class Record:
    """Seconds of every round, and the largest memory a call needed beyond what it found (bytes)."""

    seconds: list[float] = field(default_factory=list)
    memory: int = 0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Half the range between the quartiles, as a share of the median."""
        if len(self.seconds) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (high - low) / 2 / self.median


def alternate(
    contestants: Sequence[Contestant],
    rounds: int,
    device: torch.device,
    say: Callable[[str], None],
    *,
    warm_up: bool = True,
) -> dict[str, Record]:
    """All contestants once unmeasured, then `rounds` times in turn, starting with another one each round."""
    records = {f"{c.table}/{c.name}": Record() for c in contestants}
    assert len(records) == len(contestants), "names must differ"
    for contestant in contestants if warm_up else ():
        say(f"warming up  {contestant.table}: {contestant.name}")
        contestant.run()
    for turn in range(rounds):
        shift = turn % len(contestants)
        for contestant in [*contestants[shift:], *contestants[:shift]]:
            seconds, memory = measured(contestant.run, device)
            record = records[f"{contestant.table}/{contestant.name}"]
            record.seconds.append(seconds)
            record.memory = max(record.memory, memory)
            say(f"round {turn + 1}/{rounds}  {contestant.table}: {contestant.name}  {seconds:.3f} s")
    return records


def paired_ratio(slower: Record, faster: Record) -> float:
    """Median over the rounds of the ratio within a round: what disturbs a whole round cancels."""
    return statistics.median(a / b for a, b in zip(slower.seconds, faster.seconds, strict=True))


def measured(run: Callable[[], Any], device: torch.device) -> tuple[float, int]:
    """Seconds until the device is done, and peak memory beyond what was held before."""
    gc.collect()
    before = _reset_peak(device)
    _wait(device)
    started = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - started, max(0, _peak(device) - before)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reset_peak(device: torch.device) -> int:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what a call before this one freed is not to be found again
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # resets the kernel's high-water mark
    return _status("VmRSS")


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _status("VmHWM")


def _status(key: str) -> int:
    """Bytes by the kernel's account of this process; 0 where it keeps none."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(key + ":")).split()[1]) * 1024
    return 0
