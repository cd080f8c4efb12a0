"""Whether bf16 changes what is learnt: paired trainings in float32 and bf16, attacked alike in float32.

`python -m benchmarks.equivalence` writes docs/benchmarks/equivalence.md: errors of each, the mean of their
differences over seeds with its t-interval, and the strength of bf16 attacks on one and the same network.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.images import ROOT
from robustfront import attacks
from robustfront.attacks import Ball
from robustfront.config import networks, schema
from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.config.evaluations import FINAL
from robustfront.config.experiment import Scale
from robustfront.config.images import Splits
from robustfront.config.params import load_params
from robustfront.data.augment import to_float
from robustfront.data.store import Store, load, prepare
from robustfront.devices import choose_device
from robustfront.evaluation.batches import ascend, judge
from robustfront.evaluation.room import Room
from robustfront.evaluation.statistics import mean_interval
from robustfront.methods import methods
from robustfront.methods.base import Setting
from robustfront.models import Classifier, build, nullspace
from robustfront.training.loop import Trainer, Watcher

METHODS: dict[str, dict[str, Any]] = {
    "pgd_at": {},
    "trades": {"beta": 1.5},
    "npda": {"generator": "pgd", "beta": 1.5},
}
PRECISIONS = ("fp32", "bf16")
BATCH = 500


@dataclass(frozen=True)
class Result:
    """Errors of one training on the test images, as fractions, under PGD-20 in float32 and in bf16."""

    dataset: str
    method: str
    precision: str
    seed: int
    clean: float
    pgd: float
    pgd_in_bf16: float


@dataclass(frozen=True)
class Task:
    """A data set with the settings of its scale in params.yaml, cut down where they would take hours."""

    name: str
    dataset: schema.Dataset
    scale: Scale
    model: networks.PreActResNet
    epochs: dict[str, int]


def main() -> None:
    options = _options()
    device = choose_device(options.device)
    results = []
    for task in _tasks(options):
        with tempfile.TemporaryDirectory() as folder:
            prepare(task.dataset, Path("data/raw"), Path(folder))
            store = load(Path(folder), device)
        for seed in range(options.seeds):
            for result in compare(task, store, seed, options.methods):
                print(result, file=sys.stderr, flush=True)
                results.append(result)
        write(results, options.out)


def compare(task: Task, store: Store, seed: int, methods: Sequence[str]) -> Iterator[Result]:
    """One standard training, and from its weights each method in both precisions."""
    start = _train(task, store, seed, "standard", {"loss": "ce"}, "fp32", None)
    for method in methods:
        for precision in PRECISIONS:
            model = _train(task, store, seed, method, METHODS[method], precision, start)
            yield Result(task.name, method, precision, seed, *_errors(task, store, model))


def _train(
    task: Task,
    store: Store,
    seed: int,
    name: str,
    params: dict[str, Any],
    precision: str,
    start: Classifier | None,
) -> Classifier:
    torch.manual_seed(seed)
    images = store.train.images
    model = build(
        task.model,
        channels=images.shape[1],
        classes=store.classes,
        normalisation=task.dataset.normalisation,
    ).to(images.device, memory_format=torch.channels_last)
    if start is not None:
        model.load_state_dict(start.state_dict())
    kind = methods[name].method
    if kind.budget == "adversarial":
        params = {"threat": task.scale.threat, "attack": task.scale.attack} | params
    null_space = nullspace.compute(model.head.weight, 1e-5) if kind.needs_null_space else None
    budget = getattr(task.scale.training, kind.budget)
    trainer = Trainer(
        name,
        model=model,
        method=kind(kind.Params.model_validate(params), Setting(model, null_space)),
        store=store,
        training=budget.model_copy(
            update={"precision": precision, "select": "last", "epochs": task.epochs[kind.budget]}
        ),
        augmentation=task.dataset.augmentation,
        seed=seed,
    )
    trainer.fit(Watcher(lambda state: None))
    return model.eval()


def _errors(task: Task, store: Store, model: Classifier) -> tuple[float, float, float]:
    """Clean, under PGD-20, and under PGD-20 crafted in bf16; all judged in float32."""
    suite = task.scale.suites["paper-space"]
    attack = suite.attacks["pgd-20"]
    assert isinstance(attack, PGDEvaluation)
    x, y = to_float(store.test.images), store.test.labels
    x = x.contiguous(memory_format=torch.channels_last)
    ball = Ball.of(suite.threat, model.mean, model.std)

    def attacked(subject: Classifier) -> Tensor:
        return ascend(subject, x, y, torch.arange(len(x)), ball, attack, seed=0, room=Room(BATCH))[FINAL]

    in_fp32 = attacked(model)
    with torch.autocast(x.device.type, torch.bfloat16):
        in_bf16 = attacked(attacks.stand_in(model, x))

    def error(images: Tensor) -> float:
        return (judge(model, images, y, Room(BATCH))[0] != y).double().mean().item()

    return error(x), error(in_fp32), error(in_bf16)


def write(results: list[Result], folder: Path) -> None:
    """equivalence.csv, a row per training, and equivalence.md."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "equivalence.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(vars(results[0])))
        writer.writeheader()
        writer.writerows(vars(result) for result in results)
    (folder / "equivalence.md").write_text(page(results), encoding="utf-8")


def page(results: list[Result]) -> str:
    seeds = len({result.seed for result in results})
    lines = [
        "# bf16 against float32",
        "",
        "Written by `python -m benchmarks.equivalence`; single trainings are in the CSV file.",
        f"Errors on test images in percent, means over {seeds} seeds; both precisions start from one "
        "standard model and see equal batches. The difference is bf16 minus fp32, with its 95 % t-interval "
        "over the seeds. PGD-20 is in float32; the last column is by how much the error under it "
        "differs when x' is crafted in bf16 on the folded copy and judged in float32, over all models.",
        "",
        "| data | method | clean, fp32 | clean, bf16 | difference | PGD-20, fp32 | PGD-20, bf16 | difference "
        "| crafted in bf16 |",
        "|" + " --- |" * 9,
    ]
    for dataset, method in dict.fromkeys((result.dataset, result.method) for result in results):
        chosen = [result for result in results if (result.dataset, result.method) == (dataset, method)]
        cells = [dataset, method]
        for quantity in ("clean", "pgd"):
            fp32, bf16 = (
                [getattr(result, quantity) for result in chosen if result.precision == precision]
                for precision in PRECISIONS
            )
            cells += [f"{100 * mean_interval(values).mean:.1f}" for values in (fp32, bf16)]
            cells.append(_shown([b - a for a, b in zip(fp32, bf16, strict=True)]))
        cells.append(_shown([result.pgd_in_bf16 - result.pgd for result in chosen]))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _shown(differences: list[float]) -> str:
    mean = mean_interval(differences)
    width = "" if mean.half_width is None else f" +- {100 * mean.half_width:.1f}"
    return f"{100 * mean.mean:+.1f}{width}"


def _tasks(options: argparse.Namespace) -> Iterator[Task]:
    params = load_params(ROOT / "params.yaml")
    scales = params.experiments["npat"].scales
    digits = scales["digits"]
    epochs = {name: getattr(digits.training, name).epochs for name in ("standard", "adversarial")}
    if options.epochs:
        epochs = dict.fromkeys(epochs, options.epochs)
    yield Task("digits", params.datasets["digits"], digits, digits.model, epochs)
    if options.mnist.is_dir() and not options.epochs:
        splits = Splits(train=2000, validation=500, test=2000)
        dataset = params.datasets["mnist"].model_copy(update={"path": str(options.mnist), "splits": splits})
        small = scales["mnist"].model.model_copy(update={"depth": 10, "width": 8})
        yield Task("mnist, 2000 images", dataset, scales["mnist"], small, dict.fromkeys(epochs, 4))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.equivalence", description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind (default: 3)")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="default: all")
    parser.add_argument("--epochs", type=int, help="of every training; leaves MNIST out: tests the script")
    shared = ROOT.parent / "shared" / "data" / "mnist"
    parser.add_argument("--mnist", type=Path, default=shared, help="folder with MNIST's four .gz files")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks", help="folder of the tables")
    return parser.parse_args()


if __name__ == "__main__":
    main()
