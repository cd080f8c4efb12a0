"""What a study left on disk, and what its plan says: the only thing that sections, tables and claims see.

A missing, damaged or failed result is an answer like any other, never an exception. What was asked is noted
with a digest of the answer, so that a section is made again only if it would look different now.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from robustfront.analysis import records
from robustfront.artefacts import Layout
from robustfront.checksums import read_record
from robustfront.config.evaluations import (
    CLEAN,
    MASKING,
    WORST_CASE,
    Network,
    Suite,
    other_conditions,
    views,
)
from robustfront.errors import ArtefactError
from robustfront.evaluation import outcomes
from robustfront.evaluation.comparisons import Compared, compare
from robustfront.reporting.planned import PlannedRun, StudyPlan
from robustfront.reporting.view import StudyView

State = Literal["trained", "diverged", "failed", "damaged", "not made yet", "not attacked so"]


class Rate(NamedTuple):
    """How many of `n` images were misclassified; `error` and its Wilson 95 % interval are fractions."""

    n: int
    errors: int
    error: float
    low: float
    high: float


class Example(NamedTuple):
    """A test image as an attack left it, (C, H, W) in [0, 1], its label and what the model took it for."""

    sample: int
    image: np.ndarray
    label: int
    prediction: int


@dataclass(frozen=True)
class Analysed:
    """One analysis of one run. `title`: the run in words."""

    run: PlannedRun
    title: str
    record: records.Record

    @property
    def method(self) -> str:
        return self.run.config.method

    @property
    def dataset(self) -> str:
        return self.run.config.dataset.name

    def array(self, name: str) -> np.ndarray:
        return self.record.arrays[name]


class Results(StudyView):
    """A study's plan, its files, and what it left on disk."""

    def __init__(self, plan: StudyPlan, layout: Layout) -> None:
        super().__init__(plan, layout)
        self._fallen: dict[tuple[int, str], pd.Series[bool]] = {}
        self._compared: dict[tuple[object, ...], Compared] = {}
        self._names: dict[Path, str] = {}

    # ----------------------------------------------------------------------------------------------- runs
    def state(self, run_id: str) -> State:
        """Whether the run is trained, and if not, why."""
        found = self._record(self._layout.run(run_id) / "manifest.json", run_id)
        if isinstance(found, dict):
            return "trained"
        return self._failure_of(run_id, "train") or found

    def manifest(self, run_id: str) -> dict[str, Any]:
        """The run's manifest.json; empty if it is missing or damaged."""
        return _or_empty(self._record(self._layout.run(run_id) / "manifest.json", run_id))

    def history(self, run_id: str) -> pd.DataFrame | None:
        """A row per epoch; quantities that the method does not have are NaN. None if missing or damaged."""
        found = self._read(self._layout.run(run_id) / "history.csv", _history)
        return found if isinstance(found, pd.DataFrame) else None

    def failure(self, run_id: str) -> dict[str, Any]:
        """What of the run failed last: `verb` (train, evaluate, analyse), `state`, `message`; or empty."""
        return _or_empty(self._record(self._layout.run(run_id) / "failure.json"))

    def _failure_of(self, run_id: str, verb: str) -> State | None:
        failure = self.failure(run_id)
        if failure.get("verb") != verb:
            return None
        return "diverged" if failure.get("state") == "diverged" else "failed"

    def stored(self, dataset_id: str) -> dict[str, Any]:
        """The manifest.json of a data set's images; empty if it is missing or damaged."""
        return _or_empty(self._record(self._layout.dataset(dataset_id) / "manifest.json"))

    def network(self, run_id: str) -> Network:
        return self._plan.runs[run_id].config.model

    def evaluation_id(self, run_id: str, suite: str, evaluation: str) -> str:
        """Of an attack of any of `suites_of` the run, or of its `clean` or `masking`."""
        return self._plan.evaluation_id(run_id, suite, evaluation)

    # ---------------------------------------------------------------------------------------- evaluations
    def attack(self, suite: str, word: str) -> str | None:
        """The attack that `word` means: the shown one of that name, else the suite's first of that kind."""
        of = self.suites[suite]
        if word in views(of) or word == WORST_CASE:
            return word
        return next((name for name, attack in of.attacks.items() if attack.kind == word), None)

    def rate(self, run_id: str, suite: str, attack: str) -> Rate | None:
        """How many images fell to a shown attack of a suite, or to any (`worst-case`); None if missing.

        `worst-case` is over the images that all attacks saw, and over what is judged at the suite's own
        condition.
        """
        if attack == WORST_CASE:
            fallen = self.fell(run_id, suite, attack)
            return None if fallen is None else _rate(outcomes.rate(fallen))
        evaluation, outcome = views(self._suite(run_id, suite), self.network(run_id))[attack]
        return _rate(self.evaluated(run_id, suite, evaluation).get("outcomes", {}).get(outcome))

    def fell(self, run_id: str, suite: str, attack: str) -> "pd.Series[bool] | None":
        """Whether each image fell, by sample; None if that is missing or damaged.

        The suite may be any of `suites_of` the run.
        """
        of = self._suite(run_id, suite)
        shown = views(of, self.network(run_id))
        if attack == WORST_CASE:
            others = {CLEAN, *other_conditions(of)}
            attacks = [name for name in shown if name not in others] or [CLEAN]
            fallen = [self.fell(run_id, suite, name) for name in attacks]
            known = [each for each in fallen if each is not None]
            return outcomes.worst_case(known) if len(known) == len(fallen) else None
        evaluation, outcome = shown[attack]
        rows = self.rows_of(run_id, suite, evaluation)
        if rows is None:
            return None
        if (id(rows), outcome) not in self._fallen:  # claims ask a thousand times
            self._fallen[id(rows), outcome] = outcomes.fell(rows, outcome)
        return self._fallen[id(rows), outcome]

    def examples(self, run_id: str, suite: str, attack: str) -> list[Example]:
        """Some images as a shown attack left them, the same ones for all attacks that saw all of the split.

        Without those that it did not see; none if that is missing or damaged.
        """
        evaluation, outcome = views(self._suite(run_id, suite), self.network(run_id))[attack]
        if not self.evaluated(run_id, suite, evaluation):
            return []
        found = self._read(self._evaluation_file(run_id, suite, evaluation), _examples_of)
        return found.get(outcome, []) if isinstance(found, dict) else []

    def classes(self, run_id: str, suite: str) -> int:
        """How many classes the clean images are of; 0 if these are missing."""
        rows = self.rows_of(run_id, suite, CLEAN)
        return 0 if rows is None else rows["label"].nunique()

    def compare(self, run_id: str, first: tuple[str, str], second: tuple[str, str]) -> Compared | None:
        """Two attacks on a run, each as (suite, shown attack); None if one is missing or damaged."""
        fallen = [self.fell(run_id, *one) for one in (first, second)]
        if fallen[0] is None or fallen[1] is None:
            return None
        if (run_id, first, second) not in self._compared:
            self._compared[run_id, first, second] = compare(fallen[0], fallen[1])
        return self._compared[run_id, first, second]

    def evaluated(self, run_id: str, suite: str, evaluation: str) -> dict[str, Any]:
        """The record of an evaluation: of `clean`, an attack of the suite, or `masking`; empty if missing."""
        of = self._suite(run_id, suite)
        if evaluation not in (CLEAN, *of.attacks) and not (evaluation == MASKING and of.masking):
            return {}
        return _or_empty(self._record(self._evaluation_file(run_id, suite, evaluation), run_id))

    def lacks(self, run_id: str, suite: str, attack: str) -> State | None:
        """Why there is no rate of a shown attack, or None if there is."""
        if self.rate(run_id, suite, attack) is not None:
            return None
        if (trained := self.state(run_id)) != "trained":
            return trained
        if suite not in self.suites_of(run_id):
            return "not attacked so"
        evaluation, _ = views(self.suites[suite], self.network(run_id)).get(attack, (CLEAN, ""))
        found = self._record(self._evaluation_file(run_id, suite, evaluation), run_id)
        if found == "not made yet":
            return self._failure_of(run_id, "evaluate") or "not made yet"
        return "damaged"

    def _suite(self, run_id: str, name: str) -> Suite:
        return self.suites.get(name) or self.suites_of(run_id)[name]

    def _evaluation_file(self, run_id: str, suite: str, evaluation: str) -> Path:
        stem = self._layout.evaluation(run_id, self.evaluation_id(run_id, suite, evaluation))
        return stem.with_name(f"{stem.name}.json")

    def losses(self, run_id: str, suite: str) -> "pd.Series[float] | None":
        """Cross entropy of each image as it is, by sample; None if that is missing or damaged."""
        rows = self.rows_of(run_id, suite, CLEAN)
        return None if rows is None else rows.set_index("sample")["loss"].astype("float64")

    def rows_of(self, run_id: str, suite: str, evaluation: str) -> pd.DataFrame | None:
        """Columns sample, outcome, label, loss, success of an evaluation; None if missing or damaged."""
        if not self.evaluated(run_id, suite, evaluation):
            return None
        found = self._read(self._evaluation_file(run_id, suite, evaluation), _rows_of)
        return found if isinstance(found, pd.DataFrame) else None

    # ------------------------------------------------------------------------------------------- analyses
    def analysed(self, kind: str) -> list[Analysed]:
        """The analyses of a kind that are there, run by run; empty if the scale asks for none."""
        return [
            Analysed(run, self.title(run), found)
            for run, found in self._analyses(kind)
            if isinstance(found, records.Record)
        ]

    def not_analysed(self, kind: str) -> dict[str, State]:
        """The runs, in words, whose analysis of a kind is missing -> why."""
        lacking: dict[str, State] = {}
        for run, found in self._analyses(kind):
            if not isinstance(found, records.Record):
                trained = self.state(run.id)
                failed = self._failure_of(run.id, "analyse")
                lacking[self.title(run)] = trained if trained != "trained" else failed or found
        return lacking

    def _analyses(self, kind: str) -> list[tuple[PlannedRun, records.Record | State]]:
        self._files.note(f"analyses:{kind}", lambda: self._planned_analyses(kind))
        found = []
        for analysis in self._of_kind(kind):
            for run_id in analysis.runs:
                stem = self._layout.analysis(run_id, analysis.id)
                record = self._read(stem.with_name(f"{stem.name}.json"), _analysis)
                found.append((self._plan.runs[run_id], record))
        return found

    # ---------------------------------------------------------------------------------------------- files
    def _record(self, path: Path, run_id: str | None = None) -> Any:
        """A JSON record as a dict, that of `run_id` if one is given; else the state that it is in."""
        found = self._read(path, read_record)
        if isinstance(found, str):
            return found
        if not isinstance(found, dict) or (run_id is not None and found.get("run", run_id) != run_id):
            return "damaged"
        return found

    def _read(self, path: Path, reader: Callable[[Path], Any]) -> Any:
        if path not in self._names:
            self._names[path] = path.relative_to(self._layout.results).as_posix()
        return self._files.read("file", self._names[path], reader)


def _history(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise ArtefactError(f"{path}: damaged ({error})") from None
    if "epoch" not in table:
        raise ArtefactError(f"{path}: damaged (no column `epoch`)")
    return table


def _rows_of(path: Path) -> pd.DataFrame:
    rows, _ = outcomes.load(path.with_suffix(""))
    return rows[["sample", "outcome", "label", "loss", "success"]]


def _examples_of(path: Path) -> dict[str, list[Example]]:
    """Outcome -> the images that were saved of it and seen."""
    stem = path.with_suffix("")
    rows, images = outcomes.load(stem)[0], outcomes.images(stem)
    samples, known = images.pop("samples").tolist(), {}
    for outcome, part in rows.groupby("outcome"):
        by_sample = part.set_index("sample")
        known[str(outcome)] = [
            Example(sample, image, int(by_sample["label"][sample]), int(by_sample["prediction"][sample]))
            for sample, image in zip(samples, images[str(outcome)], strict=True)
            if sample in by_sample.index
        ]
    return known


def _analysis(path: Path) -> records.Record:
    """`path` is <run id>/analysis/<analysis id>.json."""
    return records.load(path.with_suffix(""), path.parents[1].name)


def _rate(numbers: Any) -> Rate | None:
    try:
        return Rate(**{name: numbers[name] for name in Rate._fields})
    except (KeyError, TypeError):
        return None


def _or_empty(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
