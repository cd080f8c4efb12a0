"""Methods that learn from validation images, and the images that their models are selected on."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tiny_training import store, trainer
from torch import Tensor

from robustfront.config.identity import restored, run_digest
from robustfront.data.store import Split
from robustfront.errors import ConfigError
from robustfront.methods import class_balance, methods
from robustfront.planning import Plans, load_plan
from robustfront.training import loop
from robustfront.training.loop import Watcher
from small_params import tree, write

LEARNERS = pytest.mark.parametrize("name", ["frl", "caat"])
BEFORE = {"frl": "digits-frl-b1.5-s0-7110ed7f", "caat": "digits-caat-b1.5-s0-7e1d8970"}
"""Ids of runs that were trained and selected on the same images."""


def images_of(split: Split) -> set[int]:
    """The tiny store numbers its validation images."""
    return {*split.indices.tolist()}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Trains by a method; which validation images it learned from, and which its model was selected on."""

    def train(name: str, **params: Any) -> tuple[set[int], set[int]]:
        learned, selected = set[int](), set[int]()
        made = trainer(name, training={"select": "best"}, **params)
        if name == "caat":
            method: Any = made.method
            drawn = method._validation_batch

            def draw(size: int, generator: Any) -> tuple[Tensor, Tensor]:
                learned.update(images_of(method.surroundings.validation))
                found: tuple[Tensor, Tensor] = drawn(size, generator)
                return found

            monkeypatch.setattr(method, "_validation_batch", draw)
        count, judge = class_balance.count_errors, loop.judge

        def counted(model: Any, split: Split, *more: Any) -> Tensor:
            learned.update(images_of(split))
            return count(model, split, *more)

        def judged(model: Any, split: Split, *more: Any) -> dict[str, float]:
            selected.update(images_of(split))
            return judge(model, split, *more)

        monkeypatch.setattr(class_balance, "count_errors", counted)
        monkeypatch.setattr(loop, "judge", judged)
        made.fit(Watcher(save=lambda state: None))
        return learned, selected

    return train


@LEARNERS
def test_a_model_is_selected_on_images_that_the_method_has_not_learned_from(name: str, seen: Any) -> None:
    settings = {"meta_every": 2} if name == "caat" else {}
    learned, selected = seen(name, **settings)
    validation = store().validation
    assert learned.isdisjoint(selected)
    assert learned | selected == images_of(validation)
    classes = dict(zip(validation.indices.tolist(), validation.labels.tolist(), strict=True))
    for half in (learned, selected):
        assert Counter(classes[image] for image in half) == dict.fromkeys(range(4), 3)  # of 24 images


@LEARNERS
def test_both_are_all_images_in_runs_of_before(name: str, seen: Any) -> None:
    learned, selected = seen(name, divide_validation=False)
    assert learned == selected == images_of(store().validation)


def test_other_methods_look_at_all_that_select(seen: Any) -> None:
    _, selected = seen("pgd_at")
    assert selected == images_of(store().validation)


@LEARNERS
def test_runs_of_before_keep_their_ids_and_are_not_taken_for_todays(name: str, project: Path) -> None:
    plan = Plans(project / "params.yaml").scales["digits"]
    (run,) = (run for run in plan.runs.values() if run.config.method == name)
    kind = methods[name].method.Params
    stored = {key: value for key, value in run.config.params.items() if key != "divide_validation"}
    stored["attack"] = {key: value for key, value in stored["attack"].items() if key != "clip_start"}
    before, today = restored(kind, stored), kind.model_validate(stored)
    assert (before.divide_validation, today.divide_validation) == (False, True)  # type: ignore[attr-defined]
    judged = run.config.training.validation
    assert judged.attack is not None
    clipped = judged.model_copy(update={"attack": judged.attack.model_copy(update={"clip_start": True})})
    training = run.config.training.model_copy(update={"validation": clipped})
    assert run.id.endswith(run_digest(run.config.model_copy(update={"params": stored}), today))
    assert BEFORE[name].endswith(
        run_digest(run.config.model_copy(update={"params": stored, "training": training}), before)
    )
    assert run.id != BEFORE[name]


def test_a_single_validation_image_cannot_be_divided(tmp_path: Path) -> None:
    frl = {"method": "frl", "init": "st", "beta": 1.5}
    edits = {"runs/frl": frl, "datasets/digits/splits": {"validation": 1, "test": 400}}
    path = write(tmp_path, tree(**edits))
    with pytest.raises(ConfigError, match=r"run 'frl' on digits: datasets\.digits\.splits\.validation = 1"):
        load_plan(path)
    edits["runs/frl"] = frl | {"divide_validation": False}
    load_plan(write(tmp_path, tree(**edits)))
