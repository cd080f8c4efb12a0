"""Evaluations made and written, one after the other, of a trained run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from robustfront import checksums
from robustfront.artefacts import Layout
from robustfront.config.evaluations import Evaluation
from robustfront.data.store import Store, load
from robustfront.devices import choose_device, enough_memory
from robustfront.errors import ArtefactError
from robustfront.evaluation import outcomes
from robustfront.evaluation.evaluate import evaluate
from robustfront.evaluation.memory import Memory
from robustfront.evaluation.subject import Subject
from robustfront.models import Classifier, build
from robustfront.planning.sources import evaluation_code

if TYPE_CHECKING:
    from robustfront.planning import PlannedRun


def make(
    planned: PlannedRun,
    evaluations: Mapping[str, Evaluation],
    made_from: Mapping[str, str],
    layout: Layout,
    device: str,
    work: Path,
) -> None:
    """Makes and writes `evaluations`, by id; what is unfinished of each lies in a subfolder of `work`.

    `made_from`: what the records say of the model and the images, path below results -> SHA-256.
    ArtefactError if they are something else.
    """
    chosen = choose_device(device)
    whole = any(evaluation.whole_batches for evaluation in evaluations.values())
    smaller = "batch_size of a suite" if whole else "the size of the model"
    with enough_memory(f"{planned.id}, evaluations", chosen, smaller):
        splits = sorted({evaluation.split for evaluation in evaluations.values()})
        store = load(layout.dataset(planned.dataset_id), chosen, splits)
        model = _model(planned, store, layout.run(planned.id) / "model.safetensors")
        _require(made_from, layout)
        subjects: dict[str, Subject] = {}
        for key, evaluation in evaluations.items():
            if evaluation.split not in subjects:
                subjects[evaluation.split] = Subject.of(model, getattr(store, evaluation.split), chosen)
            # Batches that other code left are not recalled.
            code = evaluation_code(evaluation, planned.config.model)
            memory = Memory(work / key, f"{planned.id}/{key}/{code}/{sorted(made_from.items())}")
            found = _with_a_bar(f"{planned.id} {key}", subjects[evaluation.split], evaluation, memory)
            seconds = round(found.record["seconds"] + memory.spared, 3)
            about = {"run": planned.id, "seconds": seconds, "made_from": dict(made_from)}
            record = found.record | about | {"sources": code}
            stem = layout.evaluation(planned.id, key)
            outcomes.save(outcomes.Evaluated(found.rows, found.images, record), stem)
            shutil.rmtree(memory.folder, ignore_errors=True)


def _model(planned: PlannedRun, store: Store, weights: Path) -> Classifier:
    return build(
        planned.config.model,
        channels=planned.config.dataset.channels,
        classes=store.classes,
        normalisation=planned.config.dataset.normalisation,
        weights=weights,
    )


def _require(made_from: Mapping[str, str], layout: Layout) -> None:
    """ArtefactError if a file is not the one that its record vouches for."""
    found = checksums.made_from(layout.results, [layout.results / name for name in made_from])
    for name, checksum in found.items():
        if checksum != made_from[name]:
            path = layout.results / name
            raise ArtefactError(
                f"{path}: not the file that manifest.json beside it vouches for; restore it, or delete it "
                "and run `snakemake` again"
            )


def _with_a_bar(title: str, subject: Subject, evaluation: Evaluation, memory: Memory) -> outcomes.Evaluated:
    with tqdm(desc=title, unit="image", mininterval=1.0) as bar:

        def progress(part: str, done: int, total: int) -> None:
            bar.set_postfix_str(part, refresh=False)
            bar.total = total
            bar.update(done - bar.n)

        return evaluate(subject, evaluation, progress=progress, runner=memory.of)
