"""One run from its config to its artefacts: lock, load, resume, train, write, clean up."""

from __future__ import annotations

import contextlib
import resource
import statistics
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from robustfront import checksums
from robustfront.artefacts import Layout, require_writable
from robustfront.attacks import compile_stand_ins
from robustfront.config.batch_norm import Reestimated
from robustfront.config.lasting import restored
from robustfront.config.schema import Precision
from robustfront.data.store import Store, load
from robustfront.devices import enough_memory
from robustfront.errors import ArtefactError, ConfigError
from robustfront.jobs import stop_signals, workplace
from robustfront.methods import Methods
from robustfront.methods.base import Setting
from robustfront.models import Classifier, build, nullspace, weights
from robustfront.models.batch_norm import forget_statistics
from robustfront.models.nullspace import NullSpace
from robustfront.planning.files import is_trained
from robustfront.planning.sources import training_code
from robustfront.training import provenance
from robustfront.training.arithmetic import settle
from robustfront.training.batch_norm import share_batch_norms
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.history import write_history
from robustfront.training.loop import Outcome, Trainer, Watcher
from robustfront.training.reestimation import with_statistics
from robustfront.training.world import ALONE, World

if TYPE_CHECKING:
    from robustfront.planning import PlannedRun


def train(
    planned: PlannedRun,
    methods: Methods,
    layout: Layout,
    device: torch.device,
    world: World = ALONE,
    compiled: bool = False,
    arithmetic: Precision | None = None,
) -> None:
    """Trains a run, or goes on where it was stopped, and writes its model, history and manifest.

    A run that has all three is left alone. In a `world` of several processes each of them calls this, and the
    first one writes; a training may go on in a world of another size. `compiled` asks for `torch.compile`
    where attacks are in bf16; `arithmetic` decides for a config that allows bf16 what its machine would.

    Needs the data set, and the init run and projector if the config names them (ArtefactError otherwise).
    ConfigError if the method or the batch size does not suit the world; RunLocked if another process is at
    it; Interrupted after SIGTERM or SIGINT.
    """
    folder = layout.run(planned.id)
    require_writable(folder)
    work = workplace(layout.checkpoint(planned.id), planned.id) if world.first else contextlib.nullcontext()
    with work, stop_signals() as stop, enough_memory(planned.id, device, "training.batch_size"):
        if not any(world.any(is_trained(layout, planned.id))):
            compile_stand_ins(compiled)
            _train(planned, methods, layout, device, world, stop, compiled, arithmetic)
        elif world.first:
            print(f"{planned.id}: is trained already; delete {folder} to train it again", file=sys.stderr)


def _train(
    planned: PlannedRun,
    methods: Methods,
    layout: Layout,
    device: torch.device,
    world: World,
    stop: list[int],
    compiled: bool,
    asked: Precision | None,
) -> None:
    started = datetime.now(UTC)
    store = load(layout.dataset(planned.dataset_id), device, ("train", "validation"))
    path = layout.checkpoint(planned.id) / "checkpoint.safetensors"
    begun = Checkpoint.load(path, planned.id) if path.is_file() else None
    trainer = _trainer(planned, methods, layout, store, device, world, asked, begun)
    # Now: hours later somebody may have replaced a file, or edited the code.
    made_from, sources = _made_from(planned, layout), training_code(planned.config, methods)
    if begun is not None:
        _resume(trainer, begun, path, made_from)
        sources = _of_all_steps(begun.sources, sources)
    resumed, begun = begun is not None, None  # its tensors would be held until the end
    with tqdm(
        desc=planned.id,
        initial=trainer.steps_done,
        total=trainer.total_steps,
        unit="step",
        mininterval=1.0 if sys.stderr.isatty() else 30.0,  # a log file needs fewer lines
        dynamic_ncols=True,
        disable=not world.first,
    ) as bar:

        def progress(steps: int, text: str) -> None:
            bar.set_postfix_str(text, refresh=False)
            bar.update(steps - bar.n)

        def save(state: Checkpoint) -> None:
            if world.first:
                arithmetic = trainer.precision
                replace(state, made_from=made_from, sources=sources, arithmetic=arithmetic).save(path)

        outcome = trainer.fit(Watcher(save, lambda: bool(stop), progress))
    if world.first:
        facts = {
            "made_from": made_from,
            "sources": sources,
            "started": started.isoformat(timespec="seconds"),
            "resumed": resumed,
            "devices": world.size,
            "compiled": compiled,
            "arithmetic": trainer.precision,
            "economies": trainer.gradients.economies,
            "selected_on": len(trainer.for_selection),
        }
        if trainer.precision == "bf16":
            facts["bf16_attacks"] = "folded copy" if trainer.model.folds else "plain autocast"
        batch_norm = planned.config.model.statistics
        if isinstance(batch_norm, Reestimated):
            outcome.weights = with_statistics(planned.config, batch_norm, outcome.weights, store)
            facts["re_estimated"] = {"batches": batch_norm.batches, "augmented": False}
        _write(planned, outcome, layout, device, facts)


def _made_from(planned: PlannedRun, layout: Layout) -> dict[str, str]:
    """The checksums of what the training reads."""
    run, inputs = planned.config, [layout.dataset(planned.dataset_id) / "images.safetensors"]
    inputs += [layout.run(run.init) / "model.safetensors"] if run.init else []
    inputs += [layout.projector(run.projector) / "projector.safetensors"] if run.projector else []
    return checksums.made_from(layout.results, inputs)


def _trainer(
    planned: PlannedRun,
    methods: Methods,
    layout: Layout,
    store: Store,
    device: torch.device,
    world: World,
    asked: Precision | None,
    begun: Checkpoint | None,
) -> Trainer:
    run = planned.config
    kind = methods[run.method].method
    if world.size > 1 and not kind.per_image:
        raise ConfigError(
            f"{planned.id}: method '{run.method}' looks at a batch as a whole, which cannot be shared out; "
            "train it on one device"
        )
    torch.manual_seed(run.seed)  # for the initial weights
    model = build(
        run.model,
        channels=store.train.images.shape[1],
        classes=store.classes,
        normalisation=run.dataset.normalisation,
        weights=layout.run(run.init) / "model.safetensors" if run.init else None,
    )
    if isinstance(run.model.statistics, Reestimated):
        forget_statistics(model, run.model.statistics.tracked)
    model.to(device).to(memory_format=torch.channels_last)
    null_space = _null_space(layout.projector(run.projector), model) if run.projector else None
    precision = settle(
        run.training.precision,
        model,
        store.train.images,
        run.model.arch,
        layout.results,
        asked=asked,
        begun=begun.arithmetic or run.training.precision if begun else None,
    )
    if world.size > 1:
        share_batch_norms(model)
    method = kind(restored(kind.Params, run.params), Setting(model=model, null_space=null_space))
    return Trainer(
        planned.id,
        model=model,
        method=method,
        store=store,
        training=run.training,
        precision=precision,
        augmentation=run.dataset.augmentation,
        seed=run.seed,
        world=world,
    )


def _null_space(folder: Path, model: Classifier) -> NullSpace:
    """The projector in `folder`. ArtefactError unless W P is 0 for the head W, as it was when P was made."""
    space = nullspace.load(folder)
    weight = model.head.weight.detach().to("cpu", torch.float64)
    allowed = space.residuals["|WP|"] + 1e-9 * space.singular_values[0]
    if space.V.shape[0] != weight.shape[1] or space.project(weight).abs().max() > allowed:
        raise ArtefactError(
            f"{folder}: is not the null space of the init run's head (trained again since?); "
            "delete it and run `snakemake` again"
        )
    return space


def _of_all_steps(before: str, sources: str) -> str:
    """What says by which code a training's steps were made: no digest of any one code if by several."""
    return "+".join(dict.fromkeys([*(before or "unknown").split("+"), sources]))


def _resume(trainer: Trainer, checkpoint: Checkpoint, path: Path, made_from: Mapping[str, str]) -> None:
    """Takes up the checkpoint, which was read from `path`."""
    checkpoint.require_made_from(made_from, path)
    try:
        trainer.restore(checkpoint)
    except (KeyError, RuntimeError) as error:
        raise ArtefactError(
            f"{path}: the checkpoint does not fit this version of the code ({error}); "
            f"delete {path.parent} to train this run from its start"
        ) from None


def _write(
    planned: PlannedRun,
    outcome: Outcome,
    layout: Layout,
    device: torch.device,
    execution: dict[str, Any],
) -> None:
    """The artefacts of a finished run; the manifest last, as its presence says that the rest is there.

    `execution` is what the manifest is to say of how it was trained.
    """
    folder = layout.run(planned.id)
    weights.save_weights(outcome.weights, folder / "model.safetensors", {"run": planned.id})
    write_history(outcome.history, folder / "history.csv")
    run, trained = planned.config, [row for row in outcome.history if row["epoch"] > 0]
    facts = provenance.manifest(
        planned.id,
        run,
        device=device,
        names=planned.names,
        ancestors=provenance.ancestors(run, layout.run(planned.id).parent),
        dataset=planned.dataset_id,
        **execution,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=sum(row["seconds"] for row in trained),
        validation_seconds=sum(row.get("validation_seconds") or 0 for row in outcome.history),
        images_per_second=statistics.median(row["images_per_second"] for row in trained),
        peak_memory_bytes=_peak_memory(device),
        selected_epoch=outcome.selected_epoch,
        epochs=len(trained),
    )
    files = [folder / name for name in ("model.safetensors", "history.csv", "config.yaml")]
    checksums.write_record(folder / "manifest.json", facts, [file for file in files if file.is_file()])


def _peak_memory(device: torch.device) -> int:
    """Bytes: of tensors on the GPU, or of the process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
