"""How much of the accuracy square a frontier dominates, compared image by image."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustfront.config.evaluations import CLEAN
from robustfront.reporting.claims.judging import signed
from robustfront.reporting.rendering import MISSING, Cell, View
from robustfront.reporting.results import Results
from robustfront.studies.oat.points import DEDICATED, WORST, Point, points

RESAMPLES, CHUNK = 2000, 250
Array = NDArray[np.float64]


class Area(NamedTuple):
    """An area, or a difference of two, with the 2.5 % and 97.5 % points of its resamples; all in percent."""

    value: float
    low: float
    high: float


def dominated(accuracies: Array) -> Array:
    """The area of the union of the rectangles from (0, 0) to each point, (..., K, 2) -> (...)."""
    order = np.argsort(-accuracies[..., 0], axis=-1, kind="stable")
    standard, robust = (np.take_along_axis(accuracies[..., side], order, -1) for side in (0, 1))
    reached = np.maximum.accumulate(robust, axis=-1)
    below = np.concatenate([np.zeros_like(reached[..., :1]), reached[..., :-1]], axis=-1)
    return (standard * (reached - below)).sum(axis=-1)


def compared(frontiers: Sequence[Array], seed: int = 0) -> list[tuple[Area, Area]]:
    """Of each frontier its area, and how much more that is than the first one's.

    A frontier: whether each image stands, (seeds, N, K, 2), clean and attacked, at each of its K points; all
    are of the same N images. Images are drawn with replacement, the same ones for every frontier.
    """
    generator, count = np.random.default_rng(seed), frontiers[0].shape[1]
    exact = np.array([_mean_area(each, np.full((1, count), 1 / count))[0] for each in frontiers])
    drawn = []
    for start in range(0, RESAMPLES, CHUNK):
        size = min(CHUNK, RESAMPLES - start)
        weights = generator.multinomial(count, np.full(count, 1 / count), size=size) / count
        drawn.append(np.stack([_mean_area(each, weights) for each in frontiers]))
    resampled = np.concatenate(drawn, axis=1)
    return [
        (_area(exact[i], resampled[i]), _area(exact[i] - exact[0], resampled[i] - resampled[0]))
        for i in range(len(frontiers))
    ]


def _mean_area(frontier: Array, weights: Array) -> Array:
    """Mean over seeds of the area under weighted images, weights (R, N) -> (R,)."""
    accuracies = np.einsum("rn,snkd->rskd", weights, frontier, optimize=True)
    return dominated(accuracies).mean(axis=1)


def _area(value: float, resampled: Array) -> Area:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Area(100 * float(value), 100 * float(low), 100 * float(high))


def area_table(results: Results) -> tuple[pd.DataFrame, list[View]]:
    """The area below each frontier under the worst-case attacker, beside that of the dedicated one."""
    lines: list[dict[str, Any]] = []
    views = []
    for dataset_id, dataset in results.datasets.items():
        families = {name: _complete(found) for name, found in points(results, dataset_id).items()}
        families = {name: found for name, found in families.items() if len(found) > 1 and _seeds(found)}
        if DEDICATED not in families:
            continue
        ordered = [DEDICATED, *(name for name in families if name != DEDICATED)]
        frontiers = _aligned([families[name] for name in ordered])
        rows = []
        for name, (area, more) in zip(ordered, compared(frontiers), strict=True):
            said = ", ".join(f"{point.value:g}" for point in families[name])
            rows.append(
                [
                    Cell(name),
                    Cell(said),
                    _shown(area),
                    Cell(MISSING) if name == DEDICATED else _difference(more),
                ]
            )
            line = {"dataset": dataset.name, "family": name, "points": said, "n": frontiers[0].shape[1]}
            lines.append(line | dict(zip(("area", "low", "high"), area, strict=True)))
            lines[-1] |= dict(zip(("more", "more_low", "more_high"), more, strict=True))
        views.append(
            View(
                f"Area below the frontier, in percent of the square (higher is better), on {dataset.name}",
                results.label,
                2,
                [("", 2), ("", 2)],
                [Cell("Model"), Cell("λ or β"), Cell("Area"), Cell(f"More than {DEDICATED}")],
                rows,
                [],
                [
                    "Of the union of the rectangles between (0, 0) and each point, SA times RA under the "
                    "worst-case attacker; at λ that the models were trained at.",
                    f"[low, high]: 95 % of {RESAMPLES} resamples of the {frontiers[0].shape[1]} images that "
                    "all models were attacked on, the same for both of a difference.",
                ],
            )
        )
    return pd.DataFrame(lines).assign(scale=results.label), views


def _complete(found: Sequence[Point]) -> list[Point]:
    """The points of a frontier that has an area, with all attackers; not epochs that are no one model."""
    return [
        point
        for point in found
        if point.seen and not point.family.of_epochs and {CLEAN, WORST} <= point.fallen.keys()
    ]


def _seeds(found: Sequence[Point]) -> list[int]:
    """Those that all points have."""
    return sorted(set.intersection(*(set(point.fallen[WORST]) for point in found)))


def _aligned(families: Sequence[Sequence[Point]]) -> list[Array]:
    """Whether each image stands, (seeds, N, K, 2) of each family, on the images that all saw."""
    seen = [fell.index for of in families for point in of for fell in point.fallen[WORST].values()]
    common = seen[0]
    for index in seen[1:]:
        common = common.intersection(index)
    stacked = []
    for found in families:
        stands = [
            [
                [~point.fallen[attack][seed].reindex(common).to_numpy(bool) for attack in (CLEAN, WORST)]
                for point in found
            ]
            for seed in _seeds(found)
        ]  # (seeds, K, 2, N)
        stacked.append(np.array(stands, dtype=float).transpose(0, 3, 1, 2))
    return stacked


def _shown(area: Area) -> Cell:
    return Cell(f"{area.value:.2f}", f"[{area.low:.1f}, {area.high:.1f}]")


def _difference(area: Area) -> Cell:
    return Cell(signed(area.value), f"[{signed(area.low)}, {signed(area.high)}]")
