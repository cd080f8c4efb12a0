"""One run from its config to its artefacts: lock, load, resume, train, write, clean up."""

from __future__ import annotations

import contextlib
import math
import resource
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from robustfront import artefacts
from robustfront.artefacts import Layout
from robustfront.config.schema import Run
from robustfront.data.store import Store, load
from robustfront.errors import ArtefactError, RunLocked
from robustfront.methods import Registry
from robustfront.methods.base import Setting
from robustfront.models import Classifier, build, nullspace, weights
from robustfront.planning import PlannedRun
from robustfront.training import provenance
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.history import write_history
from robustfront.training.loop import Outcome, Trainer, Watcher


def train(planned: PlannedRun, methods: Registry, layout: Layout, device: torch.device) -> None:
    """Trains a run, or goes on where it was stopped, and writes its model, history and manifest.

    Needs the data set, and the init run and projector if the config names them (ArtefactError otherwise).
    RunLocked if another process is at it.
    """
    folder, work = layout.run(planned.id), layout.checkpoint(planned.id)
    work.mkdir(parents=True, exist_ok=True)
    with _locked(work, planned.id), _stop_signals() as stop:
        started = datetime.now(UTC)
        torch.backends.cudnn.deterministic = True
        dataset_folder = layout.dataset(planned.dataset_id)
        trainer = _trainer(planned, methods, layout, load(dataset_folder, device), device)
        path = work / "checkpoint.safetensors"
        resumed = path.is_file()
        if resumed:
            trainer.restore(Checkpoint.load(path, planned.id))
        total = trainer.steps_per_epoch * trainer.training.epochs
        with tqdm(total=total, desc=planned.id, unit="step", mininterval=1.0, dynamic_ncols=True) as bar:

            def progress(done: int, _total: int, text: str) -> None:
                bar.set_postfix_str(text, refresh=False)
                bar.update(done - bar.n)

            outcome = trainer.fit(Watcher(lambda state: state.save(path), lambda: bool(stop), progress))
        _write(planned, outcome, folder, trainer, started, resumed, layout)
    shutil.rmtree(work, ignore_errors=True)


def build_model(run: Run, store: Store, device: torch.device) -> Classifier:
    """The run's network with its initial weights drawn from its seed, on `device`, channels last."""
    torch.manual_seed(run.seed)
    channels = store.train.images.shape[1]
    model = build(
        run.model, channels=channels, classes=store.classes, normalisation=run.dataset.normalisation
    )
    return model.to(device, memory_format=torch.channels_last)


def _trainer(
    planned: PlannedRun, methods: Registry, layout: Layout, store: Store, device: torch.device
) -> Trainer:
    run = planned.config
    model = build_model(run, store, device)
    if run.init:
        weights.load_into(model, layout.run(run.init) / "model.safetensors")
    null_space = nullspace.load(layout.projector(run.projector)) if run.projector else None
    entry = methods[run.method].method
    params = entry.Params.model_validate(run.params)
    method = entry(params, Setting(model=model, null_space=null_space))
    return Trainer(
        planned.id,
        model=model,
        method=method,
        store=store,
        training=run.training,
        augmentation=run.dataset.augmentation,
        seed=run.seed,
    )


def _write(
    planned: PlannedRun,
    outcome: Outcome,
    folder: Path,
    trainer: Trainer,
    started: datetime,
    resumed: bool,
    layout: Layout,
) -> None:
    model_path = folder / "model.safetensors"
    weights.save_weights(outcome.weights, model_path, {"run": planned.id})
    write_history(outcome.history, folder / "history.csv")
    dataset = artefacts.read_json(layout.dataset(planned.dataset_id) / "manifest.json")
    facts = provenance.manifest(
        planned.id,
        planned.config,
        device=trainer.device,
        names=planned.names,
        dataset={"id": planned.dataset_id, "checksum": dataset["images_sha256"]},
        started=started.isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        resumed=resumed,
        seconds=outcome.seconds,
        images_per_second=_median([row["images_per_second"] for row in outcome.history]),
        peak_memory_bytes=_peak_memory(trainer.device),
        selected_epoch=outcome.selected_epoch,
        epochs=trainer.training.epochs,
        weights_sha256=artefacts.sha256(model_path),
    )
    artefacts.write_json(folder / "manifest.json", facts)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else math.nan


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextlib.contextmanager
def _locked(folder: Path, run_id: str) -> Iterator[None]:
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunLocked(
            f"{run_id}: another process is training it (it holds {folder / 'lock'}); wait for it or stop it"
        ) from None
    except OSError as error:
        raise ArtefactError(
            f"{folder / 'lock'}: cannot be locked: {error}; make the folder writable"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """A list that is non-empty once SIGTERM or SIGINT has come; a second one acts as usual."""
    received: list[int] = []
    previous: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, previous[number])

    for number in (signal.SIGTERM, signal.SIGINT):
        previous[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
