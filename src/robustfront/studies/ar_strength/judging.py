"""Verdicts on the study's claims, as a frame like that of `reporting.claims.judging.judge`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path

import numpy as np
import pandas as pd

from robustfront.errors import ConfigError
from robustfront.reporting.claims.judging import DIRECTION, IN_PRINT, MEASURED, Truth, every
from robustfront.reporting.claims.rendering import write_claims
from robustfront.reporting.planned import PlannedRun
from robustfront.reporting.results import Results
from robustfront.reporting.sections import CLAIMS, ClaimsSection
from robustfront.reporting.tables import PUBLISHED
from robustfront.studies.ar_strength import measures, predicates, spectra

UNITS = {"loss": "nats", "error": "points", "correct": "points", "margin": "logits"}
"""A word in a quantity's name -> its unit; what is in points is a fraction times 100."""


@dataclass(frozen=True)
class Place:
    """Where a claim is judged. `own`: on the paper's own data and settings."""

    results: Results
    dataset: str
    own: bool

    def runs(self, name: str) -> Sequence[PlannedRun]:
        return self.results.find(name, self.dataset)


class _Open(Exception):
    """Nothing can be said, and why."""


class Claims(ClaimsSection):
    """The verdicts on claims.yaml, by this study's predicates."""

    def make(self, results: Results, folder: Path) -> None:
        path = results.study_file(CLAIMS)
        if path is None:
            raise ConfigError(f"{results.study.folder}: there is no {CLAIMS}")
        table = judge(predicates.load(path), results)
        write_claims(table, folder / self.stem, f"{results.study.facts.title}: claims")


def judge(claims: Sequence[predicates.Claim], results: Results) -> pd.DataFrame:
    """A line per claim, data set of the paper, ours that stands for it, and source; columns as there.

    Numbers are in `reason`, with their units. In print there are none but those of appendix B.2.
    """
    lines = []
    for claim in claims:
        for dataset in claim.datasets:
            ours = [key for key in results.datasets if results.published_as(key) == dataset]
            for key in ours or [""]:
                about = {
                    "claim": claim.id,
                    "statement": claim.statement,
                    "where": claim.where,
                    "bounds_reason": claim.reason,
                    "published_as": dataset,
                    "dataset": results.datasets[key].name if key else "",
                }
                printed, here = ({"source": name, "suite": name} for name in (PUBLISHED, "test"))
                truth, words = _in_print(claim, dataset, results)
                lines.append(about | printed | _line(IN_PRINT[truth], words))
                if not key:
                    words = f"no data set of this scale stands for {dataset}"
                    lines.append(about | here | _line(MEASURED[None], words))
                    continue
                own = "test" in results.as_published[key]
                place = Place(results, key, own)
                found = [_decided(predicate, place) for predicate in claim.predicates]
                truth = every([truth for truth, _ in found])
                reason = "; ".join(words for each, words in found if truth is True or each == truth)
                verdict = (MEASURED if own else DIRECTION)[truth]
                lines.append(about | here | _line(verdict, reason, len(found)))
    return pd.DataFrame(lines).assign(scale=results.label)


def _decided(predicate: predicates.Predicate, place: Place) -> tuple[Truth, str]:
    try:
        return _decide(predicate, place)
    except _Open as reason:
        return None, str(reason)


@singledispatch
def _decide(predicate: object, place: Place) -> tuple[Truth, str]:
    raise TypeError(f"no rule for {predicate!r}")


@_decide.register
def _(predicate: predicates.Trend, place: Place) -> tuple[Truth, str]:
    """By a 95 % interval of the difference of the last and the first run."""
    first, *_, last = predicate.runs
    if predicate.overfit:
        _require_gap(first, place)
    quantity = measures.QUANTITIES[predicate.quantity]
    found = measures.change(quantity, place.runs(first), place.runs(last), place.results)
    if found is None:
        raise _Open(_lacking(predicate.runs, predicate.quantity, place))
    factor, unit = _unit(predicate.quantity)
    mean, low, high = (factor * each for each in found[0])
    numbers = f"{_signed(mean)} [{_signed(low)}, {_signed(high)}] {unit}"
    words = f"{predicate.quantity.replace('_', ' ')} from {first} to {last}: {numbers}"
    words += f", {found[1]} seeds" if found[1] > 1 else ""
    sign = 1 if predicate.goes == "rises" else -1
    ends = sorted([sign * low, sign * high])
    truth = True if ends[0] > 0 else False if ends[1] < 0 else None
    return truth, words


@_decide.register
def _(predicate: predicates.Level, place: Place) -> tuple[Truth, str]:
    quantity = measures.QUANTITIES[predicate.quantity]
    found = [quantity(place.results, run.id) for run in place.runs(predicate.run)]
    known = [one for one in found if one is not None]
    if not known:
        raise _Open(_lacking([predicate.run], predicate.quantity, place))
    factor, unit = _unit(predicate.quantity)
    value = factor * sum(one.value for one in known) / len(known)
    half = factor * measures.Z * max(one.error for one in known)
    words = f"{predicate.quantity.replace('_', ' ')} of {predicate.run}: {value:.2f} ± {half:.2f} {unit}"
    if not place.own:
        raise _Open(f"a size, which is judged on the paper's own data and settings alone: {words}")
    low, high = predicate.at_least, predicate.at_most
    outside = value + half < low or value - half > high
    inside = low <= value - half and value + half <= high
    return (True if inside else False if outside else None), words


@_decide.register
def _(predicate: predicates.Layers, place: Place) -> tuple[Truth, str]:
    groups = _groups(predicate.first, predicate.last, predicate.convention, place)
    more = len(groups.falls) > groups.layers / 2
    return more, f"{predicate.first} to {predicate.last}, {predicate.convention}: {groups.words}"


@_decide.register
def _(predicate: predicates.Accumulated, place: Place) -> tuple[Truth, str]:
    groups = _groups(predicate.first, predicate.last, predicate.convention, place)
    times = groups.falls.sum() / max(groups.rises.sum(), 1e-300)
    shown = f"{times:.2f} times" if len(groups.rises) else "no layer rises"
    bound = predicate.times if place.own else 1.0
    return bool(times >= bound), f"{predicate.convention}: {shown}, at least {bound:g}; {groups.words}"


@_decide.register
def _(predicate: predicates.Variation, place: Place) -> tuple[Truth, str]:
    names = predicate.runs
    found = {name: _variation(name, place) for name in (names[0], names[-1])}
    first, last = found.values()
    truths: list[Truth] = []
    words = []
    for radius, before, after in zip(first.radii, first.values, last.values, strict=True):
        change, error = _statistic(before, after, predicate.statistic)
        low, high = change - measures.Z * error, change + measures.Z * error
        truths.append(True if high < 0 else False if low > 0 else None)
        words.append(f"ε {radius:.3g}: {_signed(change)} [{_signed(low)}, {_signed(high)}]")
    return every(truths), f"{predicate.statistic}, {names[-1]} less {names[0]}, nats: {', '.join(words)}"


@_decide.register
def _(predicate: predicates.Chain, place: Place) -> tuple[Truth, str]:
    spreads, layers = [], []
    for name in predicate.runs:
        item, runs = spectra.of_run(place.results, name, place.dataset), place.runs(name)
        margins = measures.margins_of(place.results, item.run.id, "test") if item and runs else None
        if item is None or margins is None:
            raise _Open(_lacking([name], "spectrum or margins", place))
        spreads.append(float(margins.std()))
        layers.append(spectra.stds(item, predicate.convention))
    found = spectra.correlations(spreads, layers)
    positive = int((found > 0).sum())
    words = f"{predicate.convention}: positive in {positive} of {len(found)} layers, mean "
    words += f"{_signed(found.mean(), 2)} (Spearman over {len(spreads)} networks)"
    return positive > len(found) / 2, words


@dataclass(frozen=True)
class _Variations:
    radii: Sequence[float]
    values: np.ndarray


def _variation(name: str, place: Place) -> _Variations:
    for item in place.results.analysed("loss-variation"):
        if name in item.run.names and item.run.dataset_id == place.dataset:
            return _Variations(item.record.facts["radii"], item.array("variation").astype(float))
    raise _Open(_lacking([name], "loss variation", place))


def _statistic(before: np.ndarray, after: np.ndarray, statistic: str) -> tuple[float, float]:
    """By how much mean or standard deviation change, on the same images, and its standard error."""
    if statistic == "mean":
        change = after - before
        return float(change.mean()), float(change.std()) / len(change) ** 0.5
    influences = []
    for values in (before, after):
        centred, std = values - values.mean(), values.std()
        influences.append((centred**2 - std**2) / (2 * max(std, 1e-300)))
    change = influences[1] - influences[0]
    return float(after.std() - before.std()), float(change.std()) / len(change) ** 0.5


def _groups(first: str, last: str, convention: str, place: Place) -> spectra.Groups:
    found = [spectra.of_run(place.results, name, place.dataset) for name in (first, last)]
    if found[0] is None or found[1] is None:
        raise _Open(_lacking([first, last], "spectrum", place))
    return spectra.compared(found[0], found[1], convention)


def _require_gap(first: str, place: Place) -> None:
    """Open unless some seed of the run fits its training images better than test images, beyond chance."""
    gaps = [measures.error_gap(place.results, run.id) for run in place.runs(first)]
    known = [gap.interval for gap in gaps if gap is not None]
    if known and max(gap.low for gap in known) <= 0:
        shown = 100 * known[0].mean
        raise _Open(
            f"no gap to compare: training less test accuracy of {first} is {_signed(shown, 2)} points"
        )


def _signed(value: float, digits: int = 4) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _unit(quantity: str) -> tuple[float, str]:
    """Factor and unit in which a quantity is told."""
    unit = next(unit for word, unit in UNITS.items() if word in quantity)
    return (100.0 if unit == "points" else 1.0), unit


def _lacking(names: Sequence[str], what: str, place: Place) -> str:
    said = []
    for name in names:
        runs = place.runs(name)
        said.append(f"{name} {place.results.state(runs[0].id) if runs else 'not run at this scale'}")
    return f"no {what}: {', '.join(said)}"


def _in_print(claim: predicates.Claim, dataset: str, results: Results) -> tuple[Truth, str]:
    """Of numbers only appendix B.2's are left: sums and means, from which counts follow."""
    asks = [one for one in claim.predicates if isinstance(one, predicates.Layers | predicates.Accumulated)]
    if not asks or asks[0].first != "pgd-4":
        return None, "the text that we have of the paper lost the numerals of its tables"
    table = results.published("text-b2")
    numbers = {
        (line["row"], line["metric"].rpartition("_")[2]): line["value"]
        for line in table[table["dataset"] == dataset].to_dict("records")
    }
    if not numbers:
        return None, "the paper prints no numbers"
    larger, smaller = (
        numbers[f"{group} at 4", "sum"] / numbers[f"{group} at 4", "mean"] for group in ("larger", "smaller")
    )
    words = (
        f"sums over means: {larger:.2f} layers fall, {smaller:.2f} rise; sums {numbers['larger at 4', 'sum']}"
    )
    words += f" and {numbers['smaller at 4', 'sum']}"
    misprinted = abs(larger + smaller - 55) > 0.5
    if misprinted:
        words += "; together not the 55 convolutions of ResNet-56, so the second sum or mean is misprinted"
    if isinstance(asks[0], predicates.Layers):
        return larger > 55 / 2, words
    more = numbers["larger at 4", "sum"] / numbers["smaller at 4", "sum"] >= asks[0].times
    return (None if misprinted else more), words


def _line(verdict: str, reason: str, count: int = 0) -> dict[str, object]:
    empty = dict.fromkeys(("value_points", "low_points", "high_points", "at_least_points", "at_most_points"))
    texts = dict.fromkeys(("condition", "masked", "refuted", "in_batches", "space"), "")
    return (
        texts
        | empty
        | {"n": None, "seeds": None, "p": None, "verdict": verdict, "conditions": count}
        | {"reason": reason}
    )
