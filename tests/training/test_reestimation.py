"""Networks trained without running statistics, and those that get some afterwards."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from robustfront.config.lasting import restored
from robustfront.config.schema import Run
from robustfront.data.store import load
from robustfront.methods import methods
from robustfront.models import Classifier, build
from robustfront.models.batch_norm import batch_statistics_layers, forget_statistics
from robustfront.models.weights import load_weights
from robustfront.planning.study import PlannedRun
from robustfront.training import session
from small_project import Project

BATCHES, SIZE = 5, 24


def trained(project: Project, batch_norm: dict[str, Any]) -> tuple[Run, Path]:
    """The standard model of the small project with another kind of batch norm: its config and folder."""
    planned = project.run("st")
    content = planned.config.model_dump(mode="json")
    content["model"]["batch_norm"] = batch_norm
    content["dataset"]["augmentation"]["pad"] = 1
    run = restored(Run, content)
    planned = PlannedRun(f"st-{batch_norm['kind']}", run, planned.dataset_id, ["st"])
    session.train(planned, methods, project.layout, torch.device("cpu"))
    return run, project.layout.run(planned.id)


def network(run: Run, folder: Path) -> Classifier:
    weights = folder / "model.safetensors"
    sizes = {"channels": 1, "classes": 10, "normalisation": run.dataset.normalisation}
    return build(run.model, weights=weights, **sizes).eval()


def test_an_untracked_network_has_no_statistics_and_trains_as_a_re_estimated_one(
    small_project: Project,
) -> None:
    untracked, at = trained(small_project, {"kind": "untracked"})
    _, other = trained(small_project, {"kind": "re-estimated", "batches": 2})
    _, tracked = trained(small_project, {"kind": "tracked"})
    ours, theirs = (load_weights(folder / "model.safetensors") for folder in (at, other))
    assert not [name for name in ours if "running" in name or "tracked" in name]
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert (at / "history.csv").read_text().splitlines()[0] == (
        tracked / "history.csv"
    ).read_text().splitlines()[0]
    model, images = network(untracked, at), torch.rand(6, 1, 8, 8)
    assert batch_statistics_layers(model)
    with torch.no_grad():
        assert not torch.allclose(model(images)[:3], model(images[:3]), atol=1e-3)


def test_statistics_are_the_averages_of_those_of_batches_of_plain_training_images(
    small_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = trained(small_project, {"kind": "re-estimated", "batches": BATCHES})
    store = load(small_project.layout.dataset(small_project.run("st").dataset_id), "cpu")
    model = network(run, folder).double()
    assert not batch_statistics_layers(model)
    expected = averages(model, seen(run, folder, store, monkeypatch))
    for name, value in load_weights(folder / "model.safetensors").items():
        if name.endswith(("running_mean", "running_var")):
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-4, atol=1e-6)
    facts = json.loads((folder / "manifest.json").read_text())
    assert facts["re_estimated"] == {"batches": BATCHES, "augmented": False}


def seen(run: Run, folder: Path, store: Any, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The batches of a repetition, after making sure that they are what they should be."""
    from robustfront.training import reestimation

    found: list[Tensor] = []
    real = reestimation.reestimate

    def watched(network: nn.Module, batches: Any) -> None:
        found.extend(batches)
        real(network, found)

    monkeypatch.setattr(reestimation, "reestimate", watched)
    again = reestimation.with_statistics(
        run, run.model.statistics, load_weights(folder / "model.safetensors"), store
    )
    stored = load_weights(folder / "model.safetensors")
    assert all(torch.equal(value, stored[name]) for name, value in again.items())
    assert [len(batch) for batch in found] == [SIZE] * BATCHES
    train = {image.numpy().tobytes() for image in store.train.images}
    images = [(255 * image).round().to(torch.uint8).numpy().tobytes() for batch in found for image in batch]
    assert {*images} <= train
    assert len({*images[:72]}) == len({*train}), "each of the 72 once, before any comes again"
    return found


def averages(model: Classifier, batches: list[Tensor]) -> dict[str, Tensor]:
    """Mean and unbiased variance of what reaches each batch norm, averaged over the batches; in float64."""
    layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    inputs: dict[str, Tensor] = {}
    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda _, given, name=name: inputs.update({name: given[0].clone()}))
    forget_statistics(model)
    sums: dict[str, Tensor] = {}
    for batch in batches:
        with torch.no_grad():
            model(batch.double())
        for name, given in inputs.items():
            flat = given.transpose(0, 1).flatten(1)
            for key, value in (("running_mean", flat.mean(1)), ("running_var", flat.var(1))):
                sums[f"{name}.{key}"] = sums.get(f"{name}.{key}", 0) + value / len(batches)
    return sums
