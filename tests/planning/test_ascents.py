import re
from pathlib import Path
from typing import Any

import pytest

from robustfront.config.schema import Ascent, Threat
from robustfront.planning import Plans, load_plan
from robustfront.planning.ascents import misfit, warnings
from small_params import tree, write

FITS = {"steps": 3, "step_size": "4/255"}
"""In the ball of 8/255 that the small project trains in."""
SUITE = "defaults/suites/pixel/attacks/pgd"


def fitting(**edits: Any) -> Any:
    """The small project, whose attacks all fit, with edits."""
    return tree(**{"defaults/attack": FITS, SUITE: {"kind": "pgd", "steps": 3, "step_size": 0.05}} | edits)


@pytest.fixture
def warned(tmp_path: Path) -> Any:
    def of(scale: str = "tiny", **edits: Any) -> list[str]:
        path = write(tmp_path, fitting(**edits))
        found = warnings(load_plan(path, scale))
        file = tmp_path / "params" / "small.yaml"
        assert all(line.startswith(f"{file}: scales.{scale}") for line in found)
        return [line.removeprefix(f"{file}: scales.{scale}") for line in found]

    return of


@pytest.mark.parametrize(
    ("steps", "step_size", "eps", "fits"),
    [
        (1, 0.1, 0.1, True),  # one step to the border
        (1, 0.2, 0.1, True),  # from one side of the ball to the other
        (1, 0.2001, 0.1, False),
        (10, 2.0, 8 / 255, False),  # a forgotten /255
        (5, 2 / 255, 10 / 255, True),  # just there, but for rounding
        (3, 0.1, 0.3, True),
        (4, 2 / 255, 10 / 255, False),
        (10, 2 / 225, 0.5, False),  # steps of an L-infinity attack in an L2 ball
    ],
)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_ascent_fits_if_it_can_reach_the_border_and_is_not_wider_than_the_ball(
    steps: int, step_size: float, eps: float, fits: bool, norm: str
) -> None:
    threat = Threat.model_validate({"norm": norm, "eps": eps})
    assert (misfit(Ascent(steps=steps, step_size=step_size), threat) is None) == fits


def test_attacks_that_fit_are_not_warned_of(warned: Any) -> None:
    assert warned() == []


def test_shipped_numbers_fit_in_every_scale_but_where_a_paper_s_do_not(project: Path) -> None:
    """S001's suites `faithful` attack larger balls with the steps of the smallest; S004 shows 20 of 500."""
    plans = Plans(project / "params.yaml").scales
    del plans["smoke"]  # whose numbers mean nothing
    told = [line for plan in plans.values() for line in warnings(plan)]
    known = re.compile(r"ca-at\.yaml: .*\.suites\.faithful|nuat\.yaml: .*\.attacks\.pgd-500\.also\.")
    assert [line for line in told if not known.search(line)] == []
    assert told


def test_a_training_attack_is_named_with_its_runs_once_for_all_data_sets_and_seeds(warned: Any) -> None:
    long = {"steps": 3, "step_size": 2.0}
    (line,) = warned("wide", **{"defaults/attack": long})
    assert line == (
        ", runs 'at', 'trades', 'npgd' and 1 more: attack: a step of 2 is more than twice eps = 8/255, so it "
        "ends at the border of the ball wherever it starts; make it smaller, or write it as a part of 255 if "
        "it was meant so"
    )
    (line,) = warned(**{"runs/at": {"method": "pgd_at", "init": "st", "attack": {"steps": 1}}})
    assert line == (
        ", run 'at': attack: 1 step(s) of 4/255 reach no further than 4/255 of eps = 8/255, so the attack "
        "cannot use its ball; make them larger or more"
    )


def test_validation_suites_and_analyses_are_named_by_their_keys(warned: Any) -> None:
    short = {"steps": 3, "step_size": 0.001}
    (line,) = warned(
        **{"defaults/training/adversarial/validation": {"threat": {"eps": 0.1}, "attack": short}}
    )
    assert line.startswith(", runs 'at', 'trades', 'npgd' and 1 more: training.validation.attack: 3 step(s)")
    (line,) = warned(**{SUITE: {"kind": "pgd"} | short})
    assert line.startswith(".suites.pixel.attacks.pgd: 3 step(s) of 0.001 reach no further than 0.003 of")
    also = {"kind": "pgd", "steps": 50, "step_size": 0.01, "also": {"pgd-3": 3, "pgd-20": 20}}
    (line,) = warned(**{SUITE: also})
    assert line.startswith(".suites.pixel.attacks.pgd.also.pgd-3: 3 step(s) of 0.01 reach no further than")
    look = {"threat": {"norm": "l2", "eps": 0.5}, "attack": {"steps": 10, "step_size": "2/255"}}
    analyses = {
        "shifts": {"kind": "null-space", "runs": ["at"]} | look,
        "way": {"kind": "path", "runs": ["at"]} | look,
    }
    lines = warned(**{"defaults/analyses": analyses})
    assert [line.split(":")[0] for line in lines] == [".analyses.shifts.attack", ".analyses.way.attack"]


def test_attacks_of_class_balance_are_those_that_it_makes(warned: Any) -> None:
    frl = {"method": "frl", "init": "st", "beta": 1.5, "attack": {"steps": 4}}
    # remargin replaces the step size in training; validation images are attacked with it, in 20 steps
    assert warned(**{"runs/frl": frl | {"attack": {"steps": 4, "step_size": 0.002}}}) == []
    (line,) = warned(**{"runs/frl": frl | {"validation_steps": 1}})
    assert line.startswith(", run 'frl': validation_steps: 1 step(s) of 4/255 reach no further than 4/255")
    (line,) = warned(**{"runs/frl": frl | {"margin_step": 0.05}})
    assert line.startswith(", run 'frl': margin_step: 4 step(s) of")
    (line,) = warned(**{"runs/frl": frl | {"remargin": False, "attack": {"steps": 1}}})
    assert line.startswith(", run 'frl': attack: 1 step(s)")


def test_a_run_of_two_studies_is_warned_of_once(tmp_path: Path) -> None:
    mine = {"method": "pgd_at", "init": "small/st"}
    other = {"like": "small", "runs": {"theirs": "small/at", "mine": mine}}
    path = write(tmp_path, fitting(**{"defaults/attack": {"steps": 1, "step_size": "2/255"}}), other=other)
    first, *others = warnings(load_plan(path))
    assert first.startswith(f"{tmp_path / 'params' / 'small.yaml'}: scales.tiny, runs 'at', 'trades'")
    assert others == []  # equal configs are one run


def test_a_momentum_attack_that_stops_short_of_its_ball_is_named_too(warned: Any) -> None:
    """S001's: ten steps of 2/255 without a start in a ball of 24/255."""
    short = {"kind": "mifgsm", "steps": 10, "step_size": "2/255"}
    threat = {"norm": "linf", "eps": "24/255"}
    edits = {"defaults/suites/pixel/threat": threat, SUITE: {"kind": "pgd", "steps": 3, "step_size": 0.05}}
    (line,) = warned(**edits | {"defaults/suites/pixel/attacks/mi": short})
    assert line.startswith(
        ".suites.pixel.attacks.mi: 10 step(s) of 2/255 reach no further than 20/255 of eps = "
    )
    assert warned(**edits | {"defaults/suites/pixel/attacks/mi": short | {"steps": 12}}) == []
