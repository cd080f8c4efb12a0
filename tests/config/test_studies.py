"""Where a study's files lie, what they are called, and what study.yaml may say."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from robustfront.config import studies
from robustfront.config.params import load_params
from robustfront.config.studies import RESERVED, Facts, locate, pick
from robustfront.errors import ConfigError
from robustfront.planning import load_plan
from small_params import full_complaint, tree, write
from study_files import split, write_yaml

FRONT = {"like": "small", "runs": {"st": "small/st"}}


def project(folder: Path, *entries: str) -> Path:
    """The small project with further studies; the path of params.yaml."""
    shared, own = split(tree())
    write_yaml(folder / "params" / "small.yaml", own)
    return write_yaml(folder / "params.yaml", shared | {"studies": [*shared["studies"], *entries]})


def with_facts(folder: Path, facts: Any) -> str:
    """What is wrong with a study that has this study.yaml."""
    write_yaml(folder / "front" / "params.yaml", FRONT)
    write_yaml(folder / "front" / "study.yaml", facts)
    return full_complaint(project(folder, "front"))


def test_a_folder_outside_the_project_is_a_study_by_one_line(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs" / "front"
    write_yaml(theirs / "params.yaml", FRONT)
    write_yaml(theirs / "study.yaml", {"title": "Fronts", "lede": "All of them."})
    params = project(tmp_path / "project", "../theirs/front")
    study = load_params(params).experiments["front"].study
    assert (study.name, study.facts.title, study.facts.lede) == ("front", "Fronts", "All of them.")
    assert study.file("study.yaml") == tmp_path / "project" / "../theirs/front/study.yaml"
    assert study.file("claims.yaml") is None
    assert [run.names for run in load_plan(params).studies["front"].runs.values()] == [["st"]]
    for entry in (str(theirs), "../theirs/front/", "../theirs/front/params.yaml", "../theirs/./front"):
        named = load_params(project(tmp_path / "project", entry)).experiments["front"].study
        assert named.facts == study.facts


EXTENSION = '''
from robustfront.config.schema import Config
from robustfront.methods.base import Method, register


@register("extension_of_a_study", source="a test")
class Extension(Method):
    """An extension."""

    Params = Config

    @classmethod
    def units(cls, params):
        return 1
'''


def test_its_extensions_lie_beside_its_own_file(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs" / "front"
    runs = {"mine": {"method": "extension_of_a_study", "init": "small/st"}}
    write_yaml(theirs / "params.yaml", FRONT | {"extensions": ["mine.py"], "runs": runs})
    (theirs / "mine.py").write_text(EXTENSION)
    plan = load_plan(project(tmp_path / "project", "../theirs/front"))
    (run,) = (run for run in plan.runs.values() if "front/mine" in run.names)
    assert plan.runs[run.config.init or ""].names == ["small/st"]
    shutil.move(theirs / "mine.py", tmp_path / "project" / "mine.py")
    assert full_complaint(tmp_path / "project" / "params.yaml") == (
        f"extensions: {tmp_path}/project/../theirs/front/mine.py: not a Python file; name a .py file "
        "that registers something"
    )


def test_a_params_file_has_no_other_files_unless_the_package_has_them(tmp_path: Path) -> None:
    write_yaml(tmp_path / "params" / "study.yaml", {"title": "of nobody"})
    assert locate("params/small.yaml", project(tmp_path)).folder is None
    assert locate("params/small.yaml", project(tmp_path)).facts == Facts(title="small")


def test_the_files_of_a_study_of_ours_lie_in_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    write_yaml(package / "studies" / "small" / "study.yaml", {"title": "Small", "same": {}})
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(studies.robustfront, "__file__", str(package / "__init__.py"))
    study = locate("params/small.yaml", project(tmp_path))
    assert (study.folder, study.facts.title) == (package / "studies" / "small", "Small")


@pytest.mark.parametrize("entry", ["params/smal.yaml", "params", "../nowhere", "x" * 300, "a\0b"])
def test_a_file_that_is_not_there_is_named(entry: str, tmp_path: Path) -> None:
    message = full_complaint(project(tmp_path, entry))
    assert message.startswith(f"{tmp_path}/params.yaml: studies: ")
    assert ": there is no file " in message
    assert message.endswith("; name a study's params file, or its folder")


@pytest.mark.parametrize("name", ["2nd", "-x", "a b", "a.b", "é", "a" * 65])
def test_a_name_that_is_no_word_is_refused(name: str, tmp_path: Path) -> None:
    write_yaml(tmp_path / name / "params.yaml", FRONT)
    message = full_complaint(project(tmp_path, name))
    assert ": a study cannot be called '" in message
    assert message.endswith(
        "a name begins with a letter and has up to 64 letters, digits, '_' and '-'; rename the file or folder"
    )


@pytest.mark.parametrize("name", RESERVED)
def test_a_name_that_means_something_else_is_refused(name: str, tmp_path: Path) -> None:
    write_yaml(tmp_path / f"{name}.yaml", FRONT)
    assert full_complaint(project(tmp_path, f"{name}.yaml")) == (
        f"{tmp_path}/params.yaml: studies: '{name}.yaml': a study cannot be called '{name}': the names "
        f"{', '.join(RESERVED)} are taken; rename the file or folder"
    )


def test_the_rules_of_the_workflow_are_reserved(project: Path) -> None:
    files = [project / "Snakefile", *(project / "workflow").rglob("*.smk")]
    rules = {rule for file in files for rule in re.findall(r"^rule (\w+):", file.read_text(), re.M)}
    assert {"all", "data", "train", "report"} <= rules <= set(RESERVED)


def test_two_studies_of_one_name_are_refused(tmp_path: Path) -> None:
    write_yaml(tmp_path / "small" / "params.yaml", FRONT)
    assert full_complaint(project(tmp_path, "small")) == (
        f"{tmp_path}/params.yaml: studies: two are called 'small'; rename the file or folder of one"
    )
    assert full_complaint(project(tmp_path, "params/small.yaml")) == (
        f"{tmp_path}/params.yaml: studies = a list: must not name 'params/small.yaml' twice"
    )


EXPECTED = {"setting": "training.epochs", "value": 200, "quote": "200 epochs", "where": "section 4"}


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({}, "title: missing"),
        (
            {"titel": "x"},
            "title: missing (did you mean it by 'titel'?)\ntitel: unknown key (did you mean 'title'?)",
        ),
        ({"title": 3}, "title = 3: must be text (in quotes if it looks like something else)"),
        (
            {"title": "x", "expected": [EXPECTED | {"qoute": "x"}]},
            "expected[0].qoute: unknown key (did you mean 'quote'?)",
        ),
        (
            {"title": "x", "expected": [EXPECTED, EXPECTED | {"runs": "adversrial"}]},
            "expected[1].runs = 'adversrial': must be 'all', 'standard' or 'adversarial' (did you mean "
            "'adversarial'?) or a list",
        ),
        (
            {"title": "x", "expected": [EXPECTED | {"may_differ": "no"}]},
            "expected[0].may_differ = 'no': must be true or false",
        ),
        ({"title": "x", "unstated": [{"setting": "training.epochs"}]}, "unstated[0].note: missing"),
        ({"title": "x", "datasets": {"A": "digits"}}, "datasets.A = 'digits': must be a list"),
        ({"title": "x", "datasets": {"A": ["d", "d"]}}, "datasets.A = a list: must not name 'd' twice"),
        (
            {"title": "x", "datasets": {"A": ["digits"], "B": ["mnist", "digits"]}},
            "datasets: 'digits' stands for two data sets of the paper; remove it from one of them",
        ),
        (
            {"title": "x", "datasets": {"A": ["digits"]}, "same": {"A": ["mnist"]}},
            "same.A: 'mnist' is not among datasets.A; add it there, too",
        ),
        (
            {"title": "x", "same": {"A": ["mnist"]}},
            "same.A: 'mnist' is not among datasets.A; add it there, too",
        ),
        (["x"], "must hold a mapping of keys to values, not a list"),
    ],
)
def test_a_mistake_in_study_yaml_is_named_by_file_and_key(facts: Any, problem: str, tmp_path: Path) -> None:
    found = with_facts(tmp_path, facts).split("\n")
    assert found == [f"{tmp_path}/front/study.yaml: {line}" for line in problem.split("\n")]


def test_study_yaml_of_the_project_is_valid(project: Path) -> None:
    for file in (project / "src" / "robustfront" / "studies").glob("*/study.yaml"):
        name = file.parent.name.replace("_", "-")
        study = locate(f"params/{name}.yaml", project / "params.yaml")
        assert study.facts.title != study.name
        assert study.folder == file.parent


def test_studies_are_picked_in_their_own_order() -> None:
    assert pick(None, ["b", "a"], "f") == pick([], ["b", "a"], "f") == pick(["a", "b"], ["b", "a"], "f")
    assert pick(["a", "a"], ["b", "a"], "f") == ["a"]
    with pytest.raises(ConfigError, match=r"^f: there is no study 'bb' \(did you mean 'b'\?\)$"):
        pick(["a", "bb"], ["b", "a"], "f")


def test_what_two_files_of_a_project_say_wrong_is_named_with_its_own_file(tmp_path: Path) -> None:
    path = write(tmp_path, tree(), front=FRONT | {"defaults": {"attack": {"steps": 0}}})
    assert full_complaint(path) == (
        f"{tmp_path}/params/front.yaml: defaults.attack.steps = 0: must be greater than or equal to 1"
    )
    path = write(tmp_path, tree(**{"defaults/attack/steps": 0}), front=FRONT)
    assert full_complaint(path) == (
        f"{tmp_path}/params/small.yaml: defaults.attack.steps = 0: must be greater than or equal to 1"
    )
