"""Each kind of analysis on a small network, and a run's analysis from its files to its files."""

import numpy as np
import pytest
import torch

from robustfront.analysis import records
from robustfront.analysis.session import analyse_run
from robustfront.analysis.subject import Subject, analyse
from robustfront.artefacts import Layout
from robustfront.attacks import Ball, pgd
from robustfront.config.analyses.landscape import LandscapeAnalysis
from robustfront.config.analyses.null_space import NullSpaceAnalysis
from robustfront.config.analyses.path import PathAnalysis
from robustfront.config.schema import Ascent, Threat
from robustfront.data.augment import to_float
from robustfront.data.splits import subset
from robustfront.data.store import Split, prepare
from robustfront.errors import ArtefactError, ConfigError
from robustfront.models import build, nullspace, weights
from robustfront.planning import load_plan
from small_params import tree, write
from toy_models import Convolutional, random_images, random_linear

SHAPE = (3, 6, 6)
THREAT, ASCENT = Threat(eps=0.1), Ascent(steps=3, step_size=0.05, start="gaussian")
NULL_SPACE = NullSpaceAnalysis(runs=("a",), images=20, threat=THREAT, attack=ASCENT)
PATH = PathAnalysis(runs=("a",), image=2, points=7, threat=THREAT, attack=ASCENT)


def images(n: int = 12) -> Split:
    pixels = (255 * random_images(n, SHAPE)).to(torch.uint8)
    return Split(pixels, torch.arange(n) % 4, torch.arange(n))


@pytest.fixture
def subject() -> Subject:
    """A network whose head and body have moved on from those of its start."""
    torch.manual_seed(0)
    start, model = Convolutional().eval(), Convolutional().eval()
    model.load_state_dict(start.state_dict())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return Subject(model, images(), start, nullspace.compute(start.head.weight, 1e-6))


def test_landscapes_lie_around_test_images_of_all_classes(subject) -> None:
    wanted = LandscapeAnalysis(runs=("a",), images=4, points=5, span=0.1, batch_size=7)
    arrays, facts = analyse(subject, wanted)
    torch.testing.assert_close(arrays["offsets"], torch.tensor([-0.1, -0.05, 0.0, 0.05, 0.1]))
    chosen = subset(subject.test.labels.numpy(), 4, wanted.seed)
    x, y = to_float(subject.test.images[chosen]), subject.test.labels[chosen]
    assert sorted(y.tolist()) == [0, 1, 2, 3]
    with torch.no_grad():
        at_image = torch.nn.functional.cross_entropy(subject.model(x), y, reduction="none")
    for plane in ("gradient", "random"):
        surface = arrays[f"{plane}.surface"]
        assert surface.shape == (4, 5, 5)
        torch.testing.assert_close(surface[:, 2, 2], at_image)
        assert facts[plane]["at_image"] == pytest.approx(at_image.mean().item(), rel=1e-5)
    climbing = arrays["gradient.surface"].mean(dim=0)[:, 2]
    assert climbing.diff().min() > 0, "the loss rises along the sign of its gradient"


def test_fewer_test_images_than_asked_for_are_all_used(subject) -> None:
    wanted = LandscapeAnalysis(runs=("a",), images=100, points=3, span=0.1)
    assert analyse(subject, wanted)[0]["random.surface"].shape == (12, 3, 3)


def test_feature_shifts_obey_pythagoras_and_are_those_of_the_attacks(subject) -> None:
    arrays, facts = analyse(subject, NULL_SPACE)
    x, y = to_float(subject.test.images), subject.test.labels
    ball, space = Ball.of(THREAT, subject.model.mean, subject.model.std), subject.null_space
    for name, change in (("plain", None), ("projected", space.project)):
        generator = torch.Generator().manual_seed(0)
        x_adv = pgd(subject.model, x, y, ball, ASCENT, generator=generator, feature_gradient=change)
        with torch.no_grad():
            shift = (subject.model.features(x_adv) - subject.model.features(x)).double()
            fooled = subject.model(x_adv).argmax(dim=1) != y
        row, null = (arrays[f"{name}.{part}_norm"].double() for part in ("row", "null"))
        torch.testing.assert_close(row**2 + null**2, shift.square().sum(dim=1), rtol=1e-4, atol=1e-12)
        share = (null**2).sum() / (row**2 + null**2).sum()
        assert facts[name]["null_share"] == pytest.approx(share.item(), rel=1e-4)
        assert facts[name]["fooled"] == fooled.double().mean().item()
        assert torch.equal(arrays[f"{name}.fooled"], fooled)
    assert facts["projected"]["null_share"] > facts["plain"]["null_share"]
    assert (facts["features"], facts["rank"], facts["null_share_of_random_direction"]) == (8, 4, 0.5)
    assert arrays["clean.coordinates"].shape == (12, 3)
    assert all(array.dtype in (torch.float32, torch.int64, torch.bool) for array in arrays.values())


def test_a_linear_network_shifts_its_features_by_the_perturbation() -> None:
    model = random_linear(4, SHAPE)
    space = nullspace.compute(model.head.weight, 1e-6)
    arrays, facts = analyse(Subject(model, images(), model, space), NULL_SPACE)
    x, y = to_float(images().images), images().labels
    ball = Ball.of(THREAT, model.mean, model.std)
    x_adv = pgd(model, x, y, ball, ASCENT, generator=torch.Generator().manual_seed(0))
    delta = ((x_adv - x) / model.std).flatten(1).double()
    torch.testing.assert_close(
        arrays["plain.null_norm"].double(), space.project(delta).norm(dim=1), rtol=1e-4, atol=1e-6
    )
    assert facts["plain"]["shift"] == pytest.approx(delta.norm(dim=1).mean().item(), rel=1e-5)
    remark = facts["remark31"]
    assert remark["logit_drift"] == remark["head_offset"] == remark["prediction_changed"] == 0.0


def test_remark31_of_the_trained_network_splits_its_drift(subject) -> None:
    arrays, facts = analyse(subject, NULL_SPACE)
    remark = facts["remark31"]
    with torch.no_grad():
        x = to_float(subject.test.images)
        shift = subject.model(x) - subject.start(x)
        offset = (subject.model.head.weight - subject.start.head.weight).double()
        head = subject.start.features(x).double() @ offset.T
    torch.testing.assert_close(arrays["logit_drift"], shift.norm(dim=1), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(arrays["logit_drift_head"].double(), head.norm(dim=1), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        arrays["logit_drift_rest"].double(), (shift - head).norm(dim=1), rtol=1e-3, atol=1e-6
    )
    assert remark["logit_drift"] == pytest.approx(shift.square().sum(dim=1).mean().sqrt().item(), rel=1e-4)
    inside = (offset @ subject.null_space.V).square().sum() / offset.square().sum()
    assert remark["head_offset_row_share"] == pytest.approx(inside.item())
    assert remark["head_offset"] == pytest.approx(offset.norm().item())


def test_the_drift_is_measured_on_the_images_that_are_attacked(subject) -> None:
    few = NULL_SPACE.model_copy(update={"images": 5})
    arrays, _ = analyse(subject, few)
    chosen = subset(subject.test.labels.numpy(), 5, few.seed)
    assert chosen.tolist() != list(range(5))
    with torch.no_grad():
        x = to_float(subject.test.images[chosen])
        shift = subject.model(x) - subject.start(x)
    assert torch.equal(arrays["labels"], subject.test.labels[chosen])
    torch.testing.assert_close(arrays["logit_drift"], shift.norm(dim=1), rtol=1e-4, atol=1e-6)


def test_a_path_has_its_surface_under_it(subject) -> None:
    arrays, facts = analyse(subject, PATH)
    assert arrays["surface"].shape == (7, 7)
    for name in ("plain", "projected"):
        points = arrays[f"{name}.points"]
        assert points.shape == (5, 2)
        assert not points[0].any()
        assert arrays[f"{name}.loss"].shape == (5,)
        assert (points[:, 0] > arrays["rows"][0]).all()
        assert (points[:, 1] < arrays["columns"][-1]).all()
        assert facts[name]["off_plane"] < 0.3
    assert arrays["plain.points"][-1, 1].abs() < 1e-5, "the first axis leads to the plain attack's end"
    assert arrays["projected.points"][-1, 1] > 0
    assert arrays["plain.loss"][-1] > arrays["plain.loss"][0]
    assert facts["image"] == 2
    torch.testing.assert_close(arrays["image"], to_float(subject.test.images[2]))


def test_the_surface_at_the_image_is_the_images_loss(subject) -> None:
    arrays, _ = analyse(subject, PATH.model_copy(update={"points": 201}))
    nearest = [arrays[axis].abs().argmin() for axis in ("rows", "columns")]
    assert arrays["surface"][*nearest] == pytest.approx(arrays["plain.loss"][0].item(), abs=0.02)


def test_an_image_that_is_not_there_is_named(subject) -> None:
    with pytest.raises(ConfigError, match="image = 12, but there are 12 test images"):
        analyse(subject, PATH.model_copy(update={"image": 12}))


@pytest.mark.parametrize("wanted", [NULL_SPACE, PATH])
def test_without_a_start_the_analysis_says_what_it_needs(wanted, subject) -> None:
    with pytest.raises(ConfigError, match="give the run an `init`"):
        analyse(Subject(subject.model, subject.test), wanted)


def test_weights_are_left_alone(subject) -> None:
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    for wanted in (NULL_SPACE, PATH, LandscapeAnalysis(runs=("a",), images=2, points=3, span=0.1)):
        analyse(subject, wanted)
    assert all(torch.equal(value, before[name]) for name, value in subject.model.state_dict().items())
    assert all(parameter.grad is None for parameter in subject.model.parameters())


# ------------------------------------------------------------------------------------------ on disk
@pytest.fixture
def project(tmp_path):
    """A plan with both kinds on `at`, and untrained networks in place of its runs."""
    attacked = {"threat": {"eps": 0.1}, "attack": {"steps": 2, "step_size": 0.05}, "images": 9}
    entries = {
        "landscape": {"kind": "landscape", "runs": ["st"], "span": 0.1, "images": 2, "points": 3},
        "null-space": {"kind": "null-space", "runs": ["at"], **attacked},
    }
    content = tree(
        **{"defaults/analyses": entries, "datasets/digits/splits": {"validation": 200, "test": 40}}
    )
    plan, layout = load_plan(write(tmp_path, content)), Layout(tmp_path / "results")
    for dataset_id, dataset in plan.datasets.items():
        prepare(dataset, tmp_path / "raw", layout.dataset(dataset_id))
    for seed, run in enumerate(plan.runs.values()):
        torch.manual_seed(seed)
        model = build(
            run.config.model, channels=1, classes=10, normalisation=run.config.dataset.normalisation
        )
        weights.save_weights(model, layout.run(run.id) / "model.safetensors", {})
    for projector in plan.projectors.values():
        state = weights.load_weights(layout.run(projector.run_id) / "model.safetensors")
        nullspace.compute(state["head.weight"], 1e-6).save(layout.projector(projector.id))
    return plan, layout


def test_an_analysis_of_a_run_is_written_and_read_back(project) -> None:
    plan, layout = project
    for run_id, analysis_id in plan.analysis_jobs:
        analyse_run(plan.runs[run_id], plan.analyses[analysis_id], layout, torch.device("cpu"))
        found = records.load(layout.analysis(run_id, analysis_id), run_id)
        assert found.about["analysis"] == analysis_id
        assert found.about["device"] == "cpu"
        assert found.about["config"]["kind"] == plan.analyses[analysis_id].config.kind
        assert "runs" not in found.about["config"]
        assert all(np.isfinite(array).all() for array in found.arrays.values())


def test_doing_it_again_gives_the_same_arrays(project) -> None:
    plan, layout = project
    contents = []
    for _ in range(2):
        for run_id, analysis_id in plan.analysis_jobs:
            analyse_run(plan.runs[run_id], plan.analyses[analysis_id], layout, torch.device("cpu"))
        paths = sorted(layout.results.rglob("analysis/*.safetensors"))
        contents.append([path.read_bytes() for path in paths])
    assert len(contents[0]) == 2
    assert contents[0] == contents[1]


@pytest.mark.parametrize("missing", ["model.safetensors", "projector.safetensors", "images.safetensors"])
def test_a_missing_input_is_named(missing, project) -> None:
    plan, layout = project
    for path in layout.results.rglob(missing):
        path.unlink()
    run_id, analysis_id = plan.analysis_jobs[-1]
    with pytest.raises(ArtefactError, match=f"{missing}: missing"):
        analyse_run(plan.runs[run_id], plan.analyses[analysis_id], layout, torch.device("cpu"))
