"""Computations replaced by hashes of what they depend on: the pipeline's real verbs, done in milliseconds.

Parsing, planning, ids, records, the page and everything that decides what is made stay as they are. A "model"
is the hash of the config and of the bytes of its inputs; an error rate is a hash of the model and the suite.
`expected.py` computes the same numbers from params.yaml, without plan, ids or files. Each job notes itself in
the file that WALK_LOG names.
"""

import fcntl
import hashlib
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import robustfront.analysis.session as analysis_session
import robustfront.data.store as data_store
import robustfront.evaluation.session as evaluation_session
import robustfront.training.session as training_session
from robustfront.artefacts import Layout, read_json, write_text
from robustfront.checksums import made_from, write_record
from robustfront.models import nullspace, weights
from robustfront.planning import load_plan
from robustfront.planning.sources import source_digest
from robustfront.reporting import notebooks, page

_write_page = page.write_page
N = 1000
"""Test images that an evaluation pretends to have attacked."""


def token(*facts: Any) -> str:
    """A hash of facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def errors(model: str, suite: str) -> int:
    return int(token("errors", model, suite)[:6], 16) % (N + 1)


def install() -> None:
    """Puts the stand-ins in place of what computes."""
    data_store.prepare = prepare
    training_session.train = train
    weights.load_weights = lambda path: {"head.weight": path.read_text()}
    nullspace.compute = compute
    evaluation_session.evaluate_run = evaluate_run
    analysis_session.analyse_run = analyse_run
    notebooks.execute = execute
    page.write_page = write_page


def note(verb: str, *facts: str) -> None:
    with Path(os.environ["WALK_LOG"]).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(" ".join([verb, *facts]) + "\n")


def prepare(dataset: Any, raw: Path, out: Path) -> None:
    content = token("images", dataset.source, dataset.splits.model_dump(mode="json"))
    note("data", content)
    write_text(out / "images.safetensors", content)
    write_record(out / "manifest.json", {"dataset": dataset.name}, [out / "images.safetensors"])


def train(planned: Any, methods: Any, layout: Layout, *_: Any) -> None:
    config, folder = planned.config, layout.run(planned.id)
    inputs = [layout.dataset(planned.dataset_id) / "images.safetensors"]
    inputs += [layout.run(config.init) / "model.safetensors"] if config.init else []
    inputs += [layout.projector(config.projector) / "projector.safetensors"] if config.projector else []
    facts = {name: config.params.get(name) for name in ("loss", "beta", "generator", "attack")}
    steps = facts.pop("attack") or {}
    content = token(
        config.method,
        facts,
        steps.get("steps"),
        config.training.epochs,
        config.seed,
        *(path.read_text() for path in inputs),
    )
    note("train", content)
    write_text(folder / "model.safetensors", content)
    accuracy = "validation_clean_accuracy,validation_adversarial_accuracy"
    write_text(folder / "history.csv", f"epoch,{accuracy}\n1,0.5,0.25\n")
    facts = {
        "run": planned.id,
        "names": planned.names,
        "config": config.model_dump(mode="json"),
        "sources": source_digest(methods[config.method]),
        "made_from": made_from(layout.results, inputs),
    }
    files = [folder / name for name in ("model.safetensors", "history.csv", "config.yaml")]
    write_record(folder / "manifest.json", facts, files)


def compute(model: str, rank_tolerance: float) -> Any:
    """What stands for a null space: something that can be saved."""
    content = token("projector", model, rank_tolerance)
    note("projector", content)

    def save(folder: Path, **about: Any) -> None:
        write_text(folder / "projector.safetensors", content)
        write_record(folder / "projector.json", about, [folder / "projector.safetensors"])

    return SimpleNamespace(save=save)


def evaluate_run(planned: Any, suite: Any, suite_id: str, layout: Layout, *_: Any) -> None:
    model = layout.run(planned.id) / "model.safetensors"
    attacked = token("suite", suite.name, suite.threat.eps, suite.threat.space)
    note("evaluate", model.read_text(), attacked)
    count = errors(model.read_text(), attacked)
    rate = {"n": N, "errors": count, "error": count / N, "low": 0.0, "high": 1.0}
    stem = layout.evaluation(planned.id, suite_id)
    rows = stem.with_name(f"{stem.name}.parquet")
    write_text(rows, f"{count}\n")
    facts = {"run": planned.id, "attacks": {"clean": rate}, "made_from": made_from(layout.results, [model])}
    write_record(stem.with_name(f"{stem.name}.json"), facts, [rows])


def analyse_run(planned: Any, analysis: Any, layout: Layout, *_: Any) -> None:
    model = layout.run(planned.id) / "model.safetensors"
    projector = analysis.runs[planned.id]
    inputs = [model]
    inputs += [layout.projector(projector) / "projector.safetensors"] if projector else []
    note("analyse", model.read_text(), token("analysis", analysis.config.kind, analysis.config.images))
    stem = layout.analysis(planned.id, analysis.id)
    arrays = stem.with_name(f"{stem.name}.safetensors")
    write_text(arrays, token(*(path.read_text() for path in inputs)))
    facts = {"run": planned.id, "facts": {}, "made_from": made_from(layout.results, inputs)}
    write_record(stem.with_name(f"{stem.name}.json"), facts, [arrays])


def write_page(*arguments: Any) -> None:
    """The real page, noted."""
    note("page")
    _write_page(*arguments)


def execute(source: Path, html: Path, parameters: dict[str, Any]) -> None:
    """Every notebook writes the same table: name, seed, suite and errors of each planned run."""
    name, reports = source.stem, Path(parameters["reports"])
    note("notebook", name)
    plan, layout = (
        load_plan(Path(parameters["params"]), parameters["scale"]),
        Layout(Path(parameters["results"])),
    )
    lines = []
    for run in plan.runs.values():
        for key, suite in plan.suites.items():
            record = read_json(layout.evaluation(run.id, key).with_name(f"{key}.json"))
            for entry in run.names:
                lines.append(
                    f"{entry},{run.config.seed},{suite.name},{record['attacks']['clean']['errors']}\n"
                )
    text = "".join(sorted(lines))
    if name == "training_curves":
        stems = ["figures/training_overview", *(f"figures/training/{run}" for run in plan.runs)]
        files = [f"{stem}.{kind}" for stem in stems for kind in ("svg", "png")]
    elif _is_figure(name):
        files = [f"figures/{name}.{kind}" for kind in ("svg", "png")]
    else:
        files = [f"tables/{name}.{kind}" for kind in ("csv", "md", "tex", "html")]
    for file in files:
        write_text(reports / file, text)
    write_text(html, text)


def _is_figure(name: str) -> bool:
    """Whether the rules expect a figure of the notebook: they say so in workflow/rules/report.smk."""
    rules = Path("workflow/rules/report.smk").read_text()
    return f'"{name}"' in rules.partition("FIGURES = [")[2].partition("]")[0]
