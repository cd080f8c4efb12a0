"""reports/index.html: the page a person opens first. Static, offline, refers to files beside it only.

Beside it reports/metrics.json, the headline numbers under names that a change of parameters keeps, plots of
them for DVC, and, written last, the record of what all this was made from.
"""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from robustfront.artefacts import Layout, read_json, write_json, write_text
from robustfront.config.schema import Dataset
from robustfront.errors import ArtefactError
from robustfront.reporting import freshness, wording
from robustfront.reporting.plots import write_plots
from robustfront.reporting.rendering import template
from robustfront.reporting.results import (
    Plan,
    PlannedRun,
    evaluation_seconds,
    evaluations,
    manifests,
    masking_checks,
    run_title,
)
from robustfront.reporting.sections import PAPER, FigureSection

UNKNOWN = "not recorded"
OVERVIEW = FigureSection(
    "curves",
    "Training curves",
    "figures/training_overview",
    alt="Clean and adversarial validation accuracy per epoch, a small panel for each run.",
)


@dataclass(frozen=True)
class Verdict:
    """The gradient-masking checks of one model in one suite; `checks` are (name, passed, detail)."""

    checks: list[tuple[str, bool, str]]

    @property
    def failed(self) -> list[str]:
        return [name for name, passed, _ in self.checks if not passed]


@dataclass(frozen=True)
class Card:
    """What the page says about one run. `verdicts`: one per suite; `curves`: its figure without suffix."""

    title: str
    id: str
    facts: dict[str, str]
    verdicts: list[Verdict]
    curves: str


def write_page(plan: Plan, results: Path, reports: Path, notebooks: Path = Path("notebooks")) -> None:
    """Writes `reports`/index.html, metrics.json, plots and record.json.

    They are made from `results` and what the notebooks, whose sources are in `notebooks`, left in `reports`.
    ArtefactError if a table, a figure or an artefact of a planned run is missing.
    """
    layout = Layout(results)
    records = manifests(plan, layout)
    checks = masking_checks(plan, layout).to_dict("records")
    cards = []
    for run in plan.runs.values():
        by_suite = [
            [c for c in checks if (c["run_id"], c["suite_id"]) == (run.id, suite)] for suite in plan.suites
        ]
        verdicts = [Verdict([(c["check"], c["passed"], c["detail"]) for c in found]) for found in by_suite]
        facts = _run_facts(plan, run, records[run.id])
        cards.append(Card(run_title(plan, run), run.id, facts, verdicts, f"figures/training/{run.id}"))
    files = [file for section in (*PAPER, OVERVIEW) for file in section.files]
    files += [f"{card.curves}.{kind}" for card in cards for kind in ("svg", "png")]
    for path in files:
        if not (reports / path).is_file():
            raise ArtefactError(f"{reports / path}: missing; run `snakemake report` to make it")
    html = template("page.html.j2").render(
        scale=wording.scale_label(plan.scale),
        note=plan.note,
        facts=_facts(plan, records, evaluation_seconds(plan, layout)),
        suites={suite.name: wording.suite(suite) for suite in plan.suites.values()},
        datasets={
            dataset.name: _dataset(dataset, layout.dataset(key)) for key, dataset in plan.datasets.items()
        },
        paper=[(section, section.body(reports)) for section in PAPER],
        cards=cards,
        deviations=_deviations(plan, records),
        overview=OVERVIEW.body(reports),
        notebooks=sorted(path.stem for path in (reports / "notebooks").glob("*.html")),
    )
    write_text(reports / "index.html", html)
    numbers = metrics(plan, layout)
    write_json(reports / "metrics.json", numbers)
    consists_of = [reports / name for name in ("index.html", "metrics.json", *files)]
    consists_of += write_plots(plan, layout, numbers, reports / "plots")
    consists_of += sorted((reports / "notebooks").glob("*.html"))
    freshness.write(plan, layout, reports, notebooks, consists_of)


def metrics(plan: Plan, layout: Layout) -> dict[str, Any]:
    """Data set -> run -> suite -> attack -> error in percent, the mean over seeds; for `dvc metrics diff`."""
    by_name: dict[tuple[str, ...], list[float]] = {}
    for run_id, suite_id, attack, error in evaluations(plan, layout)[
        ["run_id", "suite_id", "attack", "error"]
    ].itertuples(index=False):
        run, suite = plan.runs[run_id], plan.suites[suite_id]
        for name in run.names:
            by_name.setdefault((run.config.dataset.name, name, suite.name, attack), []).append(error)
    found: dict[str, Any] = {}
    for (*path, attack), errors in by_name.items():
        place = found
        for key in path:
            place = place.setdefault(key, {})
        place[attack] = round(100 * fmean(errors), 4)
    return found


def _facts(plan: Plan, records: dict[str, dict[str, Any]], evaluating: float) -> dict[str, str]:
    """What was run, where and by what, gathered from all manifests."""

    def seen(name: str) -> str:
        return (
            ", ".join(sorted({str(record[name]) for record in records.values() if record.get(name)}))
            or UNKNOWN
        )

    versions = [item for record in records.values() for item in (record.get("versions") or {}).items()]
    libraries = [f"{library} {version}" for library, version in sorted(set(versions))]
    training, validation = (
        sum(record.get(key) or 0 for record in records.values()) for key in ("seconds", "validation_seconds")
    )
    spent = {"training steps": training, "their validation": validation, "evaluation": evaluating}
    peak = max((record.get("peak_memory_bytes") or 0 for record in records.values()), default=0)
    started = [record["started"] for record in records.values() if record.get("started")]
    finished = [record["finished"] for record in records.values() if record.get("finished")]
    seeds = sorted({run.config.seed for run in plan.runs.values()})
    return {
        "Runs": f"{len(plan.runs)}, seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}",
        "Device": seen("device"),
        "Time": ", ".join(f"{wording.duration(time)} of {what}" for what, time in spent.items() if time)
        or UNKNOWN,
        "Peak memory of a run": wording.size(peak) if peak else UNKNOWN,
        "Trained": f"{min(started)} to {max(finished)}" if started and finished else UNKNOWN,
        "Code": f"robustfront {seen('robustfront')}, commit {seen('commit')}",
        "Versions": ", ".join(libraries) or UNKNOWN,
    }


def _run_facts(plan: Plan, run: PlannedRun, record: dict[str, Any]) -> dict[str, str]:
    """The run's line in the table of runs; a key that the manifest lacks is said to be missing."""
    parent = plan.runs.get(run.config.init or "")
    start = f"run {' = '.join(parent.names)}" if parent else record.get("initial_weights")
    kept, seconds, speed = (record.get(key) for key in ("selected_epoch", "seconds", "images_per_second"))
    memory = record.get("peak_memory_bytes")
    return {
        "starts from": start or UNKNOWN,
        "kept epoch": f"{kept} of {run.config.training.epochs}" if kept else UNKNOWN,
        "training steps": wording.duration(seconds) if seconds else UNKNOWN,
        "images/s": f"{speed:,.0f}" if speed else UNKNOWN,
        "peak memory": wording.size(memory) if memory else UNKNOWN,
    }


def _dataset(dataset: Dataset, folder: Path) -> str:
    """Splits with their sizes, and what stands beside the data set's numbers."""
    path = folder / "manifest.json"
    stored = read_json(path) if path.is_file() else {}
    counts = stored.get("images_per_class", {})
    known = [
        f"{sum(counts[split]):,} {split}" for split in ("train", "validation", "test") if split in counts
    ]
    parts = [
        f"{', '.join(known)} images" if known else f"sizes {UNKNOWN}",
        f"split seed {dataset.splits.seed}",
    ]
    parts += (
        ["test images held out of the official training part"] if stored.get("test_part") == "train" else []
    )
    parts += [f"shown beside the paper's {dataset.published_as}"] if dataset.published_as else []
    return "; ".join(parts)


def _deviations(plan: Plan, records: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What differs from the paper -> the runs it holds for."""
    found: dict[str, list[str]] = {}
    for run in plan.runs.values():
        for text in records[run.id].get("deviations") or []:
            found.setdefault(text, []).append(run_title(plan, run))
    everything = [run_title(plan, run) for run in plan.runs.values()]
    return {text: _among(runs, everything) for text, runs in found.items()}


def _among(runs: list[str], everything: list[str]) -> str:
    """Those runs, or all but the others, whichever is shorter to say."""
    others = [run for run in everything if run not in runs]
    if not others:
        return "all runs"
    return ", ".join(runs) if len(runs) <= len(others) else f"all runs but {', '.join(others)}"
