"""What the runs of a plan left on disk, as tidy tables: evaluations, masking checks, histories, manifests."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import pandas as pd

from robustfront.artefacts import Layout
from robustfront.checksums import read_record
from robustfront.config.analyses import Analysis
from robustfront.config.schema import Dataset, Run, Suite
from robustfront.errors import ArtefactError


class PlannedRun(Protocol):
    """A run of the plan. `names`: the params.yaml entries it serves; two entries may resolve to one run."""

    @property
    def id(self) -> str: ...
    @property
    def names(self) -> Sequence[str]: ...
    @property
    def config(self) -> Run: ...
    @property
    def dataset_id(self) -> str: ...


class PlannedAnalysis(Protocol):
    """An analysis of the plan; the keys of `runs` are the ids of the runs it is done on."""

    @property
    def id(self) -> str: ...
    @property
    def config(self) -> Analysis: ...
    @property
    def runs(self) -> Mapping[str, str | None]: ...


class Plan(Protocol):
    """The part of `robustfront.planning.Plan` that reporting reads."""

    @property
    def scale(self) -> str: ...
    @property
    def note(self) -> str: ...
    @property
    def datasets(self) -> Mapping[str, Dataset]: ...
    @property
    def suites(self) -> Mapping[str, Suite]: ...
    @property
    def analyses(self) -> Mapping[str, PlannedAnalysis]: ...
    @property
    def runs(self) -> Mapping[str, PlannedRun]: ...
    def find(self, name: str, dataset_id: str) -> Sequence[PlannedRun]: ...


def evaluations(plan: Plan, layout: Layout) -> pd.DataFrame:
    """A row per run, suite and attack, `clean` first and `worst-case` last.

    Columns: `run_id`, `suite_id`, `attack` (its name in the suite), `n`, `errors`, and as fractions `error`
    with its Wilson 95 % interval `low`, `high`.

    ArtefactError if an evaluation of the plan is missing, damaged, or another run's.
    """
    numbers = ["n", "errors", "error", "low", "high"]
    rows = [
        {"run_id": run_id, "suite_id": suite_id, "attack": attack} | {key: aggregate[key] for key in numbers}
        for run_id, suite_id, content in _evaluation_files(plan, layout)
        for attack, aggregate in content["attacks"].items()
    ]
    return pd.DataFrame(rows, columns=["run_id", "suite_id", "attack", *numbers])


def masking_checks(plan: Plan, layout: Layout) -> pd.DataFrame:
    """A row per run, suite and gradient-masking check: `run_id`, `suite_id`, `check`, `passed`, `detail`."""
    rows = [
        {"run_id": run_id, "suite_id": suite_id} | {key: check[key] for key in ("check", "passed", "detail")}
        for run_id, suite_id, content in _evaluation_files(plan, layout)
        for check in content.get("masking", [])
    ]
    return pd.DataFrame(rows, columns=["run_id", "suite_id", "check", "passed", "detail"])


def evaluation_seconds(plan: Plan, layout: Layout) -> float:
    """Wall time of all evaluations of the plan, added up."""
    return sum(float(content.get("seconds") or 0) for *_, content in _evaluation_files(plan, layout))


def read_history(layout: Layout, run_id: str) -> pd.DataFrame:
    """The run's history.csv, a row per epoch; quantities that the method does not have are NaN."""
    path = layout.run(run_id) / "history.csv"
    try:
        table = pd.read_csv(path)
        if "epoch" not in table:
            raise ValueError("no column `epoch`")
    except FileNotFoundError:
        raise ArtefactError(f"{path}: missing; run `snakemake` to make it") from None
    except (ValueError, OSError) as error:
        raise ArtefactError(f"{path}: damaged ({error}); delete it and run `snakemake` again") from None
    return table


def manifests(plan: Plan, layout: Layout) -> dict[str, dict[str, Any]]:
    """Run id -> content of its manifest.json."""
    return {run_id: read_record(layout.run(run_id) / "manifest.json") for run_id in plan.runs}


def run_title(plan: Plan, run: PlannedRun) -> str:
    """The run's name in params.yaml, with data set and seed if the plan has several: `npgd-pgd, seed 1`."""
    several_seeds = len({other.config.seed for other in plan.runs.values()}) > 1
    dataset = f" on {run.config.dataset.name}" if len(plan.datasets) > 1 else ""
    return (
        (" = ".join(run.names) or run.id) + dataset + (f", seed {run.config.seed}" if several_seeds else "")
    )


def _evaluation_files(plan: Plan, layout: Layout) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for run_id in plan.runs:
        for suite_id in plan.suites:
            stem = layout.evaluation(run_id, suite_id)
            path = stem.with_name(stem.name + ".json")
            content = read_record(path)
            if not isinstance(content, dict) or "attacks" not in content:
                raise ArtefactError(f"{path}: damaged (no `attacks`); delete it and run `snakemake` again")
            if content.get("run") != run_id:
                raise ArtefactError(
                    f"{path}: belongs to run {content.get('run')!r}; delete it and run `snakemake` again"
                )
            yield run_id, suite_id, content
