"""reports/plots: what `dvc plots diff` draws of two revisions, under names that an edited parameter keeps."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from robustfront.artefacts import Layout, write_text
from robustfront.reporting.results import Plan, PlannedRun, read_history

ADVERSARIAL, CLEAN = "validation_adversarial_accuracy", "validation_clean_accuracy"


def write_plots(plan: Plan, layout: Layout, metrics: dict[str, Any], folder: Path) -> list[Path]:
    """Writes `folder`/errors (a file per suite and attack) and /training (one per run); returns the files.

    `metrics` are those of the page. Files of an earlier plan are removed.
    """
    tables = {f"errors/{name}": rows for name, rows in _errors(metrics).items()}
    tables |= {f"training/{_name(run)}": _training(layout, run) for run in plan.runs.values()}
    shutil.rmtree(folder, ignore_errors=True)
    files = []
    for name, table in sorted(tables.items()):
        path = folder / f"{name}.csv"
        write_text(path, table.to_csv(index=False, lineterminator="\n"))
        files.append(path)
    return files


def _errors(metrics: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """`<suite>-<attack>` -> `run`, `error` in percent."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for dataset, runs in metrics.items():
        for run, suites in runs.items():
            for suite, attacks in suites.items():
                for attack, error in attacks.items():
                    row = {"run": f"{dataset} {run}", "error": error}
                    rows.setdefault(f"{suite}-{attack}", []).append(row)
    return {name: pd.DataFrame(found) for name, found in rows.items()}


def _training(layout: Layout, run: PlannedRun) -> pd.DataFrame:
    """`epoch`, `validation_accuracy` in percent: under attack if the run is judged so, else clean."""
    history = read_history(layout, run.id)
    judged = ADVERSARIAL if run.config.training.validation.attack else CLEAN
    accuracy = (100 * history[judged]).round(4)
    return pd.DataFrame({"epoch": history["epoch"], "validation_accuracy": accuracy}).dropna()


def _name(run: PlannedRun) -> str:
    """Data set, name and seed; a run that only others start from has no name but its id without the hash."""
    if not run.names:
        return run.id.rpartition("-")[0]
    return f"{run.config.dataset.name}-{run.names[0]}-s{run.config.seed}"
