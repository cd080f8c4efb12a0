"""`robustfront snapshot`: finished work recorded in DVC, whichever engine did it."""

import os
import subprocess
import sys
from pathlib import Path

from robustfront.artefacts import Layout
from robustfront.errors import ArtefactError
from robustfront.planning import Plan
from robustfront.upkeep.status import Status


def snapshot(plan: Plan, found: Status, selected: str, layout: Layout, reports: Path) -> str:
    """Records results and report as the outcome of the stages of dvc.yaml; returns what to do next.

    `selected` is the scale of params.yaml. ArtefactError if work is missing, if the plan is of another scale
    than DVC will note down, if results or report lie behind a link, if DVC itself is running us, or if it
    fails.
    """
    if inside := {"DVC_ROOT", "DVC_STAGE"} & os.environ.keys():
        raise ArtefactError(
            f"snapshot: DVC runs us ({', '.join(sorted(inside))} is set) and records by itself; "
            "remove the call"
        )
    if plan.scale != selected:
        raise ArtefactError(
            f"snapshot: DVC notes down params.yaml, which selects scale '{selected}'; "
            f"write `scale: {plan.scale}` there to record that one"
        )
    for folder in (layout.results, reports):
        if folder.is_symlink():
            raise ArtefactError(
                f"snapshot: {folder} is a link to {folder.readlink()}, and DVC records nothing behind it; "
                "make it a folder, and let those in it be links"
            )
    if not found.is_complete:
        lacking = [f"{len(found.missing)} item(s) are missing"] if found.missing else []
        if found.old_reports:
            lacking.append(f"the report is not made of what is there ({', '.join(found.old_reports)})")
        raise ArtefactError(
            f"snapshot: {' and '.join(lacking)}; run `snakemake` (`robustfront status` says what it makes)"
        )
    _dvc("commit", "--force", "--no-relink")
    _dvc("status", "--quiet")
    locked = Path("dvc.lock")
    return f"recorded in {locked}: commit it with git, and `dvc push` if a remote is set"


def _dvc(*words: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "dvc", *words],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if answer.returncode:
        said = answer.stdout.strip() or "its outputs still differ from dvc.lock"
        raise ArtefactError(f"snapshot: `dvc {' '.join(words)}` failed: {said}")
