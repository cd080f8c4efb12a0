"""A conditional network from a user's file: trained, attacked at conditions, judged at others, and shown."""

from pathlib import Path

import pytest
import torch

import small_params
from robustfront.evaluation import outcomes
from robustfront.reporting import default
from robustfront.reporting.results import Results
from small_project import BUDGET, Project
from study_files import STUDY

CONFIG = '''
from typing import ClassVar, Literal

from robustfront.config.batch_norm import BatchNorm, Tracked
from robustfront.config.networks import NetworkConfig, networks


@networks.register
class Told(NetworkConfig):
    """Pixels, scaled by what it is told."""

    built_by: ClassVar[str] = ".told_network:Told"
    arch: Literal["told"] = "told"
    batch_norm: BatchNorm = Tracked()

    @property
    def usual(self):
        return 0.5
'''
NETWORK = """
import torch
from torch import nn

from robustfront.models.conditional import Conditional


class Told(Conditional):
    usual = 0.5

    def __init__(self, config, *, channels, classes, normalisation):
        super().__init__(normalisation)
        self.norm = nn.BatchNorm2d(channels)
        self.head = nn.Linear(64 * channels, classes)
        self.register_buffer("slopes", torch.linspace(-2, 2, 64 * channels))

    def features_given(self, x, condition):
        return self.norm(self.normalise(x)).flatten(1) * (1 + condition[:, None] * self.slopes)
"""
KINDS = {"tracked": {"kind": "tracked"}, "untracked": {"kind": "untracked"}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("told"))
    suite = {
        "threat": {"eps": 0.1},
        "attacks": {"pgd": {"kind": "pgd", "steps": 3, "step_size": 0.05}},
        "batch_size": 16,
        "whole_batches": True,
    }
    runs = {
        name: {"method": "standard", "loss": "ce", "model": {"arch": "told", "batch_norm": kind}}
        for name, kind in KINDS.items()
    }
    runs["plain"] = {"method": "standard", "loss": "ce"}
    edits = {
        "runs": runs,
        "extensions": ["../told.py"],
        "datasets/digits/splits": {"train": 72, "validation": 40, "test": 32},
        "defaults/model": {"depth": 10, "width": 2},
        "defaults/training": {"standard": BUDGET, "adversarial": BUDGET},
        "defaults/suites": {
            "at-0": suite | {"condition": 0, "judged_at": {"pgd": {"pgd-at-1": 1}}},
            "at-1": suite | {"condition": 1, "judged_at": {"pgd": {"pgd-at-0": 0}}},
        },
    }
    (made.folder / "told.py").write_text(CONFIG)
    (made.folder / "told_network.py").write_text(NETWORK)
    tree = small_params.tree(**edits)
    tree["extensions"] = [str(made.folder / "told.py")]
    small_params.write(made.folder, tree)
    made.prepare()
    torch.set_num_threads(1)
    for name in runs:
        made.train(name)
        made.evaluate(name)
    return made


def test_a_plain_network_is_attacked_once_and_a_conditional_one_for_each_condition(project: Project) -> None:
    counts = {name: len(project.plan.evaluations[project.run(name).id]) for name in (*KINDS, "plain")}
    assert counts == {"tracked": 6, "untracked": 6, "plain": 3}  # clean, PGD, the checks


@pytest.mark.parametrize("name", KINDS)
def test_each_condition_gives_other_numbers(name: str, project: Project) -> None:
    run, study = project.run(name).id, project.plan.studies[STUDY]
    losses = {}
    for suite, other in (("at-0", "given-1"), ("at-1", "given-0")):
        rows, record = outcomes.load(project.layout.evaluation(run, study.evaluation_id(run, suite, "pgd")))
        assert [*record["outcomes"]] == ["final", other]
        for outcome in record["outcomes"]:
            losses[suite, outcome] = round(rows[rows["outcome"] == outcome]["loss"].mean(), 6)
    assert len(set(losses.values())) == 4


def test_tables_have_the_condition_of_each_number(project: Project, tmp_path: Path) -> None:
    frame = default.table(Results(project.plan.studies[STUDY], project.layout)).frame
    frame = frame[frame["status"] == "reproduced"]
    told = frame.groupby("run")["condition"].agg(list).to_dict()
    assert told["plain"] == [""] * 6
    assert told["tracked"] == told["untracked"] == ["0", "0", "1", "1", "1", "0"]
    masking = frame[frame["run"] == "tracked"].set_index(["suite", "attack"])["masking"]
    assert masking["at-0", "pgd-at-1"] == masking["at-1", "pgd"]
    assert masking["at-1", "pgd-at-0"] == masking["at-0", "pgd"]
