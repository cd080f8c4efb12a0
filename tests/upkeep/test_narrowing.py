"""`--study` narrows what is made and reported, never what upkeep looks at."""

from typing import Any

import pytest

from robustfront.artefacts import read_json, write_text

NARROW = ((), ("--study", "small"), ("--study", "second"))


@pytest.fixture
def two_studies(finished_project, old_pages: set[str]):
    """Finished; the second one has a run and an attack of its own."""
    more = {"kind": "pgd", "steps": 4, "step_size": 0.1}
    own = {"runs/at/training": {"epochs": 3}, "defaults/suites/pixel/attacks/more": more}
    finished_project.add_study("second", **own)
    finished_project.finish()
    return finished_project


@pytest.mark.parametrize("narrow", NARROW)
def test_nothing_of_another_study_is_an_orphan_or_out_of_sight(two_studies, run: Any, narrow) -> None:
    assert run(*narrow, "prune")[:2] == (0, "0 item(s), 0 KiB would be removed; --yes removes them\n")
    code, out, _ = run(*narrow, "status")
    assert (code, out) == (0, "scale tiny: 2 studies, 7 runs, 34 evaluations\nreports: current\n")
    assert run(*narrow, "verify")[0] == 0


@pytest.mark.parametrize("narrow", NARROW)
@pytest.mark.parametrize("name", ["small/at", "second/at"])
def test_what_is_wrong_with_any_study_is_told(two_studies, run: Any, narrow, name: str) -> None:
    weights = two_studies.layout.run(two_studies.id(name)) / "model.safetensors"
    write_text(weights, "other weights")
    code, out, _ = run(*narrow, "verify")
    assert code == 1
    assert f"damaged: {weights}: not what" in out
    weights.unlink()
    code, out, _ = run(*narrow, "status")
    assert code == 1
    assert f"\n  run {two_studies.id(name)}\n" in out
    code, _, err = run(*narrow, "snapshot")
    assert code == 1
    assert err.startswith("error: snapshot: 1 item(s) are missing; ")
    code, out, _ = run(*narrow, "why", name)
    assert (code, out) == (
        0,
        f"{two_studies.id(name)}: will be trained again: model.safetensors of {weights.parent} is missing\n",
    )


@pytest.mark.parametrize("narrow", NARROW)
def test_old_pages_of_any_study_are_told(two_studies, run: Any, old_pages: set[str], narrow) -> None:
    old_pages.add("second")
    assert "reports: out of date or missing: second\n" in run(*narrow, "status")[1]


@pytest.mark.parametrize("narrow", NARROW)
def test_the_note_is_of_all_studies(two_studies, run: Any, narrow) -> None:
    (note,) = (two_studies.layout.results / "projects").iterdir()
    expected = read_json(note)
    note.unlink()
    assert run(*narrow, "prepare")[0] == 0
    assert read_json(note) == expected
    assert two_studies.id("second/at") in expected["evaluations"]
    assert len(expected["pages"]) == 2


def test_a_plan_is_narrowed(two_studies, run: Any) -> None:
    for narrow, runs in zip(NARROW, (7, 6, 6), strict=True):
        code, out, _ = run(*narrow, "plan")
        assert code == 0
        assert f", {runs} trainings" in out


@pytest.mark.parametrize("verb", ["plan", "status", "prune", "prepare"])
def test_a_study_that_is_not_there_is_named(two_studies, run: Any, verb: str) -> None:
    code, _, err = run("--study", "secnd", verb)
    assert code == 2
    assert err == "error: params.yaml: there is no study 'secnd' (did you mean 'second'?)\n"
