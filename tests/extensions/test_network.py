"""The network of docs/adding-a-network.md, which has no batch norm, from a user's files to the table."""

import os
import shutil
import signal

import pytest
import torch
from own_project import own_project, weights
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from robustfront.artefacts import Layout, read_json
from robustfront.config.images import Normalisation
from robustfront.errors import Interrupted
from robustfront.evaluation import outcomes
from robustfront.evaluation.session import evaluate_run
from robustfront.methods import methods
from robustfront.models import build, nullspace
from robustfront.planning import sources
from robustfront.planning.estimate import estimate
from robustfront.planning.sources import evaluation_code, training_code
from robustfront.reporting.default import table
from robustfront.reporting.results import Results
from robustfront.training.loop import Trainer
from robustfront.training.session import train
from robustfront.upkeep.verify import verify
from small_project import Project

NORMALISATION = Normalisation(mean=(0.5,), std=(0.25,))


@pytest.fixture(scope="module")
def project(tmp_path_factory, restored_registries) -> Project:
    """`st`, `at` and `npgd` are trained, in bf16."""
    project = own_project(tmp_path_factory.mktemp("network"))
    (projector,) = project.plan.projectors.values()
    head = weights(project.train("st"))["head.weight"]
    nullspace.compute(head, projector.rank_tolerance).save(project.layout.projector(projector.id))
    for name in ("at", "npgd"):
        project.train(name)
    return project


def test_it_has_no_batch_norm_and_costs_what_it_says(project) -> None:
    config = project.run("at").config.model
    with torch.device("meta"):
        network = build(config, channels=1, classes=10, normalisation=NORMALISATION).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 1, 8, 8))
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
    assert config.parameters(channels=1, classes=10) == sum(p.numel() for p in network.parameters())
    assert config.forward_flops(channels=1, size=8, classes=10) == counter.get_total_flops()


def test_a_plan_shows_what_is_known_of_its_cost(project) -> None:
    costs = {cost.run.names[0]: cost for cost in estimate(project.plan)}
    assert costs["small/at"].train_seconds > 0
    assert costs["small/at"].memory_bytes is None


def test_trainings_learn_and_say_that_bf16_attacks_ran_on_no_folded_copy(project) -> None:
    for name in ("st", "at", "npgd"):
        folder = project.layout.run(project.run(name).id)
        assert read_json(folder / "manifest.json")["bf16_attacks"] == "plain autocast"
    history = (project.layout.run(project.run("st").id) / "history.csv").read_text().splitlines()
    losses = [float(line.split(",")[history[0].split(",").index("train_loss")]) for line in history[2:]]
    assert losses[-1] < losses[0]


def test_a_killed_training_goes_on_to_the_same_bits(project, tmp_path, monkeypatch) -> None:
    run, layout = project.run("at"), Layout(tmp_path / "results", tmp_path / "checkpoints")
    shutil.copytree(project.layout.results, layout.results)
    shutil.rmtree(layout.run(run.id))
    step = Trainer._step

    def train_again() -> None:
        train(run, methods, layout, torch.device("cpu"), arithmetic=run.config.training.precision)

    def step_and_kill(self, order) -> None:
        step(self, order)
        if self.steps_done == 30:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", step_and_kill)
        with pytest.raises(Interrupted, match="epoch 2, step"):
            train_again()
    train_again()
    resumed = layout.run(run.id)
    assert read_json(resumed / "manifest.json")["resumed"] is True
    ours, theirs = weights(resumed), weights(project.layout.run(run.id))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_it_is_attacked_by_autoattack_checked_and_shown_in_tables(project) -> None:
    run, plan = project.run("at"), project.plan
    evaluate_run(run, plan.evaluations[run.id], plan.index(run.id), project.layout, "cpu")
    records = {
        evaluation.attack.kind: outcomes.record(project.layout.evaluation(run.id, key))
        for key, evaluation in plan.evaluations[run.id].items()
    }
    assert records.keys() == {"clean", "pgd", "autoattack", "masking"}
    assert records["autoattack"]["outcomes"]["final"]["n"] == 8
    assert records["masking"]["masking"][0]["passed"], "no batch statistics"
    assert len(records["masking"]["masking"]) == 5
    assert not verify(project.layout.results, project.folder / "reports").damaged
    frame = table(Results(plan.studies["small"], project.layout)).frame
    shown = frame[frame["run"] == "at"].set_index("attack")["value"]
    assert shown["clean"] <= shown["pgd"]
    assert shown.notna().all()


def test_its_files_are_part_of_the_codes_digest(project, monkeypatch) -> None:
    run, plan = project.run("at"), project.plan
    evaluation = next(iter(plan.evaluations[run.id].values()))

    def digests() -> tuple[str, str]:
        for read in (sources.modules, sources._source):
            read.cache_clear()
        return training_code(run.config, plan.methods), evaluation_code(evaluation, run.config.model)

    before = digests()
    for name in ("group_net.py", "group_net_layers.py"):
        path = project.folder / name
        text = path.read_text()
        path.write_text(text + "\nMORE = 1\n")
        assert not {*before} & {*digests()}, name
        path.write_text(text)
    assert digests() == before
