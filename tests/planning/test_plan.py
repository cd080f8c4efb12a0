import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from robustfront.errors import ConfigError
from robustfront.planning import Plan, load_plan
from small_params import complaint, tree, write
from study_files import STUDY


@pytest.fixture
def plan(tmp_path: Path) -> Any:
    """Plans the small file after edits: key with `/` between levels -> value."""

    def make(scale: str | None = None, **edits: Any) -> Plan:
        return load_plan(write(tmp_path, tree(**edits)), scale)

    return make


def ids(plan: Plan) -> dict[tuple[str, str, int], str]:
    """(name in the study, data set, seed) -> id."""
    return {
        (name, run.config.dataset.name, run.config.seed): run.id
        for run in plan.studies[STUDY].runs.values()
        for name in run.names
    }


def shuffled(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: shuffled(value) for key, value in reversed(node.items())}
    return node


def test_every_run_is_planned_once_per_data_set_and_seed(plan: Any) -> None:
    tiny, wide = plan(), plan("wide")
    assert (len(tiny.runs), len(tiny.datasets), len(tiny.studies)) == (6, 1, 1)
    assert (len(wide.runs), len(wide.datasets), len(wide.projectors)) == (24, 2, 4)
    assert set(ids(wide)) == {
        (name, data, seed) for name in tree()["runs"] for data in ("digits", "mnist") for seed in (0, 1)
    }
    assert len(set(ids(wide).values())) == 24
    assert tiny.note == tiny.studies[STUDY].note == "a test"
    assert [run.names for run in tiny.runs.values()] == [[f"small/{name}"] for name in tree()["runs"]]


def test_every_run_gets_all_that_the_suites_ask_for(plan: Any) -> None:
    made = plan()
    study, first = made.studies[STUDY], next(iter(made.runs))
    wanted = {study.evaluation_id(first, "pixel", name) for name in ("clean", "pgd", "aa", "masking")}
    assert len(wanted) == 4
    assert {run: set(found) for run, found in made.evaluations.items()} == dict.fromkeys(made.runs, wanted)
    assert made.evaluations[first][study.evaluation_id(first, "pixel", "aa")].samples == 10
    with pytest.raises(KeyError):
        study.evaluation_id(first, "pixel", "aaa")


def test_an_attack_more_asks_for_itself_alone(plan: Any) -> None:
    before, attacks = plan(), tree()["defaults"]["suites"]["pixel"]["attacks"]
    more = attacks | {"weak": {"kind": "pgd", "steps": 1, "step_size": 0.1}}
    after = plan(**{"defaults/suites/pixel/attacks": more})
    for run, found in before.evaluations.items():
        assert after.evaluations[run].keys() - found.keys() == {
            after.studies[STUDY].evaluation_id(run, "pixel", "weak")
        }
        assert found.keys() <= after.evaluations[run].keys()
        assert before.index(run) != after.index(run)
    without = plan(**{"defaults/suites/pixel/masking": False})
    (lost,) = before.evaluations[run].keys() - without.evaluations[run].keys()
    assert lost == before.studies[STUDY].evaluation_id(run, "pixel", "masking")


def test_evaluations_do_not_depend_on_what_they_are_called(plan: Any) -> None:
    renamed = tree()["defaults"]["suites"]["pixel"]
    renamed["attacks"]["other"] = renamed["attacks"].pop("pgd")
    after = plan(**{"defaults/suites": {"some": renamed}})
    assert after.evaluations == plan().evaluations


def test_ids_are_safe_directory_names_that_say_what_they_are(plan: Any) -> None:
    found = ids(plan(**{"runs/trades/beta": 1e10}))
    assert re.fullmatch(r"digits-trades-b1e10-s0-[0-9a-f]{8}", found["trades", "digits", 0])
    assert re.fullmatch(r"digits-npgd-pgd-b1.5-s0-[0-9a-f]{8}", found["npgd", "digits", 0])


def test_ids_do_not_depend_on_the_order_of_keys(plan: Any, tmp_path: Path) -> None:
    before = plan("wide")
    after = load_plan(write(tmp_path, shuffled(tree())), "wide")
    assert ids(after) == ids(before)
    assert set(after.projectors) == set(before.projectors)
    assert set(after.datasets) == set(before.datasets)
    assert after.evaluations == before.evaluations


def test_ids_do_not_depend_on_other_runs_or_on_what_changes_no_weight(plan: Any) -> None:
    before = ids(plan())
    assert ids(plan(**{"runs/more": {"method": "trades", "init": "lse", "beta": 3}})).items() > before.items()
    without = ids(plan(**{"runs/trades": ...}))
    assert without == {key: run for key, run in before.items() if key[0] != "trades"}
    for key, value in {
        "datasets/digits/augmentation": {"kind": "crop-flip", "pad": 0},
        "datasets/digits/splits/rule": "stratified",
        "scales/tiny/note": "other words",
        "scales/tiny/throughput": {"gflops": 1, "jobs": 3},
        "defaults/suites/pixel/threat/eps": 0.2,
        "scales/wide/seeds": [5],
    }.items():
        assert ids(plan(**{key: value})) == before, key
    assert ids(plan("wide", **{"datasets/mnist/path": "/elsewhere"})) == ids(plan("wide"))


@pytest.mark.parametrize(
    ("edit", "changed"),
    [
        ({"runs/trades/beta": 2}, {"trades"}),
        ({"runs/npgd/beta": 2}, {"npgd"}),
        ({"runs/at/attack": {"steps": 9}}, {"at"}),
        ({"runs/lse/training": {"epochs": 9}}, {"lse"}),
        ({"runs/st/training": {"epochs": 9}}, {"st", "at", "trades", "npgd", "npda"}),
        ({"runs/lse/init": "trades", "runs/trades/beta": 2}, {"trades", "lse"}),
        ({"rank_tolerance": 1e-4}, {"npgd", "npda"}),
        ({"defaults/training/adversarial/epochs": 9}, {"at", "trades", "npgd", "npda"}),
        ({"defaults/threat/eps": 0.1}, {"at", "trades", "npgd", "npda"}),
        ({"scales/tiny/seeds": [1]}, set()),
    ],
)
def test_an_edit_changes_the_run_and_what_starts_from_it(
    edit: dict[str, Any], changed: set[str], plan: Any
) -> None:
    before, after = ids(plan()), ids(plan(**edit))
    assert {name for name, *_ in before if before[name, "digits", 0] != after.get((name, "digits", 0))} == (
        changed or {name for name, *_ in before}
    )


def test_a_reverted_edit_is_found_again(plan: Any) -> None:
    assert ids(plan()) == ids(plan(**{"runs/trades/beta": 1.5}))
    assert ids(plan()) != ids(plan(**{"runs/trades/beta": 1.25}))


def test_names_of_equal_configs_share_one_run(plan: Any) -> None:
    again, child = tree()["runs"]["trades"], {"method": "pgd_at", "init": "again"}
    made = plan(**{"runs/again": again, "runs/child": child})
    study = made.studies[STUDY]
    (run,) = study.find("again", next(iter(made.datasets)))
    assert run.names == ["trades", "again"]
    assert made.runs[run.id].names == ["small/trades", "small/again"]
    assert [found.config.init for found in study.find("child", run.dataset_id)] == [run.id]
    assert len(made.runs) == 7


def test_parents_come_first_wherever_they_are_written(plan: Any) -> None:
    runs = dict(reversed(tree()["runs"].items()))
    order = list(plan("wide", runs=runs).runs.values())
    seen: set[str] = set()
    for run in order:
        assert run.config.init is None or run.config.init in seen
        seen.add(run.id)


def test_runs_from_one_head_share_its_projector(plan: Any) -> None:
    made = plan()
    (projector,) = made.projectors.values()
    users = [run for run in made.runs.values() if run.config.projector]
    assert [run.names for run in users] == [["small/npgd"], ["small/npda"]]
    assert {run.config.projector for run in users} == {projector.id}
    assert projector.run_id == ids(made)["st", "digits", 0]
    assert {run.config.rank_tolerance for run in users} == {projector.rank_tolerance} == {1e-5}
    other = plan(**{"runs/npda/init": "lse"})
    assert len(other.projectors) == 2


def test_a_run_overrides_model_budget_threat_and_attack_of_its_scale(plan: Any) -> None:
    runs = {
        "plain": {"method": "trades", "beta": 1},
        "own": {
            "method": "trades",
            "beta": 1,
            "model": {"width": 6},
            "training": {"epochs": 7, "schedule": {"kind": "constant"}},
            "threat": {"eps": 0.5},
            "attack": {"steps": 8},
        },
    }
    plain, own = (run.config for run in plan(runs=runs).runs.values())
    assert (plain.model.width, own.model.width, own.model.depth) == (4, 6, 10)
    assert (plain.training.epochs, own.training.epochs) == (2, 7)
    assert (plain.training.schedule.kind, own.training.schedule.kind) == ("step", "constant")
    assert own.training.batch_size == plain.training.batch_size == 16
    assert plain.params["threat"] | {"eps": 0.5} == own.params["threat"]
    assert plain.params["attack"] | {"steps": 8} == own.params["attack"]


def test_a_method_gets_the_budget_it_asks_for(plan: Any) -> None:
    made = plan(**{"defaults/training/adversarial/epochs": 5})
    assert {run.config.method: run.config.training.epochs for run in made.runs.values()} == {
        "standard": 2,
        "pgd_at": 5,
        "trades": 5,
        "npgd": 5,
        "npda": 5,
    }


def test_sweeps_are_planned_under_their_names(plan: Any) -> None:
    made = plan(**{"runs/trades/sweep": {"beta": [0.5, 1.5], "attack.steps": [3, 4]}})
    runs = made.studies[STUDY].runs.values()
    swept = {run.names[0]: run.config.params for run in runs if run.config.method == "trades"}
    assert {name: (params["beta"], params["attack"]["steps"]) for name, params in swept.items()} == {
        "trades-0.5-3": (0.5, 3),
        "trades-0.5-4": (0.5, 4),
        "trades-1.5-3": (1.5, 3),
        "trades-1.5-4": (1.5, 4),
    }


def test_a_scale_lists_runs_or_sweeps_and_what_they_need_comes_along(plan: Any) -> None:
    edits = {"runs/trades/sweep": {"beta": [1, 2]}, "scales/tiny/runs": ["npgd", "trades", "at"]}
    names = [run.names for run in plan(**edits).studies[STUDY].runs.values()]
    assert names == [[], ["npgd"], ["trades-1"], ["trades-2"], ["at"]]
    one = plan(**edits | {"scales/tiny/runs": ["trades-2"]})
    assert [run.names for run in one.runs.values()] == [[], ["small/trades-2"]]


def test_the_scale_is_the_one_asked_for_or_the_one_of_the_file(plan: Any) -> None:
    assert plan().scale == "tiny"
    assert plan(scale="wide").scale == plan(**{"scale": "wide"}).scale == "wide"
    assert plan("wide").studies[STUDY].settings.model.width == 8
    with pytest.raises(ConfigError, match=r"there is no scale 'wides' \(did you mean 'wide'\?\)"):
        plan("wides")


def test_runs_are_found_by_name_and_data_set(plan: Any) -> None:
    made = plan("wide").studies[STUDY]
    digits, mnist = made.datasets
    assert [run.config.seed for run in made.find("npgd", mnist)] == [0, 1]
    assert {run.config.dataset.name for run in made.find("npgd", digits)} == {"digits"}
    assert made.find("nothing", digits) == []


def test_two_configs_of_one_id_are_refused(plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustfront.planning.plan.run_digest", lambda *of: "same")
    with pytest.raises(ConfigError, match=r"runs\.again: shares its id digits-.*-same with small/trades by"):
        plan(**{"runs/again": tree()["runs"]["trades"] | {"attack": {"steps": 9}}})


EXTENSION = '''
from robustfront.config.schema import Config
from robustfront.methods.base import Method, register


class Params(Config):
    strength: float = 1.0


@register("small_params_extension", source="a test", label=lambda params: f"a/../b {params.strength:g}")
class Extension(Method):
    """An extension."""

    Params = Params

    @classmethod
    def units(cls, params):
        return 1
'''


def test_a_method_of_an_extension_file_is_planned(plan: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(EXTENSION)
    runs = {"mine": {"method": "small_params_extension", "strength": 2}}
    made = plan(runs=runs, extensions=["mine.py"])
    (run,) = made.runs.values()
    assert run.config.params == {"strength": 2.0}
    assert re.fullmatch(r"digits-a..b2-s0-[0-9a-f]{8}", run.id)
    assert made.methods["small_params_extension"].source == "a test"
    wrong = write(tmp_path, tree(extensions=["mine.py"], runs={"mine": runs["mine"] | {"strenght": 1}}))
    assert complaint(wrong) == "runs.mine.strenght: unknown key (did you mean 'strength'?)"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("def broken(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        (None, "not a Python file"),
    ],
)
def test_an_extension_that_does_not_import_is_named(content: str | None, reason: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "mine.py").write_text(content)
    message = complaint(write(tmp_path, tree(extensions=["mine.py"])))
    assert str(tmp_path / "mine.py") in message
    assert reason in message


def test_planning_imports_no_torch(project: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from robustfront.planning import load_plan;"
        f"load_plan(Path({str(project / 'params.yaml')!r}));"
        "print(sorted({'torch', 'torchvision', 'timm', 'pandas', 'sklearn', 'dvc'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_project_is_planned_in_every_scale(project: Path) -> None:
    for scale in ("digits", "mnist", "cifar10-small", "paper"):
        made = load_plan(project / "params.yaml", scale)
        assert len(made.runs) >= 13 * len(made.datasets)
        assert all(run.names for run in made.runs.values())


def test_a_thousand_runs_are_planned_in_a_second_or_so(plan: Any) -> None:
    runs = {f"r{i}": {"method": "trades", "init": "st", "beta": 2 + i} for i in range(1000)}
    began = time.process_time()
    made = plan("wide", runs=tree()["runs"] | runs)
    assert time.process_time() - began < 10  # generous: machines that run tests are busy
    assert len(made.runs) == 1006 * 4
