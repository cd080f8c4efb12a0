from typing import Any

import pytest

from robustfront.config.analyses.landscape import LandscapeAnalysis
from robustfront.config.analyses.null_space import NullSpaceAnalysis
from robustfront.config.identity import analysis_id
from robustfront.config.schema import Ascent, Threat
from robustfront.planning import load_plan
from small_params import complaint, tree, write

ATTACKED = {"threat": {"eps": "8/255"}, "attack": {"steps": 2, "step_size": "2/255"}}


def analyses(**entries: Any) -> Any:
    return tree(**{"defaults/analyses": entries})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"kind": "landscap", "runs": ["st"], "span": 0.1},
            "or 'path' or 'singular-values' (did you mean 'landscape'?)",
        ),
        ({"kind": "landscape", "runs": ["st"]}, "defaults.analyses.a.span: missing"),
        (
            {"kind": "landscape", "runs": ["st"], "span": 0.1, "points": 40},
            "points 40: must be odd and 3 or more, so that the image is among them",
        ),
        (
            {"kind": "landscape", "runs": [], "span": 0.1},
            "defaults.analyses.a.runs = a list: must not be empty",
        ),
        (
            {"kind": "landscape", "runs": ["stt"], "span": 0.1},
            "defaults.analyses.a.runs: there is no 'stt' (did you mean 'st'?)",
        ),
        (
            {"kind": "path", "runs": ["at"], "image": -1, **ATTACKED},
            "defaults.analyses.a.image = -1: must be",
        ),
        (
            {"kind": "null-space", "runs": ["st"], **ATTACKED},
            "analyses.a.runs: 'st' starts from no other run, but kind null-space compares a run with its",
        ),
    ],
)
def test_a_mistake_is_named_where_it_was_written(entry, message, tmp_path) -> None:
    assert message in complaint(write(tmp_path, analyses(a=entry)))


def test_a_scale_changes_parts_of_an_analysis(tmp_path) -> None:
    content = analyses(a={"kind": "landscape", "runs": ["st"], "span": "16/255"})
    content["scales"]["tiny"]["analyses"] = {"a": {"points": 5}}
    (found,) = load_plan(write(tmp_path, content)).analyses.values()
    assert (found.config.points, found.config.span) == (5, 16 / 255)


def test_identity_is_that_of_what_is_computed_not_of_the_runs() -> None:
    one = LandscapeAnalysis(runs=("st",), span=0.1)
    other = LandscapeAnalysis(runs=("st", "at"), span=0.1)
    finer = LandscapeAnalysis(runs=("st",), span=0.1, points=5)
    assert analysis_id("a", one, 1e-5) == analysis_id("a", other, 1e-5) != analysis_id("a", finer, 1e-5)
    assert analysis_id("a", one, 1e-5).startswith("a-")


def test_the_rank_tolerance_counts_where_a_null_space_is_used() -> None:
    plain = LandscapeAnalysis(runs=("st",), span=0.1)
    attacked = NullSpaceAnalysis(runs=("at",), threat=Threat(eps=0.1), attack=Ascent(steps=1, step_size=0.1))
    assert analysis_id("a", plain, 1e-5) == analysis_id("a", plain, 1e-4)
    assert analysis_id("a", attacked, 1e-5) != analysis_id("a", attacked, 1e-4)
