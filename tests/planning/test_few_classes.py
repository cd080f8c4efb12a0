"""Attacks that a data set has too few classes for: known before anything runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from robustfront.config.datasets import datasets
from robustfront.planning import load_plan
from small_params import complaint, tree
from study_files import write

DLR = {"kind": "apgd", "objective": "dlr"}


@pytest.fixture
def digits_of(monkeypatch: pytest.MonkeyPatch):
    digits = datasets["digits"]

    def of(classes: int) -> None:
        monkeypatch.setattr(digits, "shape", replace(digits.shape, classes=classes))

    return of


@pytest.mark.parametrize(
    ("attack", "needed"),
    [
        ({"kind": "autoattack"}, 4),
        (DLR | {"targets": 3}, 4),
        (DLR, 3),
        ({"kind": "pgd", "steps": 3, "step_size": 0.1, "objective": "dlr"}, 3),
    ],
)
def test_too_few_classes_are_refused_and_enough_are_not(tmp_path: Path, digits_of, attack, needed) -> None:
    file = write(tmp_path, tree(**{"defaults/suites/pixel/attacks/aa": attack}))
    digits_of(needed - 1)
    message = complaint(file)
    assert message.startswith(f"scales.tiny.suites.pixel.attacks.aa: needs {needed} classes or more (")
    assert message.endswith(f"), digits has {needed - 1}; choose another attack")
    digits_of(needed)
    load_plan(file)


@pytest.mark.parametrize("kind", ["fab", "square", "apgd"])
def test_two_classes_are_enough_for_the_others(tmp_path: Path, digits_of, kind: str) -> None:
    file = write(tmp_path, tree(**{"defaults/suites/pixel/attacks/aa": {"kind": kind}}))
    digits_of(2)
    load_plan(file)
