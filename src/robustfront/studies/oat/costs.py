"""What the models cost to train: one for all lambda against one for each."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from robustfront.config.identity import restored
from robustfront.methods import methods
from robustfront.planning.datasets import train_images
from robustfront.reporting.planned import PlannedRun
from robustfront.reporting.rendering import MISSING, Cell, View
from robustfront.reporting.results import Results
from robustfront.studies.oat.points import DEDICATED, points


def passes(run: PlannedRun) -> float | None:
    """Forward passes of one image through the network without FiLM that cost as much as the training.

    Counted in multiplications: FiLM's own and, of a backward pass, once for the input and once for weights.
    Validation is left out. None where the data set or the cost is not known.
    """
    config, shape = run.config, run.config.dataset.shape
    images = train_images(config.dataset)
    kind = methods[config.method].method
    units = kind.units(restored(kind.Params, config.params))
    if shape is None or images is None or units is None:
        return None
    size: dict[str, int] = {"channels": shape.channels, "size": shape.size, "classes": shape.classes}
    own = config.model.forward_flops(**size)
    plain = config.model.model_copy(update={"film": None}).forward_flops(**size)
    if own is None or plain is None:
        return None
    return config.training.epochs * config.training.seen(images) * units * own / plain


def cost_table(results: Results) -> tuple[pd.DataFrame, list[View]]:
    """A row per frontier: how many trainings, what they cost together, and what one OAT model costs of it."""
    lines: list[dict[str, Any]] = []
    views = []
    for dataset_id, dataset in results.datasets.items():
        families = {
            name: found
            for name, found in points(results, dataset_id).items()
            if not found[0].family.of_epochs  # the same training again
        }
        found = {name: _first_seeds([list(point.runs) for point in of]) for name, of in families.items()}
        total = {name: _sum([passes(run) for run in runs]) for name, runs in found.items()}
        all_dedicated = total.get(DEDICATED)
        rows = []
        for name, runs in found.items():
            seconds = _sum([_seconds(results, run) for run in runs])
            cost = total[name]
            share = cost / all_dedicated if cost is not None and all_dedicated else None
            rows.append(
                [
                    Cell(name),
                    Cell(str(len(runs))),
                    Cell(MISSING if cost is None else f"{cost / 1e6:.2f}"),
                    Cell(MISSING if share is None else f"{share:.2f}"),
                    Cell(MISSING if seconds is None else f"{seconds:.0f}"),
                ]
            )
            lines.append(
                {
                    "dataset": dataset.name,
                    "family": name,
                    "trainings": len(runs),
                    "passes": total[name],
                    "share_of_dedicated": share,
                    "seconds": seconds,
                }
            )
        views.append(
            View(
                f"Cost of training a frontier (lower is better), on {dataset.name}",
                results.label,
                1,
                [("", 1), ("", 4)],
                [
                    Cell("Model"),
                    Cell("Trainings"),
                    Cell("Passes", "(10⁶)"),
                    Cell("Relative", f"({DEDICATED}: 1)"),
                    Cell("Measured", "(s)"),
                ],
                rows,
                [],
                [
                    "Passes: of one image forward through the network without FiLM, with the same "
                    "multiplications as the whole training (a backward pass counts once for the input and "
                    "once for the weights, FiLM as what it is). Validation is left out. Of one seed.",
                    "Measured: seconds of the training steps on whatever machine made each model.",
                ],
            )
        )
    return pd.DataFrame(lines).assign(scale=results.label), views


def _first_seeds(of_points: Sequence[Sequence[PlannedRun]]) -> list[PlannedRun]:
    """The run of the first seed of each point; a model that has many points, once."""
    return list({runs[0].id: runs[0] for runs in of_points if runs}.values())


def _seconds(results: Results, run: PlannedRun) -> float | None:
    found: float | None = results.manifest(run.id).get("seconds")
    return found


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
