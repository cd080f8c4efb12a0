"""First contact with a GPU: `python -m benchmarks.gpu check` or `evidence`.

check: is it right there, and how fast is it; evidence: what a few epochs at full width come to. Written to
docs/benchmarks/gpu.md, or gpu-evidence.md, step by step. `--device cpu --tiny` rehearses it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

import torch

from benchmarks.gpu import correct, evidence, speed
from benchmarks.gpu.journal import Journal
from benchmarks.gpu.mosaics import unpacked
from benchmarks.images import ROOT
from benchmarks.workload import Workload
from robustfront.config.networks import PreActResNet
from robustfront.devices import choose_device


def main() -> int:
    options = _options()
    device = choose_device(options.device)
    tiny = options.tiny
    if tiny:
        torch.set_num_threads(1)
    work = partial(
        Workload.make,
        PreActResNet(depth=10, width=4) if tiny else PreActResNet(depth=18, width=64),
        size=8 if tiny else 32,
        folder=unpacked(options.images) if options.images else None,
        device=device,
    )
    if options.what == "check":
        page, title = "gpu.md", "First contact with a GPU"
    else:
        page, title = "gpu-evidence.md", "A few epochs at full width"
    command = f"python -m benchmarks.gpu {' '.join(sys.argv[1:])}"
    journal = Journal(options.out / page, title, command, device, options.seconds)
    if options.what == "check":
        check(journal, work, tiny)
    else:
        few = evidence.Budget(2, 16, reserve=30, attacked=4)
        budget = few if tiny else evidence.Budget(10, 128, options.reserve, options.attacked)
        with tempfile.TemporaryDirectory() as folder:
            kept, all_images = options.out / "evidence.tar.gz", work(batch=10**6)
            evidence.gather(journal, all_images, work.keywords["folder"], Path(folder), kept, budget)
    return 1 if journal.failed else 0


def check(journal: Journal, work: partial[Workload], tiny: bool) -> None:
    """Correctness first, then times, the most wanted first."""
    journal.section("Is it right?")
    small, large = work(batch=12 if tiny else 96), work(batch=16 if tiny else 512)
    for name, step in (
        ("float32 against float64", partial(correct.float32, small)),
        ("bfloat16 against float32", partial(correct.bfloat16, small)),
        ("CUDA graphs against eager kernels", partial(correct.replayed, small)),
        ("two passes through one graph", partial(correct.two_passes, small)),
        ("a short batch among captured ones", partial(correct.short_batch, small)),
        ("same bits, killed or not", partial(correct.resumed, small)),
        ("memory that runs out", partial(correct.memory_out, large)),
    ):
        journal.step(name, step)

    steps, repeats = (2, 1) if tiny else (10, 5)

    def table(make: partial[speed.Rows]) -> list[str]:
        journal.table(make())
        return []

    network = f"PreActResNet-{large.config.depth}, width {large.config.width}"
    journal.section(f"How fast is it? {network}, attacks of {steps} steps")
    journal.step("the card at its best", partial(table, partial(speed.peaks, large, 64 if tiny else 8192)))
    for size in (8,) if tiny else (128, 512):
        make = partial(speed.trainings, large, steps, size, repeats)
        journal.step(f"a training step, batches of {size}", partial(table, make))
    images = work(batch=64 if tiny else TRAINED_WHOLE)
    journal.step("an epoch of PGD-AT as it is", partial(speed.epoch, images, steps))
    sizes = (8,) if tiny else (64, 128, 512)
    make = partial(speed.graphs, large, steps, sizes, repeats, compiled=False)
    journal.step("graph against eager kernels", partial(table, make))
    make = partial(speed.evaluation, large, 2 * steps, 1)
    journal.step("PGD of evaluations, beside others", partial(table, make))
    part = work(batch=4 if tiny else 256)
    journal.step("AutoAttack", partial(table, partial(speed.autoattack, part)))
    if not tiny:
        make = partial(speed.graphs, large, steps, (128, 512), repeats, compiled=True)
        journal.step("torch.compile under the graph", partial(table, make))


TRAINED_WHOLE = 20_000
"""Real images for the epoch that is trained whole; of an H100 it takes some seconds."""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["check", "evidence"])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="seconds on a CPU: rehearses the script")
    parser.add_argument("--images", type=Path, help="images of a bundle, or as of `python -m benchmarks`")
    parser.add_argument("--seconds", type=float, default=420, help="no step begins after so many")
    parser.add_argument(
        "--reserve", type=float, default=180, help="of them, for the attacks on what is trained"
    )
    parser.add_argument("--attacked", type=int, default=200, help="images for AutoAttack")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks", help="folder of the page")
    options = parser.parse_args()
    if options.what == "evidence" and options.images is None:
        parser.error("evidence is of real images: give --images")
    return options


if __name__ == "__main__":
    torch.manual_seed(0)
    sys.exit(main())
