import dataclasses

import pandas as pd
import pytest

from robustfront.analysis import records
from robustfront.artefacts import read_json, write_json, write_text
from robustfront.checksums import write_record
from robustfront.config.analyses.landscape import LandscapeAnalysis
from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.config.evaluations import Suite
from robustfront.config.schema import Threat
from robustfront.planning.study import PlannedAnalysis
from robustfront.reporting import results as module
from robustfront.reporting.results import Results
from synthetic_records import record

ST, NPDA = "digits-st-s0-0a1b2c3d", "digits-npda-pgd-s0-0a1b2c3d"
DATASET = "digits-11112222"


def fail(project, run_id: str, verb: str, state: str) -> None:
    write_json(project.layout.run(run_id) / "failure.json", {"verb": verb, "state": state, "message": "!"})


# ------------------------------------------------------------------------------------------- answers
def test_rates_and_outcomes_are_those_on_disk(finished):
    rate = finished.results.rate(ST, "pixel-space", "pgd-20")
    assert (rate.n, rate.errors, rate.error) == (400, 396, 0.99)
    fell = finished.results.fell(ST, "pixel-space", "pgd-20")
    assert (len(fell), fell.sum(), fell[395], fell[396]) == (400, 396, True, False)
    assert finished.results.classes(ST, "pixel-space") == 10


def test_the_worst_case_is_over_what_all_attacks_saw(finished):
    path = finished.evaluation(ST, "pixel-space", "autoattack").with_suffix(".parquet")
    rows = pd.read_parquet(path)
    rows = rows[rows["sample"].isin([0, 1, 398, 399])].assign(success=[False, False, False, True])
    rows.to_parquet(path, index=False)
    write_record(path.with_suffix(".json"), read_json(path.with_suffix(".json")) | {"checksums": {}}, [path])
    rate = finished.results.rate(ST, "pixel-space", "worst-case")
    assert (rate.n, rate.errors) == (4, 3)  # 0 and 1 fell to PGD, 399 to AutoAttack
    finished.evaluation(ST, "pixel-space", "pgd-20").unlink()
    assert finished.results.rate(ST, "pixel-space", "worst-case") is None


def test_shown_attacks_may_be_outcomes_on_the_way(empty_project):
    attack = PGDEvaluation(steps=50, step_size=0.01, also={"pgd-10": 10})
    empty_project.attacked(Suite(name="s", threat=Threat(eps=0.1), attacks={"pgd-50": attack}, masking=False))
    run = empty_project.add("st", {"s": (4, 80)})
    path = empty_project.evaluation(run, "s", "pgd-50")
    content = read_json(path)
    content["outcomes"]["step-10"] = content["outcomes"]["final"] | {"errors": 60}
    write_json(path, content | {"checksums": {}})
    assert empty_project.results.rate(run, "s", "pgd-10").errors == 60
    assert empty_project.results.rate(run, "s", "pgd-50").errors == 80


@pytest.mark.parametrize(
    ("word", "attack"),
    [
        ("clean", "clean"),
        ("weak", "weak"),
        ("pgd", "weak"),
        ("autoattack", None),
        ("worst-case", "worst-case"),
    ],
)
def test_a_word_means_an_attack_by_its_name_or_the_first_of_its_kind(empty_project, word, attack):
    attacks = {"weak": PGDEvaluation(steps=1, step_size=0.1), "strong": PGDEvaluation(steps=9, step_size=0.1)}
    empty_project.attacked(Suite(name="s", threat=Threat(eps=0.1), attacks=attacks))
    assert empty_project.results.attack("s", word) == attack


def test_a_run_is_named_with_the_seed_only_where_there_are_several(finished, empty_project):
    run = finished.plan.runs[NPDA]
    assert finished.results.title(run) == "npda-pgd, seed 0"
    empty_project.plan.runs = {NPDA: run}
    assert empty_project.results.title(run) == "npda-pgd"


# -------------------------------------------------------------------------------------------- states
def test_a_run_that_is_not_there_is_not_made_yet(finished):
    assert finished.results.state(ST) == "trained"
    (finished.layout.run(ST) / "manifest.json").unlink()
    assert finished.results.state(ST) == "not made yet"
    assert finished.results.manifest(ST) == {}


@pytest.mark.parametrize("state", ["diverged", "failed"])
def test_a_training_that_failed_says_so_until_there_is_a_model(finished, state):
    fail(finished, ST, "train", state)
    assert finished.results.state(ST) == "trained"
    (finished.layout.run(ST) / "manifest.json").unlink()
    assert finished.results.state(ST) == state
    for path in (finished.layout.run(ST) / "eval").iterdir():
        path.unlink()
    assert finished.results.lacks(ST, "pixel-space", "pgd-20") == state


@pytest.mark.parametrize(("verb", "state"), [("evaluate", "failed"), ("train", "not made yet")])
def test_an_evaluation_that_failed_says_so(finished, verb, state):
    finished.evaluation(ST, "pixel-space", "pgd-20").unlink()
    fail(finished, ST, verb, "failed")
    assert finished.results.rate(ST, "pixel-space", "pgd-20") is None
    assert finished.results.fell(ST, "pixel-space", "pgd-20") is None
    assert finished.results.lacks(ST, "pixel-space", "pgd-20") == state
    assert finished.results.lacks(ST, "pixel-space", "clean") is None


@pytest.mark.parametrize("content", ["{", "[]", '"x"', "{}", '{"run": "another", "outcomes": {}}', "\xff"])
def test_a_damaged_record_is_a_state(finished, content):
    finished.evaluation(ST, "pixel-space", "pgd-20").write_text(content, encoding="latin-1")
    assert finished.results.rate(ST, "pixel-space", "pgd-20") is None
    assert finished.results.fell(ST, "pixel-space", "pgd-20") is None
    assert finished.results.lacks(ST, "pixel-space", "pgd-20") == "damaged"


def test_damaged_rows_are_no_rows(finished):
    finished.evaluation(ST, "pixel-space", "pgd-20").with_suffix(".parquet").write_text("x")
    assert finished.results.fell(ST, "pixel-space", "pgd-20") is None


@pytest.mark.parametrize("content", ["", "loss\n1\n", 'epoch\n"1'])
def test_a_damaged_history_is_none(finished, content):
    (finished.layout.run(ST) / "history.csv").write_text(content)
    assert finished.results.history(ST) is None
    assert len(finished.results.history(NPDA)) == 7


# ------------------------------------------------------------------------------------------ analyses
@pytest.fixture
def analysed(finished):
    """`st` and `npda-pgd` with loss surfaces."""
    config = LandscapeAnalysis(runs=("any",), span=0.1)
    analysis = PlannedAnalysis("landscape-00", config, dict.fromkeys([ST, NPDA]))
    finished.plan.analyses["landscape-00"] = analysis
    for run in (ST, NPDA):
        records.save(record("landscape", run), finished.layout.analysis(run, "landscape-00"))
    return finished


def test_analyses_of_one_kind_are_found_in_the_order_of_their_runs(analysed):
    found = analysed.results.analysed("landscape")
    assert [(one.run.id, one.title) for one in found] == [(ST, "st, seed 0"), (NPDA, "npda-pgd, seed 0")]
    assert found[0].record.facts["random"]["rise"] == 0.04
    assert analysed.results.analysed("path") == []
    assert analysed.results.not_analysed("landscape") == {}


def test_a_missing_analysis_is_told_apart_from_none_asked_for(analysed):
    stem = analysed.layout.analysis(ST, "landscape-00")
    stem.with_name("landscape-00.safetensors").unlink()
    assert [one.run.id for one in analysed.results.analysed("landscape")] == [NPDA]
    assert analysed.results.not_analysed("landscape") == {"st, seed 0": "damaged"}
    stem.with_name("landscape-00.json").unlink()
    fail(analysed, ST, "analyse", "failed")
    assert analysed.results.not_analysed("landscape") == {"st, seed 0": "failed"}


def test_an_analysis_of_another_run_is_damaged(analysed):
    records.save(record("landscape", NPDA), analysed.layout.analysis(ST, "landscape-00"))
    assert analysed.results.not_analysed("landscape") == {"st, seed 0": "damaged"}


# ------------------------------------------------------------------------------------------ the trace
def holds_after(project, ask, change) -> bool:
    """Whether the answer of `ask` is still that, by its trace, after a change."""
    asked = project.results.tracing()
    ask(asked)
    assert asked.trace
    assert project.results.holds(asked.trace)
    change()
    return project.results.holds(asked.trace)


def test_a_trace_is_of_what_was_asked_and_no_more(finished):
    view = finished.results.tracing()
    view.rate(ST, "pixel-space", "pgd-20")
    record = finished.evaluation(ST, "pixel-space", "pgd-20")
    assert set(view.trace) == {"plan:suites", f"file:runs/{ST}/eval/{record.name}"}
    other = view.tracing()
    assert other.trace == {}
    other.rate(ST, "pixel-space", "pgd-20")  # read before, and noted again
    assert other.trace == view.trace


def test_another_result_is_noticed_and_the_same_one_again_is_the_same(finished):
    path = finished.evaluation(ST, "pixel-space", "pgd-20")
    content = read_json(path)
    asked = finished.results.tracing()
    asked.rate(ST, "pixel-space", "pgd-20")
    write_json(path, content | {"seconds": 1.0})
    assert not finished.results.holds(asked.trace)
    write_json(path, content)
    assert finished.results.holds(asked.trace)
    path.unlink()
    assert not finished.results.holds(asked.trace)


def test_what_was_not_there_is_noticed_when_it_comes(finished):
    path = finished.layout.run(ST) / "failure.json"
    (finished.layout.run(ST) / "manifest.json").unlink()
    assert not holds_after(
        finished, lambda asked: asked.state(ST), lambda: fail(finished, ST, "train", "failed")
    )
    assert path.is_file()


def test_results_that_were_not_asked_for_may_change(finished):
    path = finished.evaluation(NPDA, "pixel-space", "pgd-20")
    assert holds_after(finished, lambda asked: asked.rate(ST, "pixel-space", "pgd-20"), path.unlink)


@pytest.mark.parametrize(
    ("ask", "change"),
    [
        (lambda asked: asked.note, lambda plan: setattr(plan, "note", "another")),
        (lambda asked: asked.scale, lambda plan: setattr(plan, "scale", "paper")),
        (lambda asked: asked.label, lambda plan: setattr(plan, "scale", "paper")),
        (lambda asked: asked.find("st", DATASET), lambda plan: plan.runs.pop(ST)),
        (lambda asked: asked.find("mine", DATASET), lambda plan: plan.runs[ST].names.append("mine")),
        (lambda asked: asked.runs, lambda plan: plan.runs.pop(NPDA)),
        (
            lambda asked: asked.seeds,
            lambda plan: [plan.runs.pop(key) for key in list(plan.runs) if "s2" in key],
        ),
        (lambda asked: asked.suites, lambda plan: plan.suites.pop("pixel-space")),
        (lambda asked: asked.datasets, lambda plan: plan.datasets.clear()),
    ],
)
def test_another_plan_is_noticed(finished, ask, change):
    assert not holds_after(finished, ask, lambda: change(finished.plan))


def test_a_run_more_does_not_change_who_was_found(finished):
    def more() -> None:
        finished.add("mine", {"paper-space": (8, 80, 100), "pixel-space": (8, 80, 100)})

    assert holds_after(finished, lambda asked: asked.find("st", DATASET), more)


def test_another_analysis_is_noticed(analysed):
    def less() -> None:
        analysis = analysed.plan.analyses["landscape-00"]
        analysed.plan.analyses["landscape-00"] = dataclasses.replace(analysis, runs={ST: None})

    assert not holds_after(analysed, lambda asked: asked.analysed("landscape"), less)


def test_files_of_the_study_are_noticed(finished, tmp_path):
    finished.studied(tmp_path / "mine")
    claims = tmp_path / "mine" / "claims.yaml"
    assert not holds_after(
        finished, lambda asked: asked.study_file("claims.yaml"), lambda: write_text(claims, "claims: []")
    )
    assert finished.results.study_file("claims.yaml") == claims
    finished.studied(None)
    assert finished.results.study_file("claims.yaml") is None


def test_another_source_of_the_study_is_noticed(finished, tmp_path):
    def ask(asked: Results) -> None:
        assert asked.published_as(DATASET) == "CIFAR10"

    def change() -> None:
        finished.studied(None, datasets={"MNIST": ("digits",)})

    assert not holds_after(finished, ask, change)


def test_a_question_of_an_older_version_does_not_hold(finished):
    assert not finished.results.holds({"weather:today": "fair"})
    assert not finished.results.holds({"plan:weather": "fair"})


def test_a_file_is_read_once(finished, monkeypatch):
    seen = []

    def count(path):
        seen.append(path)
        return read_json(path)

    monkeypatch.setattr(module, "read_record", count)
    results = finished.results
    for view in (results, results.tracing()):
        view.rate(ST, "pixel-space", "pgd-20")
        view.rate(ST, "pixel-space", "pgd-20")
    assert len(seen) == 1
