"""One study at one scale: what its report is made from, under the names that the study gives."""

from dataclasses import dataclass, field

from robustfront.config.analyses import Analysis
from robustfront.config.evaluations import Evaluation, Suite, of_suite
from robustfront.config.experiment import Scale
from robustfront.config.identity import evaluation_id
from robustfront.config.schema import Dataset, Run
from robustfront.config.studies import Study


@dataclass
class PlannedRun:
    """A run, the names it has (several if they resolve to the same config), and its id.

    In a plan of several studies names are `<study>/<name>`, in that of one study its own.
    """

    id: str
    config: Run
    dataset_id: str
    names: list[str] = field(default_factory=list)

    def is_called(self, name: str) -> bool:
        """Whether that is one of its names; that of the study may be left out."""
        return any(name in (known, known.rpartition("/")[2]) for known in self.names)


@dataclass(frozen=True)
class PlannedAnalysis:
    """An analysis, and the runs it is done on: run id -> the projector it needs there, if any."""

    id: str
    config: Analysis
    runs: dict[str, str | None]


@dataclass
class StudyPlan:
    """A study at a scale. `runs` is in an order in which parents come first; `suites` are by name.

    `beside`: the other studies of the plan, by name.
    """

    study: Study
    scale: str
    note: str
    settings: Scale
    datasets: dict[str, Dataset]
    runs: dict[str, PlannedRun] = field(default_factory=dict)
    analyses: dict[str, PlannedAnalysis] = field(default_factory=dict)
    beside: "dict[str, StudyPlan]" = field(default_factory=dict, repr=False, compare=False)
    _evaluations: dict[tuple[bool, float | None], dict[str, dict[str, tuple[str, Evaluation]]]] = field(
        default_factory=dict
    )

    @property
    def suites(self) -> dict[str, Suite]:
        return self.settings.suites

    def suites_of(self, run_id: str) -> dict[str, Suite]:
        """All suites that a run is attacked by: the study's, and those of others as `<study>/<suite>`.

        Those that the study has itself, as studies do that are like each other, add nothing.
        """
        own = self._asking(run_id)
        others = {
            f"{study}/{name}": suite
            for study, other in self.beside.items()
            if run_id in other.runs
            for name, suite in other._asking(run_id).items()
            if suite not in own.values()
        }
        return own | others

    def _asking(self, run_id: str) -> dict[str, Suite]:
        names = self.runs[run_id].names
        return {name: suite for name, suite in self.suites.items() if suite.asks_for(names)}

    def evaluations(self, run_id: str) -> dict[str, dict[str, tuple[str, Evaluation]]]:
        """Suite -> the name of an attack there -> (its id, what it is for this run), asked for or not."""
        network = self.runs[run_id].config.model
        key = network.looks_at_batches, network.usual
        if key not in self._evaluations:  # most runs are alike
            self._evaluations[key] = {
                name: {attack: (evaluation_id(one), one) for attack, one in of_suite(suite, network).items()}
                for name, suite in self.suites.items()
            }
        return self._evaluations[key]

    def wanted(self, run_id: str) -> dict[str, Evaluation]:
        """Id -> evaluation: all that the suites ask of a run."""
        planned = self.evaluations(run_id)
        return dict(found for name in self._asking(run_id) for found in planned[name].values())

    def evaluation_id(self, run_id: str, suite: str, evaluation: str) -> str:
        """Of the attack that a suite calls `evaluation`, or of its `clean` or `masking`. KeyError if none.

        The suite may be any of `suites_of` the run.
        """
        study, _, own = suite.rpartition("/")
        planned = self.beside[study] if study else self
        return planned.evaluations(run_id)[own][evaluation][0]

    def find(self, name: str, dataset_id: str) -> list[PlannedRun]:
        """The runs the study calls `name` on that data set, one per seed; empty if the scale has none."""
        return [run for run in self.runs.values() if name in run.names and run.dataset_id == dataset_id]

    def published_as(self, dataset_id: str) -> str:
        """The paper's data set whose numbers stand beside those of ours; empty if none does."""
        name = self.datasets[dataset_id].name
        stands_for = self.study.facts.datasets.items()
        return next((theirs for theirs, ours in stands_for if name in ours), "")
