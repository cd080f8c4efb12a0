"""What a study's plan and files say, with a note of every question and of what was answered."""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pandas as pd

from robustfront.artefacts import Layout
from robustfront.config.evaluations import Suite
from robustfront.config.schema import Dataset
from robustfront.reporting import deviations, naming, published
from robustfront.reporting.planned import PlannedAnalysis, PlannedRun, Study, StudyPlan
from robustfront.reporting.published import Row
from robustfront.reporting.traced import Traced, digest


class StudyView:
    """A study at a scale. Every answer is noted in `trace`: what was asked -> digest of the answer.

    What was read once is not read again; `holds` alone looks at the disk anew.
    """

    def __init__(self, plan: StudyPlan, layout: Layout) -> None:
        self._plan = plan
        self._layout = layout
        self._files = Traced({"file": layout.results, "study": plan.study.folder})

    # ------------------------------------------------------------------------------------------ the trace
    @property
    def trace(self) -> dict[str, str]:
        return self._files.trace

    def tracing(self) -> Self:
        """The same results with an empty trace of their own."""
        view = copy.copy(self)
        view._files = self._files.afresh()
        return view

    def holds(self, trace: Mapping[str, str]) -> bool:
        """Whether everything that was asked would be answered the same now."""
        return all(self._digest_now(key) == noted for key, noted in trace.items())

    def _digest_now(self, key: str) -> str | None:
        """None for a key of an older version, which is asked no more."""
        kind, _, what = key.partition(":")
        asked: dict[str, Callable[[str], Any]] = {
            "analyses": self._planned_analyses,
            "find": self._found,
            "suites": self._of_others,
            "otherwise": lambda setting: deviations.otherwise(self._plan, setting),
        }
        if kind in ("file", "study"):
            return self._files.digest_now(kind, what)
        if kind == "plan":
            return digest(self._facts[what]()) if what in self._facts else None
        return digest(asked[kind](what)) if kind in asked else None

    # ------------------------------------------------------------------------------------------- the plan
    @property
    def _facts(self) -> Mapping[str, Callable[[], Any]]:
        """What of the plan can be asked -> the answer as it is digested."""
        plan = self._plan
        return {
            "study": lambda: [plan.study.name, _dump(plan.study.facts)],
            "scale": lambda: plan.scale,
            "note": lambda: plan.note,
            "label": self._label,
            "datasets": lambda: [[key, _dump(value)] for key, value in plan.datasets.items()],
            "suites": lambda: [[key, _dump(value)] for key, value in plan.suites.items()],
            "runs": lambda: [[key, *run.names] for key, run in plan.runs.items()],
            "seeds": lambda: sorted({run.config.seed for run in plan.runs.values()}),
            "published_as": lambda: [[key, plan.published_as(key)] for key in plan.datasets],
            "as_published": lambda: deviations.as_published(plan),
        }

    def _asked(self, what: str) -> None:
        self._files.note(f"plan:{what}", self._facts[what])

    @property
    def study(self) -> Study:
        self._asked("study")
        return self._plan.study

    @property
    def scale(self) -> str:
        self._asked("scale")
        return self._plan.scale

    @property
    def note(self) -> str:
        """One line a reader sees beside every number of the scale."""
        self._asked("note")
        return self._plan.note

    @property
    def label(self) -> str:
        """Stands beside every number: whether it may be compared with the published ones."""
        self._asked("label")
        return self._label()

    def _label(self) -> str:
        return deviations.label(self._plan)

    @property
    def datasets(self) -> Mapping[str, Dataset]:
        self._asked("datasets")
        return self._plan.datasets

    @property
    def suites(self) -> Mapping[str, Suite]:
        """By name."""
        self._asked("suites")
        return self._plan.suites

    def suites_of(self, run_id: str) -> Mapping[str, Suite]:
        """All suites that a run is attacked by: the study's, and those of others as `<study>/<suite>`."""
        self._asked("suites")
        self._files.note(f"suites:{run_id}", lambda: self._of_others(run_id))
        return self._plan.suites_of(run_id)

    def _of_others(self, run_id: str) -> list[list[Any]]:
        found = self._plan.suites_of(run_id).items()
        return [[name, _dump(suite)] for name, suite in found if name not in self._plan.suites]

    @property
    def runs(self) -> Mapping[str, PlannedRun]:
        """By id; a run that only others start from has no names."""
        self._asked("runs")
        return self._plan.runs

    @property
    def seeds(self) -> list[int]:
        self._asked("seeds")
        return sorted({run.config.seed for run in self._plan.runs.values()})

    def find(self, name: str, dataset_id: str) -> Sequence[PlannedRun]:
        """The runs that the study calls `name` on that data set, one per seed; empty if there are none."""
        key = f"{name}@{dataset_id}"
        self._files.note(f"find:{key}", lambda: self._found(key))
        return self._plan.find(name, dataset_id)

    def _found(self, key: str) -> list[list[str]]:
        name, _, dataset_id = key.rpartition("@")
        return [[run.id, *run.names] for run in self._plan.find(name, dataset_id)]

    def published_as(self, dataset_id: str) -> str:
        """The paper's data set whose numbers stand beside those of ours; empty if none does."""
        self._asked("published_as")
        return self._plan.published_as(dataset_id)

    @property
    def as_published(self) -> Mapping[str, Sequence[str]]:
        """Data set -> the suites whose numbers on it may be held to sizes that the paper prints."""
        self._asked("as_published")
        return deviations.as_published(self._plan)

    def otherwise(self, setting: str) -> Mapping[str, str]:
        """Id of each run that has another value than the paper states for it -> that value in words."""
        found = deviations.otherwise(self._plan, setting)
        self._files.note(f"otherwise:{setting}", lambda: found)
        return found

    def title(self, run: PlannedRun) -> str:
        """The run's name, with data set and seed if the plan has several: `npgd-pgd, seed 1`."""
        return naming.title(run, dataset=len(self.datasets) > 1, seed=len(self.seeds) > 1)

    # ------------------------------------------------------------------------------ the study's own files
    def study_file(self, name: str) -> Path | None:
        """A file of the study's folder; None if it has none of that name."""
        path = self._files.path("study", name)
        return path if path is not None and path.is_file() else None

    def published(self, table: str) -> pd.DataFrame:
        """The printed numbers of a table, see `published.COLUMNS`; without lines if there are none.

        ConfigError if the file is not as it should be.
        """
        found = self._files.read("study", f"published/{table}.csv", published.read_published)
        return found if isinstance(found, pd.DataFrame) else pd.DataFrame(columns=published.COLUMNS)

    def rows(self, table: str) -> list[Row]:
        """The rows of a table: those of `rows.yaml`, else one for each row that has printed numbers."""
        numbers = self.published(table)
        found = self._files.read("study", "rows.yaml", published.read_rows)
        if not isinstance(found, dict) or table not in found:
            return published.of_published(numbers)
        rows: list[Row] = found[table]
        published.check_rows(rows, numbers, f"published/{table}.csv")
        return rows

    def _of_kind(self, kind: str) -> list[PlannedAnalysis]:
        return [analysis for analysis in self._plan.analyses.values() if analysis.config.kind == kind]

    def _planned_analyses(self, kind: str) -> list[list[str]]:
        plan = self._plan
        return [
            [analysis.id, run, *plan.runs[run].names]
            for analysis in self._of_kind(kind)
            for run in analysis.runs
        ]


def _dump(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)
