"""What the workflow costs besides its work: plans, graphs, start-up. Writes docs/benchmarks/workflow.md.

python -m benchmarks.workflow
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from robustfront.planning import load_plan

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("Snakefile", "workflow", "profiles", "notebooks", "params.yaml")
SWEEP = """  many: { method: pgd_at, init: st, sweep: { attack.steps: %s, training.optimizer.lr: %s } }
"""
TARGETS = {"dry run, 5,000 runs": "60 s, 2 GB", "dry run, digits": "5 s", "robustfront --help": "0.5 s"}


@dataclass(frozen=True)
class Cost:
    """Of a command and its children: CPU seconds, and the largest process's memory."""

    seconds: float
    megabytes: float


def measured(command: list[str], folder: Path) -> Cost:
    """Runs `command` in `folder`, in a process of its own so that its memory is told apart."""
    code = (
        "import resource, subprocess, sys\n"
        "quiet = subprocess.DEVNULL\n"
        "code = subprocess.run(sys.argv[1:], stdout=quiet, stderr=quiet).returncode\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(code, used.ru_utime + used.ru_stime, used.ru_maxrss)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=folder, capture_output=True, text=True, check=True
    )
    status, seconds, kilobytes = answer.stdout.split()
    if status != "0":
        raise SystemExit(f"{' '.join(command)}: failed with {status}")
    return Cost(float(seconds), int(kilobytes) / 1024)


def project_of(runs: int, folder: Path) -> None:
    """A copy of the workflow whose digits scale has `runs` more runs, by a sweep, if any."""
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    if not runs:
        return
    path = folder / "params.yaml"
    lines = path.read_text().splitlines()
    heading = next(
        index for index, line in enumerate(lines) if line.startswith("# -") and "data sets" in line
    )
    rates = [round(0.01 * (1 + index), 2) for index in range(10)]
    sweep = SWEEP % (list(range(1, runs // 10 + 1)), rates)
    text = "\n".join([*lines[:heading], sweep, *lines[heading:]])
    path.write_text(text.replace("    sweeps: ends", "    sweeps: all") + "\n")
    assert len(load_plan(path, "digits").runs) > runs


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    python, snakemake = [sys.executable], [sys.executable, "-m", "snakemake"]
    robustfront = [*python, "-m", "robustfront"]
    found: dict[str, Cost] = {"robustfront --help": measured([*robustfront, "--help"], ROOT)}
    for runs in (0, 1000, 5000):
        with tempfile.TemporaryDirectory() as folder:
            project_of(runs, Path(folder))
            what = f"{runs:,} runs" if runs else "digits"
            found[f"robustfront plan, {what}"] = measured([*robustfront, "plan"], Path(folder))
            found[f"dry run, {what}"] = measured([*snakemake, "-n", "--quiet"], Path(folder))
    for module in ("torch", "training.session", "evaluation.session", "analysis.session", "reporting.page"):
        name = module if module == "torch" else f"robustfront.{module}"
        found[f"import {name}"] = measured([*python, "-c", f"import {name}"], ROOT)
    write(found, ROOT / "docs" / "benchmarks" / "workflow.md")


def write(found: dict[str, Cost], path: Path) -> None:
    rows = [
        [name, f"{cost.seconds:.1f}", f"{cost.megabytes:.0f}", TARGETS.get(name, "")]
        for name, cost in found.items()
    ]
    table = tabulate(rows, ["what", "CPU s", "MB", "target"], "github", disable_numparse=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "# What the workflow costs besides its work\n\n"
        "Written by `python -m benchmarks.workflow`. CPU seconds, user and system, one thread: on a machine\n"
        "that has nothing else to do, the time one waits. MB: the largest process. Dry runs are in an empty\n"
        "project, where all is to be done.\n\n"
        f"{table}\n"
    )


if __name__ == "__main__":
    main()
