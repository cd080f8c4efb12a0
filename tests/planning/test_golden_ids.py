"""The ids of all scales of the project as they were first published: results under them stay valid."""

import json
from pathlib import Path

import pytest

from robustfront.planning import Plans

GOLDEN = json.loads(Path(__file__).with_name("golden_ids.json").read_text())


@pytest.mark.parametrize("kind", ["runs", "projectors", "datasets", "analyses"])
def test_ids_are_those_of_the_first_version(kind: str, project: Path) -> None:
    """If this fails, a change of the config changes ids: make the new field by `schema.added`."""
    plans = Plans(project / "params.yaml").scales
    assert {scale: sorted(getattr(plans[scale], kind)) for scale in GOLDEN} == {
        scale: sorted(ids[kind]) for scale, ids in GOLDEN.items()
    }


def test_all_runs_of_all_scales_are_pinned() -> None:
    assert {scale: len(ids["runs"]) for scale, ids in GOLDEN.items()} == {
        "digits": 26,
        "mnist": 26,
        "cifar10-small": 26,
        "paper": 86,
    }
