import json
import re
from datetime import date
from pathlib import Path

import pytest

from robustfront.config import params as params_module
from robustfront.config.evaluations import Suite
from robustfront.config.experiment import Experiment
from robustfront.config.params import load_extensions, load_params
from robustfront.config.validation import LISTED, describe, did_you_mean
from robustfront.errors import ConfigError
from small_params import Tree, complaint, full_complaint, tree, write
from study_files import FRAME, OWN, STUDY, write_yaml

_TEXT = Path(__file__).with_name("mistakes.txt").read_text()
MISTAKES = re.findall(r"^([^#\s].*?) = (.*)\n    (.*)$", _TEXT, re.MULTILINE)


def small(path: Path) -> Experiment:
    """The study of the small project."""
    return load_params(path).experiments[STUDY]


def test_every_entry_of_the_list_is_read() -> None:
    assert len(MISTAKES) == _TEXT.count("\n    ") > 90


@pytest.mark.parametrize(("key", "value", "expected"), MISTAKES, ids=[expected for *_, expected in MISTAKES])
def test_a_mistake_is_named_by_key_value_and_remedy(
    key: str, value: str, expected: str, tmp_path: Path
) -> None:
    content = tree(**{key: ... if value == "deleted" else json.loads(value)})
    path = write(tmp_path, content)
    assert complaint(path) == expected
    assert full_complaint(path) == f"{file_of(path, expected)}: {expected}"


def file_of(path: Path, message: str) -> Path:
    """Where what the message names stands: params.yaml, or its study's file."""
    frame = re.match(rf"scales( =|:|\.\w+ =|\.\w+\.({'|'.join(FRAME)}))", message)
    shared = frame or re.split(r"[ :.]", message)[0] not in (*OWN, "scales")
    return path if shared else path.parent / "params" / f"{STUDY}.yaml"


def test_a_file_without_anything_is_told_so(tmp_path: Path) -> None:
    assert full_complaint(write_yaml(tmp_path / "params.yaml", {})) == "\n".join(
        f"{tmp_path}/params.yaml: {key}: missing" for key in ("scale", "studies", "scales", "rank_tolerance")
    )


def test_a_study_without_scales_is_told_so(tmp_path: Path) -> None:
    path = write(tmp_path, tree(), front={"runs": {"st": "small/st"}})
    assert full_complaint(path) == (
        f"{tmp_path}/params/front.yaml: scales: missing; say what the study does at each, or which it is "
        "`like`"
    )
    path = write(tmp_path, tree(), front={"runs": {"st": "small/st"}, "scales": {"tinny": {}}})
    assert full_complaint(path) == (
        f"{tmp_path}/params/front.yaml: scales.tinny: `scales` of params.yaml has no such scale "
        "(did you mean 'tiny'?); add it, with note and throughput"
    )


def test_all_mistakes_of_one_part_are_listed_and_many_are_cut(tmp_path: Path) -> None:
    path = write(tmp_path, tree(**{"runs/trades/betta": 1, "runs/trades/attack": {"steps": 0}}))
    assert complaint(path).split("\n") == [
        "runs.trades.attack.steps = 0: must be greater than or equal to 1",
        "runs.trades.betta: unknown key (did you mean 'beta'?)",
    ]
    lines = complaint(write(tmp_path, tree(**{"scales/wide/seeds": ["x"] * 500}))).split("\n")
    assert lines[-1] == f"and {500 - LISTED} more problems"
    assert len(lines) == LISTED + 1


def test_a_mistake_in_defaults_is_told_once(tmp_path: Path) -> None:
    assert complaint(write(tmp_path, tree(**{"defaults/attack/steps": 0}))).count("\n") == 0


def test_a_long_cycle_is_found_and_a_long_chain_is_not_one(tmp_path: Path) -> None:
    chain = {f"r{i}": {"method": "pgd_at", "init": f"r{i - 1}"} for i in range(1, 1100)}
    runs = tree()["runs"] | {"r0": {"method": "pgd_at"}} | chain
    assert len(small(write(tmp_path, tree(runs=runs))).runs) == len(runs)
    runs["r0"]["init"] = "r2"
    expected = "runs.r0.init: the runs r0 -> r2 -> r1 -> r0 start from each other"
    assert complaint(write(tmp_path, tree(runs=runs))) == expected
    runs["r0"]["init"] = "r1099"
    shown = complaint(write(tmp_path, tree(runs=runs)))
    assert shown.startswith("runs.r0.init: the runs r0 -> r1099 -> r1098 -> ")
    assert shown.endswith(" -> ... -> r0 start from each other")
    assert len(shown) < 200


def test_a_mistake_in_a_scale_that_is_not_selected_is_found(tmp_path: Path) -> None:
    edits: Tree = {"scales/wide/threat": {"norm": "l3"}}
    assert complaint(write(tmp_path, tree(**edits))).startswith("scales.wide.threat.norm")
    edits = {"scales/wide/model": {"width": 2}, "runs/trades/model": {"width": 4}}
    assert complaint(write(tmp_path, tree(**edits))).startswith(
        "runs.trades.model: differs from that of 'st'"
    )


def test_defaults_are_merged_under_every_scale(tmp_path: Path) -> None:
    scales = small(write(tmp_path, tree(**{"scales/wide/attack": {"steps": 9}}))).scales
    assert (scales["tiny"].model.width, scales["wide"].model.width) == (4, 8)
    assert scales["wide"].model.depth == 10
    assert (scales["tiny"].attack.steps, scales["wide"].attack.steps) == (3, 9)
    assert scales["tiny"].attack.step_size == scales["wide"].attack.step_size == 2 / 255
    assert scales["wide"].suites["pixel"] == Suite.model_validate(
        {"name": "pixel"} | tree()["defaults"]["suites"]["pixel"]
    )


def test_a_scale_may_switch_the_kind_of_a_schedule(tmp_path: Path) -> None:
    training = {"adversarial": {"schedule": {"kind": "cosine"}}}
    scale = small(write(tmp_path, tree(**{"scales/tiny/training": training}))).scales["tiny"]
    assert scale.training.adversarial.schedule.kind == "cosine"
    assert scale.training.standard.schedule.kind == "step"


def test_params_yaml_of_the_project_is_valid(project: Path) -> None:
    params = load_params(project / "params.yaml")
    assert {"digits", "mnist", "cifar10-small", "paper"} <= set(params.scales)
    assert set(params.experiments["npat"].scales) == {"digits", "mnist", "cifar10-small", "paper"}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The extensions of the last file of params; they are not really read."""
    found: list[Path] = []

    def keep(files: list[Path]) -> None:
        found[:] = files

    monkeypatch.setattr(params_module, "extend", keep)
    return found


def test_extensions_are_found_beside_the_files_even_if_the_rest_is_wrong(
    tmp_path: Path, read: list[Path]
) -> None:
    load_extensions(tmp_path / "absent.yaml")
    assert read == []
    path, study = tmp_path / "params.yaml", tmp_path / "params" / "a-b.yaml"
    write_yaml(path, {"extensions": ["mine.py"], "scale": 3})
    load_extensions(path)
    assert read == [tmp_path / "mine.py"]
    write_yaml(path, {"extensions": ["mine.py"], "scale": 3, "studies": ["params/a-b.yaml"]})
    write_yaml(study, {"extensions": ["its.py"], "runs": 3, "datasets": []})
    load_extensions(path)
    assert read == [tmp_path / "mine.py", tmp_path / "params" / "its.py"]
    write_yaml(study, {"extensions": "its.py"})
    with pytest.raises(ConfigError, match=r"a-b\.yaml: extensions = 'its\.py': must be a list"):
        load_extensions(path)
    write_yaml(path, {"extensions": "mine.py"})
    with pytest.raises(ConfigError, match=r"params\.yaml: extensions = 'mine\.py': must be a list"):
        load_extensions(path)


def test_a_file_that_two_name_is_one_extension(tmp_path: Path, read: list[Path]) -> None:
    front = {"like": "small", "runs": {"st": "small/st"}, "extensions": ["../mine.py"]}
    path = write(tmp_path, tree(extensions=["mine.py", "other.py"]), front=front)
    for load in (load_extensions, load_params):
        load(path)
        assert [file.name for file in read] == ["mine.py", "other.py"]


def test_suggestions_name_the_nearest_or_what_there_is() -> None:
    assert did_you_mean("betta", ["beta", "eta"]) == " (did you mean 'beta'?)"
    assert did_you_mean("x", ["b", "a", "a"]) == " (known: a, b)"
    assert did_you_mean("x", []) == ""
    many = did_you_mean("x", [f"run{i:03}" for i in range(100)])
    assert re.fullmatch(rf" \(known: run000, .*, run{LISTED - 1:03} and {100 - LISTED} more\)", many)


def test_values_are_shown_as_written_and_short() -> None:
    shown = [describe(value) for value in (None, True, 1.5, "a", [], {}, date(2020, 1, 2), 10**400)]
    assert shown[:-1] == ["null", "true", "1.5", "'a'", "a list", "a mapping", "2020-01-02"]
    assert len(describe("x" * 1000)) < 70
    assert re.fullmatch(r"1\d+\.\.\.\d+", shown[-1])
