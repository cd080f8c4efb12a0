"""Mistakes in files of a user's own: each is told once, by file and name, and before anything is made."""

from pathlib import Path

import pytest

import small_params
from robustfront.config.extensions import extend
from robustfront.config.identity import evaluation_id
from robustfront.errors import ConfigError
from robustfront.methods import methods
from robustfront.planning import load_plan
from robustfront.planning.render import render
from small_params import complaint, tree

ATTACK = """
from typing import ClassVar, Literal
from robustfront.config.attacks import FINAL, EvaluationAttack, attacks

@attacks.register
class Mine(EvaluationAttack):
    made_by: ClassVar[str] = "attack"
    kind: Literal["mine"] = "mine"
    sizes: tuple[int, ...] = ()

def attack(settings, on):
    return on.by_image(lambda x, labels, generator: x[None], (FINAL,))
"""
METHOD = """
from robustfront.config.schema import Config
from robustfront.methods.base import Method, register

class Params(Config):
    strength: float = 1.0

@register("mine", source="nowhere")
class Mine(Method):
    Params = Params
"""
OPTIMISER = """
from typing import ClassVar, Literal
from robustfront.config.optimizers import OptimizerConfig, optimizers

@optimizers.register
class Mine(OptimizerConfig):
    built_by: ClassVar[str] = "package.module:Mine"
    kind: Literal["mine"] = "mine"
"""
SUITE = {"mine": {"threat": {"eps": 0.1}, "attacks": {"mine": {"kind": "mine"}}}}


@pytest.fixture(autouse=True)
def restored_methods(monkeypatch) -> None:
    monkeypatch.setattr(methods, "entries", dict(methods.entries))


@pytest.mark.parametrize(
    ("source", "said", "instead", "message"),
    [
        (ATTACK, '"mine"', '"clean"', "attack 'clean': the name has a meaning already"),
        (ATTACK, '"mine"', '"masking"', "attack 'masking': the name has a meaning already"),
        (ATTACK, '"mine"', '"my/attack"', "attack 'my/attack': a name begins with a letter"),
        (ATTACK, "class Mine(EvaluationAttack)", "class Mine", "Mine: is not derived from the base class"),
        (ATTACK, "tuple[int, ...] = ()", "set[int] = set()", "Mine.sizes: is a set, which has no order"),
        (ATTACK, "tuple[int, ...] = ()", "dict[int, str] = {}", "Mine.sizes: has keys that are not text"),
        (ATTACK, "tuple[int, ...] = ()", 'float = float("nan")', "Mine.sizes: has a default that cannot be"),
        (METHOD, "    Params = Params", "    pass", "method 'mine': the class must say `Params = ...`"),
        (METHOD, "strength: float", "training: float", "'training' is a key of every run; rename"),
        (METHOD, "strength: float = 1.0", "of: frozenset[str] = frozenset()", "Params.of: is a set"),
    ],
)
def test_a_class_that_cannot_be_used_is_refused_when_it_is_read(
    source, said, instead, message, tmp_path
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(source.replace(said, instead))
    with pytest.raises(ConfigError, match=r"extensions: .*mine\.py: ") as found:
        extend([path])
    assert message in str(found.value)


def test_two_files_with_the_same_name_are_both_named(tmp_path) -> None:
    files = [tmp_path / name for name in ("one.py", "two.py")]
    for path in files:
        path.write_text(ATTACK)
    with pytest.raises(ConfigError) as found:
        extend(files)
    assert f"'mine' is defined twice: by Mine of {files[0]} and by Mine of {files[1]}" in str(found.value)


def _project(folder: Path, source: str, **edits: object) -> Path:
    (folder / "mine.py").write_text(source)
    runs = {"st": {"method": "standard"}}
    known = {"extensions": ["mine.py"], "runs": runs, "scales/wide": ..., "datasets/mnist": ...}
    return small_params.write(folder, tree(**(known | edits)))


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("attakc", "Mine names 'attakc', which {folder}/mine.py does not define"),
        (".beside:attack", "Mine names '.beside:attack', and there is no file {folder}/beside.py"),
    ],
)
def test_a_function_that_is_not_there_is_told_by_the_plan(named, message, tmp_path) -> None:
    path = _project(tmp_path, ATTACK.replace('"attack"', f'"{named}"'), **{"defaults/suites": SUITE})
    assert complaint(path) == f"defaults.suites.mine.attacks.mine: {message.format(folder=tmp_path)}"


def test_a_label_of_any_text_stays_within_a_files_name(tmp_path) -> None:
    label = "    label = property(lambda self: 'my attack, 8/255')\n\ndef attack"
    source = ATTACK.replace("\ndef attack", label)
    plan = load_plan(_project(tmp_path, source, **{"defaults/suites": SUITE}))
    (found,) = plan.evaluations.values()
    mine = next(each for each in found.values() if each.attack.kind == "mine")
    assert evaluation_id(mine).startswith("myattack8255-")


def test_a_method_of_unknown_cost_has_a_question_mark_in_the_plan(tmp_path) -> None:
    plan = load_plan(_project(tmp_path, METHOD, runs={"mine": {"method": "mine"}}))
    shown = render(plan, tmp_path / "results")
    assert "small/mine  mine      digits  0       2         ?" in shown
    assert "not estimated: 1 run(s)" in shown


def test_a_generator_or_loss_that_there_is_not_is_refused(tmp_path) -> None:
    source = METHOD.replace("Config", "AdversarialParams").replace("config.schema", "methods.base")
    source = source.replace("Method, register", "register").replace("(Method)", "(AdversarialTraining)")
    source = f"from robustfront.methods.adversarial import AdversarialTraining\n{source}"
    for said, message in (
        ('generator = "pdg"; loss = "ce"', "generator = 'pdg': there is no such (did you mean 'pgd'?)"),
        ('generator = "pgd"; loss = "tades"', "loss = 'tades': there is no such (did you mean 'trades'?)"),
    ):
        path = _project(tmp_path, f"{source}    {said}\n", runs={"mine": {"method": "mine"}})
        with pytest.raises(ConfigError) as found:
            render(load_plan(path), tmp_path / "results")
        assert message in str(found.value)


def test_a_schedule_cannot_move_the_momentum_of_an_optimiser_that_has_none(tmp_path) -> None:
    edits: dict[str, object] = {"defaults/training/standard/optimizer": {"kind": "mine", "lr": 0.1}}
    load_plan(_project(tmp_path, OPTIMISER, **edits))
    for schedule in (
        {"kind": "knots", "lr": [[0, 1]], "momentum": [[0, 0.9]]},
        {"kind": "one-cycle", "momentum": [0.9, 0.8]},
    ):
        path = _project(tmp_path, OPTIMISER, **(edits | {"defaults/training/standard/schedule": schedule}))
        assert complaint(path) == (
            "defaults.training.standard: schedule: moves the momentum, and optimizer 'mine' has no field "
            "`momentum`"
        )
