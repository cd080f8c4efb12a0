"""What a plan will cost, in closed form: time from arithmetic, memory and disk from sizes. No run is started."""

from dataclasses import dataclass

from robustfront.config.schema import AutoAttackEvaluation, Dataset, PGDEvaluation, Suite
from robustfront.methods import Registry
from robustfront.models import cost
from robustfront.planning.plan import Plan, PlannedRun


@dataclass(frozen=True)
class Shape:
    """Channels, side in pixels, classes, and the sizes of the official parts of a data set."""

    channels: int
    size: int
    classes: int
    train: int
    test: int


SHAPES = {
    "digits": Shape(1, 8, 10, 1797, 0),
    "mnist": Shape(1, 28, 10, 60000, 10000),
    "cifar10": Shape(3, 32, 10, 50000, 10000),
    "svhn": Shape(3, 32, 10, 73257, 26032),
}

AUTOATTACK_UNITS = 9798
"""Forward passes of AutoAttack `standard` on an image that withstands it, 10 classes (APGD-CE, APGD-T, FAB-T, Square)."""

ACTIVATIONS_PER_FLOP = 1.1e-2
"""Bytes of float32 activations kept for a backward pass, per FLOP of a forward pass (measured, PreActResNet-18)."""


@dataclass(frozen=True)
class Cost:
    """One run's training and evaluation, and what it needs. None where the data set's size is not known beforehand."""

    run: PlannedRun
    train_seconds: float | None
    evaluation_seconds: float | None
    memory_bytes: float | None
    disk_bytes: float


def train_images(dataset: Dataset) -> int | None:
    """How many images one epoch sees; None for a user's own file."""
    shape = SHAPES.get(dataset.source)
    if shape is None:
        return dataset.splits.train
    held_out = dataset.splits.validation + (
        dataset.splits.test if isinstance(dataset.splits.test, int) else 0
    )
    return min(shape.train - held_out, dataset.splits.train or shape.train)


def test_images(dataset: Dataset) -> int | None:
    shape = SHAPES.get(dataset.source)
    splits = dataset.splits
    count = splits.test if isinstance(splits.test, int) else (shape.test if shape else None)
    return min(count, splits.test_limit or count) if count is not None else None


def evaluation_units(suite: Suite, images: int) -> float:
    """Forward passes of a suite on `images` test images, all of them withstanding (the most it can cost)."""
    total = float(images)
    for name, attack in suite.attacks.items():
        seen = min(images, suite.samples.get(name, images))
        match attack:
            case PGDEvaluation(steps=steps, restarts=restarts):
                total += seen * 2 * steps * restarts
            case AutoAttackEvaluation():
                total += seen * AUTOATTACK_UNITS
    return total


def estimate(plan: Plan, methods: Registry) -> list[Cost]:
    """The cost of each run of the plan, in its order, at the scale's throughput."""
    flops_per_second = plan.settings.throughput.gflops * 1e9
    costs = []
    for run in plan.runs.values():
        config = run.config
        shape, images, tests = (
            SHAPES.get(config.dataset.source),
            train_images(config.dataset),
            test_images(config.dataset),
        )
        entry = methods[config.method].method
        units = entry.units(entry.Params.model_validate(config.params))
        size = {"channels": shape.channels if shape else 3, "classes": shape.classes if shape else 10}
        weights = 4 * cost.parameters(config.model, **size)
        seconds: float | None = None
        evaluation: float | None = None
        memory: float | None = None
        if shape and images is not None and tests is not None:
            forward = cost.forward_flops(config.model, size=shape.size, **size)
            training = config.training
            judged = 0 if training.validation.attack is None else 2 * training.validation.attack.steps
            per_epoch = (
                images * units + config.dataset.splits.validation * (1 + judged) / training.validation.every
            )
            seconds = training.epochs * per_epoch * forward / flops_per_second
            evaluation = sum(evaluation_units(suite, tests) for suite in plan.suites.values()) * forward
            evaluation /= flops_per_second
            pixels = shape.channels * shape.size**2 * (shape.train + shape.test)
            memory = training.batch_size * forward * ACTIVATIONS_PER_FLOP + 6 * weights + pixels
        costs.append(Cost(run, seconds, evaluation, memory, 2 * weights))
    return costs
