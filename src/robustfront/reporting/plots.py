"""reports/plots: what `dvc plots diff` draws of two revisions, under names that an edited parameter keeps."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from robustfront.artefacts import write_text
from robustfront.reporting.planned import PlannedRun
from robustfront.reporting.results import Results

ADVERSARIAL, CLEAN = "validation_adversarial_accuracy", "validation_clean_accuracy"


def write_plots(metrics: Mapping[str, Any], studies: Mapping[str, Results], folder: Path) -> list[Path]:
    """Writes `folder`/errors (a file per study, suite and attack) and /training (one per run).

    `metrics`: study -> what `metrics.metrics` returns. Returns the files; those of an earlier plan go.
    """
    tables = {f"errors/{name}": table for name, table in _errors(metrics).items()}
    for study, results in studies.items():
        for run in results.runs.values():
            if (table := _training(results, run)) is not None:
                tables[f"training/{study}-{_name(run)}"] = table
    shutil.rmtree(folder, ignore_errors=True)
    files = []
    for name, table in sorted(tables.items()):
        path = folder / f"{name}.csv"
        write_text(path, table.to_csv(index=False, lineterminator="\n"))
        files.append(path)
    return files


def _errors(metrics: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """`<study>-<suite>-<attack>` -> `run`, `error` in percent."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for study, datasets in metrics.items():
        for dataset, runs in datasets.items():
            for run, suites in runs.items():
                for suite, attacks in suites.items():
                    for attack, error in attacks.items():
                        row = {"run": f"{dataset} {run}", "error": error}
                        rows.setdefault(f"{study}-{suite}-{attack}", []).append(row)
    return {name: pd.DataFrame(found) for name, found in rows.items()}


def _training(results: Results, run: PlannedRun) -> pd.DataFrame | None:
    """`epoch`, `validation_accuracy` in percent: under attack if the run is judged so, else clean."""
    history = results.history(run.id)
    judged = ADVERSARIAL if run.config.training.validation.attack else CLEAN
    if history is None or judged not in history:
        return None
    accuracy = (100 * history[judged]).round(4)
    return pd.DataFrame({"epoch": history["epoch"], "validation_accuracy": accuracy}).dropna()


def _name(run: PlannedRun) -> str:
    """Data set, name and seed; a run that only others start from has no name but its id without the hash."""
    if not run.names:
        return run.id.rpartition("-")[0]
    return f"{run.config.dataset.name}-{run.names[0].replace('/', '-')}-s{run.config.seed}"
