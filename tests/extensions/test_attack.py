"""The attack of docs/adding-an-attack.md, from a user's file to the rows of its evaluation."""

import pytest
from own_project import SUITE, own_project

from robustfront.config.identity import evaluation_id
from robustfront.evaluation import outcomes
from robustfront.evaluation.session import evaluate_run
from robustfront.planning import sources
from robustfront.planning.estimate import evaluation_units
from robustfront.planning.sources import evaluation_code
from robustfront.reporting.wording import suite as in_words
from small_project import Project

ATTACKS = {"ni": {"kind": "nifgsm", "steps": 4}, "pgd": SUITE["attacks"]["pgd"]}


@pytest.fixture(scope="module")
def project(tmp_path_factory, restored_registries) -> Project:
    suite = {"mine": {"threat": {"eps": 0.1}, "attacks": ATTACKS, "masking": False}}
    folder = tmp_path_factory.mktemp("attack")
    project = own_project(folder, "adding-an-attack.md", **{"defaults/suites": suite})
    project.train("st")
    return project


def test_it_fells_images_inside_the_ball(project) -> None:
    run, plan = project.run("st"), project.plan
    evaluations = plan.evaluations[run.id]
    evaluate_run(run, evaluations, plan.index(run.id), project.layout, "cpu")
    (key,) = (key for key, found in evaluations.items() if found.attack.kind == "nifgsm")
    assert key.startswith("nifgsm-")
    rows, record = outcomes.load(project.layout.evaluation(run.id, key))
    (clean,) = (key for key, found in evaluations.items() if found.attack.kind == "clean")
    undisturbed = outcomes.record(project.layout.evaluation(run.id, clean))["outcomes"]["final"]
    assert record["outcomes"]["final"]["errors"] > undisturbed["errors"]
    assert rows["success"].sum() == record["outcomes"]["final"]["errors"]


def test_plan_page_and_id_know_it(project) -> None:
    run, plan = project.run("st"), project.plan
    (mine,) = (found for found in plan.evaluations[run.id].values() if found.attack.kind == "nifgsm")
    assert evaluation_units(mine, 64) == 64 * 2 * 4
    assert "ni (steps 4, decay 1)" in in_words(plan.studies["small"].suites["mine"])
    other = mine.model_copy(update={"attack": mine.attack.model_copy(update={"decay": 0.5})})
    assert evaluation_id(other) != evaluation_id(mine)
    smaller = mine.model_copy(update={"batch_size": 7})
    assert evaluation_id(smaller) == evaluation_id(mine), "it draws image by image"


def test_its_file_is_part_of_the_codes_digest(project) -> None:
    run = project.run("st")
    found = {each.attack.kind: each for each in project.plan.evaluations[run.id].values()}

    def digests() -> dict[str, str]:
        for read in (sources.modules, sources._source):
            read.cache_clear()
        return {kind: evaluation_code(each, run.config.model) for kind, each in found.items()}

    before, path = digests(), project.folder / "nifgsm.py"
    path.write_text(path.read_text() + "\nMORE = 1\n")
    after = digests()
    assert {kind for kind in before if before[kind] != after[kind]} == {"nifgsm"}
