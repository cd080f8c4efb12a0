"""Every fault of docs/faults.md, in its order."""

import hashlib
import io
import os
import pickle
import shutil
import signal
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from arena import Arena, cut, fault, flip
from filelock import FileLock

from robustfront.artefacts import write_text
from robustfront.errors import TrainingDiverged
from robustfront.jobs import remembered
from robustfront.models import Classifier
from robustfront.training.loop import Trainer

WEIGHTS = "nothing of the run is written; the other runs are untouched"
AGAIN = "delete the file named: the same command makes it again"


# ------------------------------------------------------------------------------------------------- disk
@fault("Disk full while a checkpoint is saved", "the run's older checkpoint, from which it goes on")
def full_checkpoints(arena: Arena) -> tuple[str, ...]:
    arena.full_disk(arena.project.layout.checkpoints)
    return "train", arena.run("npgd")


@fault("Disk full while a trained model is written", "the last checkpoint: nothing is trained twice")
def full_results(arena: Arena) -> tuple[str, ...]:
    arena.full_disk(arena.project.layout.run(arena.run("npgd")))
    return "train", arena.run("npgd")


@fault(
    "Disk full while an evaluation is written",
    "every finished evaluation and batch: nothing is attacked twice",
)
def full_evaluation(arena: Arena) -> tuple[str, ...]:
    arena.full_disk(arena.project.layout.run(arena.run("st")) / "eval")
    return "evaluate", arena.run("st")


@fault("Disk full while images are stored", "the downloaded files")
def full_images(arena: Arena) -> tuple[str, ...]:
    (dataset,) = arena.project.plan.datasets
    shutil.rmtree(arena.project.layout.dataset(dataset))
    arena.full_disk(arena.project.layout.dataset(dataset))
    return "data", dataset


@fault("Results folder is read-only", "everything; nothing was started")
def read_only_results(arena: Arena) -> tuple[str, ...]:
    arena.read_only(arena.project.layout.results)
    return "train", arena.run("npgd")


@fault("Checkpoints folder is read-only", "everything; nothing was started")
def read_only_checkpoints(arena: Arena) -> tuple[str, ...]:
    arena.project.layout.checkpoints.mkdir(exist_ok=True)
    arena.read_only(arena.project.layout.checkpoints)
    return "evaluate", arena.run("st")


# ------------------------------------------------------------------------------------------ damaged files
@fault("Truncated checkpoint", WEIGHTS)
def truncated_checkpoint(arena: Arena) -> tuple[str, ...]:
    cut(arena.interrupted("npda"))
    return "train", arena.run("npda")


@fault("Bit flipped in a checkpoint", WEIGHTS)
def flipped_checkpoint(arena: Arena) -> tuple[str, ...]:
    flip(arena.interrupted("npda"))
    return "train", arena.run("npda")


@fault("Checkpoint of another config", WEIGHTS)
def foreign_checkpoint(arena: Arena) -> tuple[str, ...]:
    there = arena.project.layout.checkpoint(arena.run("npgd")) / "checkpoint.safetensors"
    there.parent.mkdir()
    shutil.copy(arena.interrupted("npda"), there)
    return "train", arena.run("npgd")


@fault("Bit flipped in a batch kept by an unfinished evaluation", "all other batches")
def flipped_batch(arena: Arena) -> tuple[str, ...]:
    from robustfront.evaluation.memory import Memory

    work = arena.unfinished("st") / arena.evaluation()
    attack, _, _ = arena.evaluation().rpartition("-")
    Memory(work, "subject").of(attack)(lambda x, y: x, torch.zeros(4), torch.zeros(4))
    flip(work / f"{attack}-1.safetensors")
    return "evaluate", arena.run("st")


@fault("Truncated images", AGAIN)
def truncated_images(arena: Arena) -> tuple[str, ...]:
    (dataset,) = arena.project.plan.datasets
    cut(arena.project.layout.dataset(dataset) / "images.safetensors")
    return "train", arena.run("trades")


@fault("Bit flipped in images", AGAIN)
def flipped_images(arena: Arena) -> tuple[str, ...]:
    (dataset,) = arena.project.plan.datasets
    flip(arena.project.layout.dataset(dataset) / "images.safetensors")
    return "evaluate", arena.run("st")


@fault("Truncated model", AGAIN)
def truncated_model(arena: Arena) -> tuple[str, ...]:
    cut(arena.model("st"))
    return "evaluate", arena.run("st")


@fault("Bit flipped in a model", AGAIN)
def flipped_model(arena: Arena) -> tuple[str, ...]:
    flip(arena.model("st"))
    return "train", arena.run("npgd")


@fault("Model of another config", "everything; nothing is overwritten")
def foreign_model(arena: Arena) -> tuple[str, ...]:
    trained = arena.model("st").parent
    arena.edit(defaults__model__width=4)
    shutil.copytree(trained, arena.model("st").parent)
    return "evaluate", arena.run("st")


@fault("Bit flipped in a projector", AGAIN)
def flipped_projector(arena: Arena) -> tuple[str, ...]:
    (projector,) = arena.project.plan.projectors
    flip(arena.project.layout.projector(projector) / "projector.safetensors")
    return "train", arena.run("npgd")


@fault("Projector of another head", AGAIN)
def foreign_projector(arena: Arena) -> tuple[str, ...]:
    from robustfront.models import nullspace

    (projector,) = arena.project.plan.projectors
    folder = arena.project.layout.projector(projector)
    nullspace.compute(torch.randn(10, 16, generator=torch.Generator().manual_seed(0)), 1e-5).save(folder)
    return "train", arena.run("npgd")


@fault("Bit flipped in an evaluation's rows", AGAIN)
def flipped_rows(arena: Arena) -> tuple[str, ...]:
    arena.only("st")
    flip(arena.evaluate("st") / f"{arena.evaluation()}.parquet", 0.1)
    return ("verify",)


@fault(
    "Digit changed in an evaluation's record",
    "the page, whose tables say so; `robustfront verify` names the file: delete it, and `snakemake` makes it "
    "again",
)
def flipped_record(arena: Arena) -> tuple[str, ...]:
    arena.only("st")
    path = arena.evaluate("st") / f"{arena.evaluation()}.json"
    path.write_text(path.read_text().replace('"n": 32', '"n": 31'))
    return "report", "small"


# -------------------------------------------------------------------------------------------- raw files
def use(arena: Arena, name: str, dataset: dict[str, Any]) -> None:
    """Makes this the only data set."""
    tiny = {"datasets": [name], "suites": {"pixel": {"samples": {"aa": 1}}}}
    tiny |= {"note": "a test", "throughput": {"gflops": 10}}
    arena.edit(datasets={name: dataset}, scales={"tiny": tiny})


def own_files(
    arena: Arena, source: str, contents: dict[str, bytes], *, checked: bool = True
) -> tuple[str, ...]:
    """A data set of the user's own files, with their true checksums or the official ones."""
    folder = arena.project.folder / "own"
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    colours = 3 if source == "cifar10" else 1
    path = folder / next(iter(contents)) if source == "npz" else folder
    dataset = {
        "source": source,
        "splits": {"train": 2, "validation": 2, "test": 2},
        "normalisation": {"mean": [0.3] * colours, "std": [0.4] * colours},
        "path": str(path),
        "checksums": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }
    use(arena, "digits", dataset)
    (planned,) = arena.project.plan.datasets
    return "data", planned


MNIST = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")


@fault("Damaged download", "the file is left for you to look at; deleted, it is fetched again")
def damaged_download(arena: Arena) -> tuple[str, ...]:
    arena.edit(datasets__mnist__splits={"train": 2, "validation": 2, "test": 2})
    use(arena, "mnist", arena.params["datasets"]["mnist"])
    folder = arena.project.folder / "raw" / "mnist"
    folder.mkdir(parents=True)
    for name in MNIST:
        (folder / name).write_bytes(b"half of it")
    (planned,) = arena.project.plan.datasets
    return "data", planned, "--raw", str(folder.parent)


@fault("Truncated archive", "nothing is made of it")
def truncated_archive(arena: Arena) -> tuple[str, ...]:
    content = cifar_archive({"cifar-10-batches-py/data_batch_1": np.random.default_rng(0).bytes(50_000)})
    return own_files(arena, "cifar10", {"cifar-10-python.tar.gz": content[: len(content) // 2]})


class Payload:
    """Unpickled by Python's own unpickler, it would write a file."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


@fault("Data set whose pickle carries code", "nothing of it is executed")
def pickle_with_code(arena: Arena) -> tuple[str, ...]:
    content = cifar_archive({"cifar-10-batches-py/data_batch_1": pickle.dumps({"data": Payload()})})
    return own_files(arena, "cifar10", {"cifar-10-python.tar.gz": content})


@fault("Archive whose members lie outside it", "nothing is unpacked, inside or outside")
def escaping_archive(arena: Arena) -> tuple[str, ...]:
    content = cifar_archive({"../../escaped": b"content", "/tmp/../escaped": b"content"})
    return own_files(arena, "cifar10", {"cifar-10-python.tar.gz": content})


@fault("Zip file whose members lie outside it", "nothing is unpacked, inside or outside")
def escaping_zip(arena: Arena) -> tuple[str, ...]:
    file, array = io.BytesIO(), io.BytesIO()
    np.save(array, np.zeros(3, np.uint8))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../../escaped.npy", array.getvalue())
    return own_files(arena, "npz", {"own.npz": file.getvalue()})


def cifar_archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


# ----------------------------------------------------------------------------------------- computation
@fault("Loss is no number", "the last good checkpoint; the other runs")
def diverging(arena: Arena) -> tuple[str, ...]:
    arena.edit(runs__npgd__training={"optimizer": {"lr": 1e30}})
    return "train", arena.run("npgd")


@fault("Report on a run whose loss is no number", "the page, in whose tables the run's row says so")
def diverged(arena: Arena) -> tuple[str, ...]:
    arena.only("st", "npgd")
    diverging(arena)
    with pytest.raises(TrainingDiverged), remembered(arena.project.layout, arena.run("npgd"), "train"):
        arena.project.train("npgd")
    arena.evaluate("st")
    return "report", "small"


@fault("GPU out of memory in training", "the checkpoint of the last epoch")
def gpu_out_of_memory(arena: Arena) -> tuple[str, ...]:
    def step(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    arena.patch.setattr(Trainer, "_step", step)
    return "train", arena.run("npgd")


@fault(
    "GPU out of memory in an evaluation, for a batch",
    "everything: batches are halved and the job goes on; its record says what they came to",
    code=0,
)
def evaluation_out_of_memory(arena: Arena) -> tuple[str, ...]:
    forward = Classifier.forward

    def of_few(model: Classifier, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return forward(model, x)

    arena.only("st")
    arena.patch.setattr(Classifier, "forward", of_few)
    return "evaluate", arena.run("st")


@fault("CPU out of memory in an evaluation, for a single image", "every finished evaluation")
def cpu_out_of_memory(arena: Arena) -> tuple[str, ...]:
    def pgd(*_: object, **__: object) -> torch.Tensor:
        return torch.empty(2**55)

    arena.patch.setattr("robustfront.evaluation.batches.pgd", pgd)
    return "evaluate", arena.run("st")


@fault("GPU asked for and none there", "everything; nothing was started", code=2)
def no_gpu(arena: Arena) -> tuple[str, ...]:
    arena.patch.setattr(torch.cuda, "device_count", lambda: 0)
    return "train", arena.run("npgd"), "--device", "cuda"


@fault("Error in a notebook's cell", "the older page, and the executed notebook with the traceback")
def failing_cell(arena: Arena) -> tuple[str, ...]:
    folder = arena.project.folder
    (folder / "mine").mkdir()
    (folder / "params" / "small.yaml").rename(folder / "mine" / "params.yaml")
    (folder / "mine" / "notebook.py").write_text("# %%\nrows = {}\n\n# %%\nrows['accuracy']\n")
    write_text(folder / "reports" / "mine" / "index.html", "the older page")
    shared = folder / "params.yaml"
    shared.write_text(shared.read_text().replace("params/small.yaml", "mine"))
    return "report", "mine"


@fault("Run is being trained by another process", "everything; the other process goes on")
def locked_run(arena: Arena) -> tuple[str, ...]:
    hold(arena, arena.project.layout.checkpoint(arena.run("npgd")))
    return "train", arena.run("npgd")


@fault("Evaluation is being done by another process", "everything; the other process goes on")
def locked_evaluation(arena: Arena) -> tuple[str, ...]:
    hold(arena, arena.unfinished("st"))
    return "evaluate", arena.run("st")


@fault("Training stopped by SIGTERM or Ctrl-C", "the state at that step", code=75)
def stopped(arena: Arena) -> tuple[str, ...]:
    step = Trainer._step

    def step_and_stop(trainer: Trainer, order: torch.Tensor) -> None:
        step(trainer, order)
        if trainer.steps_done == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    arena.patch.setattr(Trainer, "_step", step_and_stop)
    return "train", arena.run("npgd")


@fault("Another job stopped by SIGTERM", "every finished evaluation and batch; no half-written file", code=75)
def stopped_evaluation(arena: Arena) -> tuple[str, ...]:
    from robustfront.evaluation import batches

    pgd = batches.pgd

    def pgd_and_stop(*arguments: object, **options: object) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGTERM)
        return pgd(*arguments, **options)  # type: ignore[arg-type]

    arena.patch.setattr(batches, "pgd", pgd_and_stop)
    return "evaluate", arena.run("st")


def hold(arena: Arena, folder: Path) -> None:
    folder.mkdir(parents=True)
    arena.cleanup.enter_context(FileLock(folder / "lock"))
