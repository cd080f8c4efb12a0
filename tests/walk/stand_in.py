"""Computations replaced by hashes of what they depend on: the pipeline's real verbs, done in milliseconds.

Parsing, planning, ids, records, tables, pages and everything that decides what is made stay as they are. A
"model" is the hash of the config and of the bytes of its inputs; an error rate is a hash of the model and the
attack. Figures are not drawn, and a notebook's one step is made in this process.
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

import numpy as np
import pandas as pd

import robustfront.analysis.session as analysis_session
import robustfront.data.store as data_store
import robustfront.evaluation.making as evaluation_making
import robustfront.training.session as training_session
from robustfront.analysis import records
from robustfront.artefacts import Layout, write_text
from robustfront.checksums import made_from, write_record
from robustfront.evaluation import outcomes
from robustfront.models import nullspace, weights
from robustfront.planning import load_plan
from robustfront.planning.sources import training_code
from robustfront.reporting import contents, sections
from robustfront.reporting.build import build
from robustfront.reporting.results import Results
from robustfront.reporting.study_report import all_sections
from robustfront.studies import report

_write_contents = contents.write_contents
N = 1000
"""Test images that an evaluation pretends to have attacked."""


def token(*facts: Any) -> str:
    """A hash of facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def errors(model: str, attack: str) -> int:
    return int(token("errors", model, attack)[:6], 16) % (N + 1)


def install() -> None:
    """Puts the stand-ins in place of what computes."""
    data_store.prepare = prepare
    training_session.train = train
    weights.load_weights = lambda path: {"head.weight": path.read_text()}
    nullspace.compute = compute
    evaluation_making.make = make
    analysis_session.analyse_run = analyse_run
    sections.save_figure = save_figure
    report.execute = execute
    contents.write_contents = write_contents


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
        "sources": training_code(config, methods),
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


def make(
    planned: Any, evaluations: Any, inputs: dict[str, str], layout: Layout, device: str, work: Path
) -> None:
    """The first so many images fall, whatever the model."""
    model = (layout.run(planned.id) / "model.safetensors").read_text()
    for key, evaluation in evaluations.items():
        attacked = attack(evaluation.attack.kind, evaluation.threat)
        note("evaluate", model, attacked)
        record = {"run": planned.id, "made_from": dict(inputs)}
        stem = layout.evaluation(planned.id, key)
        if not evaluation.outcomes:
            checks = [{"check": "nothing hidden", "passed": True, "detail": ""}]
            outcomes.save(outcomes.Evaluated(None, None, record | {"masking": checks}), stem)
            continue
        samples = np.arange(N)
        fallen = samples < errors(model, attacked)
        rows = pd.DataFrame(
            {
                "sample": samples,
                "outcome": "final",
                "label": samples % 10,
                "prediction": (samples + fallen) % 10,
                "loss": np.float32(1.0),
                "success": fallen,
                "carried": False,
            }
        )
        record["outcomes"] = {"final": outcomes.rate(rows["success"])}
        images = {"samples": samples[:8], "final": np.zeros((8, 1, 8, 8), np.float32)}
        outcomes.save(outcomes.Evaluated(rows, images, record), stem)


def attack(kind: str, threat: Any) -> str:
    """What stands for an evaluation."""
    return token("attack", kind, threat and threat.eps, threat and threat.space)


def analyse_run(planned: Any, analysis: Any, layout: Layout, *_: Any) -> None:
    model = layout.run(planned.id) / "model.safetensors"
    projector = analysis.runs[planned.id]
    inputs = [model]
    inputs += [layout.projector(projector) / "projector.safetensors"] if projector else []
    note("analyse", model.read_text(), token("analysis", analysis.config.kind, analysis.config.images))
    content = token(*(path.read_text() for path in inputs))
    about = {"run": planned.id, "made_from": made_from(layout.results, inputs)}
    array = np.frombuffer(content.encode(), np.uint8)
    records.save(records.Record({"content": array}, {}, about), layout.analysis(planned.id, analysis.id))


def save_figure(figure: Any, stem: Path) -> None:
    """Says how many panels it has."""
    for kind in ("svg", "png"):
        write_text(stem.with_name(f"{stem.name}.{kind}"), f"{len(figure.axes)} panels\n")


def execute(source: Path, html: Path, parameters: dict[str, Any]) -> None:
    """What every notebook does."""
    study = parameters["study"]
    note("report", study)
    plan = load_plan(Path(parameters["params"]), parameters["scale"], parameters["studies"]).studies[study]
    found = Results(plan, Layout(Path(parameters["results"])))
    build(found, all_sections(found), Path(parameters["reports"]) / study)
    write_text(html, source.name)


def write_contents(*arguments: Any) -> None:
    """The real one, noted."""
    note("contents")
    _write_contents(*arguments)
