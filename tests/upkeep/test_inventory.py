import pytest

from robustfront.artefacts import write_text
from robustfront.upkeep import inventory


def files_of(project, kind: str, run: str) -> dict[str, set[str]]:
    """Id of each item of that kind of a run -> the names of its files."""
    found = {}
    for item in inventory.wanted(project.plan, project.layout):
        owner, *rest = item.id.split()
        if item.kind == kind and owner == project.id(run):
            found["".join(rest)] = {path.name for path in item.files}
    return found


def test_an_evaluation_is_all_its_files_and_the_masking_checks_are_one(finished_project) -> None:
    found = files_of(finished_project, "evaluation", "at")
    assert sorted(key.rpartition("-")[0] for key in found) == [
        "autoattack-standard",
        "clean",
        "masking",
        "pgd-3",
    ]
    for key, names in found.items():
        suffixes = {"json"} if key.startswith("masking") else {"parquet", "safetensors", "json"}
        assert names == {f"{key}.{suffix}" for suffix in suffixes}


def test_of_a_run_there_is_one_index(finished_project) -> None:
    (index,) = files_of(finished_project, "index", "at").items()
    assert index == (name := finished_project.plan.index(finished_project.id("at")), {f"{name}.json"})
    before = index[0]
    finished_project.edit(**{"defaults/suites/pixel/masking": False})
    ((after, _),) = files_of(finished_project, "index", "at").items()
    assert before != after


@pytest.mark.parametrize("label", ["clean", "pgd-3", "autoattack-standard", "masking"])
def test_a_lost_file_makes_its_evaluation_missing_and_no_other(finished_project, label: str) -> None:
    key = finished_project.evaluation(label)
    for path in finished_project.eval("").glob(f"{key}.*"):
        content = path.read_bytes()
        path.unlink()
        (item,) = inventory.missing(finished_project.plan, finished_project.layout)
        assert (item.kind, item.id, item.missing) == (
            "evaluation",
            f"{finished_project.id('st')} {key}",
            [path],
        )
        path.write_bytes(content)
    assert inventory.missing(finished_project.plan, finished_project.layout) == []


def test_what_an_index_vouches_for(finished_project) -> None:
    plan, run = finished_project.plan, finished_project.id("st")
    index = finished_project.eval(f"{plan.index(run)}.json")
    evaluation = finished_project.eval(f"{finished_project.evaluation('clean')}.json")
    assert inventory.indexed(index) == {*plan.evaluations[run]}
    assert inventory.indexed(evaluation) is None
    records = inventory.records(finished_project.layout.results)
    assert inventory.vouching(evaluation, records) == [index]
    assert inventory.vouching(evaluation.with_name("other-123456.json"), records) == []
    for damage in ("{", "[]", "{}", '{"evaluations": 3}'):
        write_text(index, damage)
        assert inventory.indexed(index) is None
