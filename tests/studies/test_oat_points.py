"""What each attacker leaves standing, the verdict on both ends, what trainings cost: on results made up."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_oat import NONE, OAT, OAT_PARAMS, ONE, Made, planned

from robustfront.config.networks.film_resnet import FilmResNet
from robustfront.evaluation.statistics import Interval
from robustfront.studies.oat.costs import passes
from robustfront.studies.oat.points import DEDICATED, TRANSFER, WORST, points
from robustfront.studies.oat.switching import gained, verdict


def of(results: Any) -> dict[tuple[str, float], dict[str, float]]:
    """(family, lambda) -> attacker -> how many images fell."""
    return {
        (name, point.value): {attack: int(made[0].sum()) for attack, made in point.fallen.items()}
        for name, family in points(results, "d").items()
        for point in family
    }


def test_the_worst_case_joins_those_who_know_lambda_and_what_is_made_elsewhere() -> None:
    found = of(Made())
    assert found["OAT", 0.0] == {"clean": 1, "pgd": 5, TRANSFER: 2, WORST: 5}
    assert found["OAT", 1.0] == {"clean": 2, "pgd": 3, TRANSFER: 2, WORST: 4}  # image 5 falls to a transfer
    assert found[DEDICATED, 1.0] == {"clean": 1, "pgd": 2, WORST: 2}


def test_without_all_attacks_there_is_no_worst_case() -> None:
    made = Made()
    del made.found["oat-s0", "at-0", "pgd-at-1"]
    found = of(made)
    assert WORST not in found["OAT", 1.0]
    assert WORST in found["OAT", 0.0]
    assert found[DEDICATED, 0.0] == {}  # not trained yet


def test_an_epoch_that_is_best_at_one_lambda_is_shown_at_that_alone() -> None:
    made = Made()
    best = planned("oat-dual-best-at-1", OAT_PARAMS, "oat", {"width": 8}, (1.0,))
    made.runs[best.id] = best
    made.found |= {
        (best.id, suite, attack): fallen
        for (run, suite, attack), fallen in made.found.items()
        if run == OAT.id
    }
    (point,) = points(made, "d")["OAT, dual batch norm, an epoch for each λ"]  # type: ignore[arg-type]
    assert (point.value, point.suite) == (1.0, "at-1")
    assert int(point.fallen[WORST][0].sum()) == 4
    assert point.family.of_epochs


def test_accuracy_has_its_interval_and_seen_is_what_was_drawn_from() -> None:
    first, last = points(Made(), "d")["OAT"]  # type: ignore[arg-type]
    accuracy = last.accuracy(WORST)
    assert accuracy is not None
    assert accuracy.mean == pytest.approx(0.5)
    assert (accuracy.low, accuracy.high) == pytest.approx((0.2152, 0.7848), abs=1e-4)  # Wilson of 4 in 8
    assert first.seen
    assert last.seen


def test_ends_are_compared_image_by_image() -> None:
    generator = np.random.default_rng(0)
    first = pd.Series(generator.random(1000) < 0.6)
    last = first & pd.Series(generator.random(1000) < 0.9)
    found = gained({0: first}, {0: last})
    assert found.mean == pytest.approx(float(first.mean() - last.mean()))
    independent = 2.241 * (2 * 0.6 * 0.4 / 1000) ** 0.5
    assert 0 < found.low < found.mean < found.high
    assert found.high - found.low < independent  # pairing pays


@pytest.mark.parametrize(
    ("standard", "robust", "said"),
    [
        ((-0.03, 0.01), (-0.02, 0.04), "not conditional"),
        ((-0.03, 0.01), (0.01, 0.05), "conditional"),
        ((-0.06, -0.01), (-0.02, 0.04), "conditional, but not more robust"),
        ((-0.06, -0.01), (-0.05, -0.01), "conditional, but not more robust"),
    ],
)
def test_what_is_said_of_both_ends(
    standard: tuple[float, float], robust: tuple[float, float], said: str
) -> None:
    standard_interval, robust_interval = (Interval(sum(ends) / 2, *ends) for ends in (standard, robust))
    assert verdict(standard_interval, robust_interval) == said


def test_cost_is_in_passes_of_the_network_without_film() -> None:
    """1,197 images in 18 whole batches of 64; five of six attacked; FiLM's multiplications counted."""
    images = 18 * 64
    plain = FilmResNet(depth=10, width=4, film=None)
    told = OAT.config.model
    size = {"channels": 1, "size": 8, "classes": 10}
    flops, plain_flops = told.forward_flops(**size), plain.forward_flops(**size)
    assert flops is not None
    assert passes(OAT) == pytest.approx(4 * images * (3 + 5 / 6 * 17) * flops / plain_flops)
    assert passes(ONE) == pytest.approx(4 * images * 20)
    assert passes(NONE) == pytest.approx(4 * images * 3)
