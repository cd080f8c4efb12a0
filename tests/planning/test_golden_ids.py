"""The ids of all scales of each study as they were first published: results under them stay valid."""

import json
from pathlib import Path

import pytest

from robustfront.planning import Plans
from robustfront.planning.plan import Plan

GOLDEN = {file.stem: json.loads(file.read_text()) for file in Path(__file__).parent.glob("golden/*.json")}


@pytest.fixture(scope="module")
def plans(project: Path) -> Plans:
    return Plans(project / "params.yaml")


@pytest.mark.parametrize("study", sorted(GOLDEN))
@pytest.mark.parametrize("kind", ["runs", "projectors", "datasets", "analyses"])
def test_ids_are_those_of_the_first_version(study: str, kind: str, plans: Plans) -> None:
    """If this fails, a change of the config changes ids: make the new field by `schema.added`."""

    def ids(plan: Plan) -> list[str]:
        return sorted(getattr(plan, kind))

    published = GOLDEN[study]
    assert {scale: ids(plans.of(scale, [study])) for scale in published} == {
        scale: sorted(found[kind]) for scale, found in published.items()
    }


def test_all_runs_of_npat_are_pinned() -> None:
    assert {scale: len(ids["runs"]) for scale, ids in GOLDEN["npat"].items()} == {
        "digits": 26,
        "mnist": 26,
        "cifar10-small": 26,
        "paper": 86,
    }
