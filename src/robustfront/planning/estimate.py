"""What a plan will cost, in closed form: time from arithmetic, memory and disk from sizes. Nothing is run."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from robustfront.config.evaluations import Evaluation
from robustfront.config.identity import restored
from robustfront.config.schema import Dataset
from robustfront.planning.datasets import split_images, test_images, train_images
from robustfront.planning.plan import Plan, PlannedRun

START_SECONDS = 4
"""What a job takes besides its arithmetic: a process, its imports, files (measured: 3 to 5 on two cores)."""

REPORT_SECONDS, CURVES_SECONDS = 30, 1.3
"""Of a study's notebook and page; of each run's training curves (measured on one core)."""

WEIGHT_COPIES = 7
"""In memory: weights, gradients, those before the step, momentum, average, the best ones so far, and a
checkpoint being written."""


@dataclass(frozen=True)
class Cost:
    """What a run takes. None where that depends on files of the user's own, or nobody knows."""

    run: PlannedRun
    train_seconds: float | None
    evaluation_seconds: float | None
    memory_bytes: float | None
    disk_bytes: float | None


def estimate(plan: Plan) -> list[Cost]:
    """The cost of each run of the plan, in its order, at the scale's throughput."""
    return [_cost(plan, run) for run in plan.runs.values()]


def evaluation_units(evaluation: Evaluation, images: int) -> float | None:
    """Passes of an evaluation of a split of so many images, all withstanding: the most it can cost.

    None for an attack of which nobody knows.
    """
    return evaluation.attack.passes(min(images, evaluation.samples or images))


def analysis_seconds(plan: Plan) -> float:
    """Arithmetic of all analyses of the plan, left out where nobody knows."""
    total = 0.0
    for run_id, analysis_id in plan.analysis_jobs:
        config, dataset = plan.runs[run_id].config, plan.runs[run_id].config.dataset
        shape, images = dataset.shape, test_images(dataset)
        if shape is not None and images is not None:
            sizes = {"channels": shape.channels, "size": shape.size, "classes": shape.classes}
            passes = plan.analyses[analysis_id].config.passes(images) or 0
            total += passes * (config.model.forward_flops(**sizes) or 0)
    return total / (plan.throughput.gflops * 1e9)


def overhead_seconds(plan: Plan) -> float:
    """What starting the plan's jobs takes, and the report: no arithmetic of models."""
    jobs = len(plan.datasets) + len(plan.projectors) + len(plan.analysis_jobs) + 2 * len(plan.runs)
    return jobs * START_SECONDS + REPORT_SECONDS * len(plan.studies) + CURVES_SECONDS * len(plan.runs)


def image_bytes(dataset: Dataset) -> int | None:
    """Size of the image store: a byte per value, and two 8-byte integers per image."""
    shape, train, test = dataset.shape, train_images(dataset), test_images(dataset)
    if shape is None or train is None or test is None:
        return None
    images = train + dataset.splits.validation + test
    return images * (shape.channels * shape.size**2 + 16)


def _cost(plan: Plan, run: PlannedRun) -> Cost:
    config, dataset = run.config, run.config.dataset
    training, validation = config.training, config.training.validation
    shape = dataset.shape
    size = {"channels": dataset.channels, "classes": shape.classes if shape else 10}
    parameters = config.model.parameters(**size)
    weights = None if parameters is None else 4 * parameters
    train, test, stored = train_images(dataset), test_images(dataset), image_bytes(dataset)
    if shape is None or train is None or test is None or stored is None:
        return Cost(run, None, None, None, weights)
    forward = config.model.forward_flops(size=shape.size, **size)
    kept = config.model.activation_bytes(size=shape.size, **size)
    method = plan.methods[config.method].method
    params = restored(method.Params, config.params)
    ascents = [validation.attack, *validation.beside.values()] if validation.attack else []
    judging = 1 + sum(2 * ascent.steps * ascent.restarts for ascent in ascents)
    if config.model.usual is not None:
        judging *= max(1, len(validation.conditions))
    for_method = for_selection = dataset.splits.validation
    if method.learns_from_validation(params):
        for_method, for_selection = for_selection // 2, for_selection - for_selection // 2
    step, passes = method.units(params), None
    if step is not None:
        epoch = train * method.replays(params) * step + for_method * method.validation_units(params)
        judged = 1 + math.ceil(training.epochs / validation.every)  # the start, too
        passes = training.epochs * epoch + judged * for_selection * judging
    evaluation = _total(
        evaluation_units(wanted, split_images(dataset, wanted.split) or 0)
        for wanted in plan.evaluations[run.id].values()
    )
    batches = 2 if method.budget == "adversarial" else 1  # clean and adversarial images, before one backward
    copies = WEIGHT_COPIES + len(method.averages(params))
    second = plan.throughput.gflops * 1e9
    return Cost(
        run,
        train_seconds=None if forward is None or passes is None else passes * forward / second,
        evaluation_seconds=None if forward is None or evaluation is None else evaluation * forward / second,
        memory_bytes=None
        if kept is None or weights is None
        else batches * training.batch_size * kept + copies * weights + stored,
        disk_bytes=weights,
    )


def _total(units: Iterable[float | None]) -> float | None:
    """The sum; None if one of them is not known."""
    found = list(units)
    known = [each for each in found if each is not None]
    return sum(known) if len(known) == len(found) else None
