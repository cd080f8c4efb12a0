"""Measures ours and the peers in turn, and writes docs/benchmarks/<cpu or gpu>.md and .csv."""

from __future__ import annotations

import argparse
import resource
import sys
from pathlib import Path

import torch

from benchmarks import contestants, peers, report
from benchmarks.images import ROOT
from benchmarks.timing import alternate
from benchmarks.workload import Workload
from robustfront.config.networks import PreActResNet
from robustfront.devices import choose_device
from robustfront.training.loop import Watcher

STANDARD = PreActResNet(depth=18, width=64)
TINY = PreActResNet(depth=10, width=4)


def main() -> None:
    options = _options()
    device = choose_device(options.device)
    config = TINY if options.quick else STANDARD
    work = Workload.make(
        config,
        batch=8 if options.quick else options.batch,
        size=8 if options.quick else 32,
        folder=options.images,
        device=device,
    )
    budget = contestants.Budget(2 if options.quick else 10)
    facts = [
        *report.facts_of_machine(device),
        f"PreActResNet-{config.depth}, width {config.width}; {len(work.labels)} {work.described}; linf "
        "8/255, steps of 2/255",
    ]
    found = []
    on_gpu = device.type == "cuda"
    for index, threads in enumerate([torch.get_num_threads()] if on_gpu else options.threads):
        torch.set_num_threads(threads)
        entrants = [
            *contestants.peaks(device, 256 if options.quick else 2048),
            *contestants.training(work, budget),
        ]
        rivals = [contestants.TEXTBOOK, *peers.installed()]
        if index == 0:
            entrants += contestants.evaluation(work, budget, rivals=rivals)
            entrants += contestants.null_space(work, budget)
            entrants += contestants.levers(work, budget, compiled=options.compile)
            entrants += contestants.linearity(work, budget)
            rounds = options.rounds
        else:  # the rest of the story is told
            entrants += contestants.evaluation(work, budget, rivals=rivals[1:2])
            rounds = max(1, options.rounds // 2)
        records = alternate(entrants, rounds, device, _say, warm_up=index == 0)
        found += report.rows(entrants, records, threads)
    facts.append(epochs(options.images, device))
    stem = options.out / ("gpu" if on_gpu else "cpu")
    command = "make bench" if sys.argv[1:] == [] else f"python -m benchmarks {' '.join(sys.argv[1:])}"
    report.write(found, stem, command=command, facts=facts)
    _say(f"wrote {stem}.md and {stem}.csv")


def epochs(folder: Path | None, device: torch.device) -> str:
    """Time and memory of a training after 10 and after 40 epochs: a sentence."""
    work = Workload.make(TINY, batch=128, size=16, folder=folder, device=device)
    trainer = work.trainer("pgd_at", precision="bf16", steps=3, epochs=40, batch=64)
    memory: list[int] = []

    def look(steps: int, text: str) -> None:
        if steps % trainer.steps_per_epoch == 0:
            memory.append(_held(device))

    history = trainer.fit(Watcher(lambda state: None, progress=look)).history
    seconds = [row["seconds"] for row in history[1:]]  # epoch 0 is the start
    early, late = sum(seconds[5:15]), sum(seconds[30:40])
    return (
        f"Over 40 epochs of a small training: ten later epochs took {late / early:.2f} of the time of ten "
        f"earlier ones; the most memory held grew by {(memory[-1] - memory[9]) / 1e6:.1f} MB from epoch 10 on"
    )


def _held(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument(
        "--rounds",
        type=int,
        default=3,
        help="measured rounds; half as many from the second thread count on (default: 3)",
    )
    parser.add_argument("--batch", type=int, default=64, help="images per batch (default: 64)")
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[2, 1], help="thread counts on a CPU (default: 2 1)"
    )
    parser.add_argument("--images", type=Path, help="folder with CIFAR-10's archive or cifar-10-batches-py/")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks", help="folder of the tables")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile, too")
    parser.add_argument("--quick", action="store_true", help="a tiny network: tests the benchmark")
    return parser.parse_args()


if __name__ == "__main__":
    main()
