"""The schedule of docs/adding-a-schedule.md, from a user's file to the rates of a training."""

import csv

import pytest
from own_project import BUDGET, own_project

from robustfront.planning import sources
from robustfront.planning.sources import training_code


def test_its_rates_are_those_of_the_training_and_its_file_part_of_the_digest(tmp_path) -> None:
    budget = BUDGET | {"precision": "fp32", "schedule": {"kind": "exponential", "factor": 0.5}}
    edits = {"defaults/training": {"standard": budget, "adversarial": budget}}
    project = own_project(tmp_path, "adding-a-schedule.md", **edits)
    with (project.train("st") / "history.csv").open() as file:
        _, *rates = (row["lr"] and float(row["lr"]) for row in csv.DictReader(file))  # epoch 0 has none
    steps = 600 // 24  # an epoch is told by the rate of its last step
    assert rates == pytest.approx([0.02 * 0.5 ** (epoch + 1 - 1 / steps) for epoch in range(2)])
    run, path = project.run("st").config, tmp_path / "exponential.py"
    before = training_code(run, project.plan.methods)
    path.write_text(path.read_text() + "\nMORE = 1\n")
    for read in (sources.modules, sources._source):
        read.cache_clear()
    assert training_code(run, project.plan.methods) != before
