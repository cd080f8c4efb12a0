"""Results of a study of one conditional model and two models of one lambda, made up."""

from typing import Any

import pandas as pd

from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.config.datasets.digits import Digits
from robustfront.config.evaluations import Suite
from robustfront.config.schema import Run
from robustfront.methods.oat import MixedParams, OnceForAllParams
from robustfront.planning.study import PlannedRun

PGD = {"threat": {"eps": 0.1}, "attack": {"steps": 7, "step_size": 0.02}}
COUNT = 8


def suite(value: float) -> Suite:
    attack = PGDEvaluation.model_validate({"kind": "pgd", "steps": 7, "step_size": 0.02})
    judged = {"pgd": {"pgd-at-0": 0.0, "pgd-at-1": 1.0}}
    settings = {"name": f"at-{value:g}", "threat": {"eps": 0.1}, "attacks": {"pgd": attack}}
    return Suite.model_validate(settings | {"condition": value, "judged_at": judged})


def planned(
    name: str, params: Any, method: str, film: dict[str, Any] | None, conditions: tuple[float, ...] = ()
) -> PlannedRun:
    dataset = Digits.model_validate(
        {
            "name": "digits",
            "splits": {"validation": 200, "test": 400},
            "normalisation": {"mean": [0.0], "std": [1.0]},
        }
    )
    training = {
        "epochs": 4,
        "batch_size": 64,
        "drop_last": True,
        "optimizer": {"lr": 0.1},
        "schedule": {"kind": "constant"},
        "validation": {"conditions": conditions},
    }
    config = Run.model_validate(
        {
            "method": method,
            "params": params.model_dump(mode="json"),
            "dataset": dataset,
            "model": {"arch": "film_resnet", "depth": 10, "width": 4, "film": film},
            "training": training,
            "seed": 0,
        }
    )
    return PlannedRun(f"{name}-s0", config, "d", [name])


OAT_PARAMS = OnceForAllParams.model_validate(PGD)
OAT = planned("oat", OAT_PARAMS, "oat", {"width": 8})
ONE = planned("dedicated-1", MixedParams.model_validate(PGD | {"weight": 1.0}), "mixed_at", None)
NONE = planned("dedicated-0", MixedParams.model_validate(PGD | {"weight": 0.0}), "mixed_at", None)


def fell(*images: int) -> "pd.Series[bool]":
    return pd.Series([image in images for image in range(COUNT)])


class Made:
    """Results of OAT and of the models of one lambda, by suite and shown attack."""

    def __init__(self, **missing: Any) -> None:
        self.suites = {one.name: one for one in (suite(0.0), suite(1.0))}
        self.runs = {run.id: run for run in (OAT, ONE, NONE)}
        self.found = {
            ("oat-s0", "at-0", "clean"): fell(0),
            ("oat-s0", "at-0", "pgd"): fell(0, 1, 2, 3, 4),
            ("oat-s0", "at-0", "pgd-at-1"): fell(0, 5),
            ("oat-s0", "at-1", "clean"): fell(0, 1),
            ("oat-s0", "at-1", "pgd"): fell(0, 1, 2),
            ("oat-s0", "at-1", "pgd-at-0"): fell(0, 2),
            ("dedicated-1-s0", "at-0", "clean"): fell(1),
            ("dedicated-1-s0", "at-0", "pgd"): fell(1, 2),
        }

    def find(self, name: str, dataset_id: str) -> list[PlannedRun]:
        return [run for run in self.runs.values() if name in run.names]

    def fell(self, run_id: str, suite: str, attack: str) -> Any:
        return self.found.get((run_id, suite, attack))
