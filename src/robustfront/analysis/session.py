"""One analysis from a trained run to its files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from robustfront import checksums
from robustfront.analysis import records
from robustfront.analysis.subject import Subject, analyse
from robustfront.artefacts import Layout, require_writable
from robustfront.data.store import load
from robustfront.devices import enough_memory
from robustfront.jobs import workplace
from robustfront.models import Classifier, build, nullspace
from robustfront.planning.sources import analysis_code

if TYPE_CHECKING:
    from robustfront.planning import PlannedAnalysis, PlannedRun

MODEL = "model.safetensors"


def analyse_run(planned: PlannedRun, analysis: PlannedAnalysis, layout: Layout, device: torch.device) -> None:
    """Does `analysis` on the selected weights of a trained run and writes its arrays and facts.

    ArtefactError if a model, the data set or the projector is missing or damaged; ConfigError if the analysis
    cannot be made of this run; RunLocked if another process is at it.
    """
    require_writable(layout.analysis(planned.id, analysis.id).parent)
    work, job = layout.unfinished(planned.id, analysis.id), f"{planned.id}, analysis {analysis.id}"
    with workplace(work, job), enough_memory(job, device, "the batch_size of the analysis"):
        _analyse(planned, analysis, layout, device)


def _analyse(planned: PlannedRun, analysis: PlannedAnalysis, layout: Layout, device: torch.device) -> None:
    began = time.perf_counter()
    subject = _subject(planned, analysis, layout, device)
    made_from = checksums.made_from(layout.results, _inputs(planned, analysis, layout))
    with torch.autocast(device.type, enabled=False):
        arrays, facts = analyse(subject, analysis.config)
    about = {
        "run": planned.id,
        "analysis": analysis.id,
        "config": analysis.config.model_dump(mode="json", exclude={"runs"}),
        "seconds": round(time.perf_counter() - began, 3),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": torch.__version__,
        "made_from": made_from,
        "sources": analysis_code(analysis.config, planned.config.model),
    }
    plain = {name: array.detach().cpu().contiguous().numpy() for name, array in arrays.items()}
    records.save(records.Record(plain, facts, about), layout.analysis(planned.id, analysis.id))


def _inputs(planned: PlannedRun, analysis: PlannedAnalysis, layout: Layout) -> list[Path]:
    inputs = [layout.run(planned.id) / MODEL, layout.dataset(planned.dataset_id) / "images.safetensors"]
    projector = analysis.runs[planned.id]
    if planned.config.init and projector:
        inputs += [
            layout.run(planned.config.init) / MODEL,
            layout.projector(projector) / "projector.safetensors",
        ]
    return inputs


def _subject(planned: PlannedRun, analysis: PlannedAnalysis, layout: Layout, device: torch.device) -> Subject:
    splits = ("test", "train") if analysis.config.needs_train else ("test",)
    store = load(layout.dataset(planned.dataset_id), device, splits)
    train = store.train if analysis.config.needs_train else None

    def trained(run_id: str) -> Classifier:
        return (
            build(
                planned.config.model,
                channels=store.test.images.shape[1],
                classes=store.classes,
                normalisation=planned.config.dataset.normalisation,
                weights=layout.run(run_id) / MODEL,
            )
            .to(device)
            .eval()
        )

    model, projector = trained(planned.id), analysis.runs[planned.id]
    if planned.config.init is None or projector is None:
        return Subject(model, store.test, train=train)
    space = nullspace.load(layout.projector(projector)).to(device)
    return Subject(model, store.test, trained(planned.config.init), space, train)
