"""The analysis of docs/adding-an-analysis.md, from a user's file to its record."""

import numpy as np
import pytest
import torch
from own_project import own_project

from robustfront.analysis import records
from robustfront.analysis.session import analyse_run
from robustfront.data.augment import to_float
from robustfront.data.store import load
from robustfront.models import build
from robustfront.planning import sources
from robustfront.planning.sources import analysis_code
from small_project import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory, restored_registries) -> Project:
    analyses = {"margins": {"kind": "margins", "runs": ["st"], "images": 20, "batch_size": 7}}
    folder = tmp_path_factory.mktemp("analysis")
    project = own_project(folder, "adding-an-analysis.md", **{"defaults/analyses": analyses})
    project.train("st")
    return project


def test_its_arrays_are_those_of_the_model(project) -> None:
    run, (analysis,) = project.run("st"), project.plan.analyses.values()
    assert analysis.config.passes(64) == 20
    analyse_run(run, analysis, project.layout, torch.device("cpu"))
    found = records.load(project.layout.analysis(run.id, analysis.id), run.id)
    model = build(
        run.config.model,
        channels=1,
        classes=10,
        normalisation=run.config.dataset.normalisation,
        weights=project.layout.run(run.id) / "model.safetensors",
    ).eval()
    test = load(project.layout.dataset(run.dataset_id), "cpu", ("test",)).test
    with torch.no_grad():
        right = test.labels[model(to_float(test.images)).argmax(dim=1) == test.labels].tolist()
    margins, labels = found.arrays["margins"], found.arrays["labels"]
    assert (margins.shape, labels.shape) == ((20,), (20,))
    assert {*labels[margins > 0].tolist()} <= {*right}
    assert found.facts["mean"] == pytest.approx(float(np.mean(margins)), rel=1e-5)


def test_its_file_is_part_of_the_codes_digest(project) -> None:
    run, (analysis,) = project.run("st"), project.plan.analyses.values()
    before, path = analysis_code(analysis.config, run.config.model), project.folder / "margins.py"
    path.write_text(path.read_text() + "\nMORE = 1\n")
    for read in (sources.modules, sources._source):
        read.cache_clear()
    assert analysis_code(analysis.config, run.config.model) != before
