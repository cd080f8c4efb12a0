from typing import Any

import pytest
import torch

from robustfront.config.evaluations import MASKING_UNITS, Suite, of_suite
from robustfront.config.images import Normalisation
from robustfront.config.networks import PreActResNet
from robustfront.config.networks.preact_resnet import ACTIVATION_BYTES
from robustfront.evaluation import masking
from robustfront.models import build
from robustfront.planning import estimate as module
from robustfront.planning import load_plan
from robustfront.planning.estimate import (
    Cost,
    analysis_seconds,
    estimate,
    evaluation_units,
    overhead_seconds,
)
from small_params import tree, write


@pytest.fixture
def costs(tmp_path: Any) -> Any:
    """Costs by the runs' first names, after edits of the small file."""

    def make(**edits: Any) -> dict[str, Cost]:
        plan = load_plan(write(tmp_path, tree(**edits)))
        return {cost.run.names[0].removeprefix("small/"): cost for cost in estimate(plan)}

    return make


def test_training_time_is_images_times_passes_times_flop(costs: Any) -> None:
    # digits: 1797 = 1197 training + 200 validation + 400 test; depth 10, width 4; 2 epochs at 10 GFLOP/s.
    forward = PreActResNet(depth=10, width=4).forward_flops(channels=1, size=8, classes=10)
    judged = 200  # clean validation images, a forward pass each
    expected = {"st": 3, "at": 2 * 3 + 3, "trades": 2 * 3 + 1 + 6, "npgd": 2 * 3 + 6, "npda": 2 * 3 + 1 + 6}
    found = costs()
    for name, units in expected.items():
        drift = 200 if name.startswith("np") else 0  # NPAT's look at Remark 3.1, on the same images
        passes = 2 * (1197 * units + judged + drift) + judged  # the start is judged, too
        assert found[name].train_seconds == pytest.approx(passes * forward / 1e10)


def test_judging_epochs_costs_its_attack_as_often_as_it_is_done(costs: Any) -> None:
    validation = {
        "every": 4,
        "attack": {"steps": 5, "step_size": 0.1, "restarts": 3},
        "threat": {"eps": 0.1},
    }
    forward = PreActResNet(depth=10, width=4).forward_flops(channels=1, size=8, classes=10)
    found = costs(**{"defaults/training/standard/validation": validation})["st"]
    judged = 200 * (1 + 2 * 5 * 3)  # the start, and the last of two epochs
    assert found.train_seconds == pytest.approx((2 * 1197 * 3 + 2 * judged) * forward / 1e10)


def test_an_evaluation_is_an_attack_on_its_samples() -> None:
    content: dict[str, Any] = {
        "name": "s",
        "threat": {"eps": 0.1},
        "attacks": {
            "pgd": {"kind": "pgd", "steps": 20, "step_size": 0.01, "restarts": 2},
            "aa": {"kind": "autoattack"},
            "rand": {"kind": "autoattack", "version": "rand"},
        },
        "samples": {"aa": 10, "rand": 10**6},
    }
    found = of_suite(Suite.model_validate(content))
    assert {name: evaluation_units(wanted, 400) for name, wanted in found.items()} == {
        "clean": 400,
        "pgd": 400 * 2 * 20 * 2,
        "aa": 10 * 9798,
        "rand": 400 * 8087,
        "masking": 128 * 562,
    }
    assert evaluation_units(found["masking"], 100) == 100 * 562


def test_analyses_and_the_starts_of_jobs_are_part_of_the_time(tmp_path: Any) -> None:
    attack = {"threat": {"eps": 0.1}, "attack": {"steps": 7, "step_size": 0.1, "restarts": 2}}
    analyses = {
        "surfaces": {"kind": "landscape", "runs": ["st", "at"], "span": 0.1, "images": 3, "points": 11},
        "shifts": {"kind": "null-space", "runs": ["at"], "images": 1000} | attack,
        "way": {"kind": "path", "runs": ["at"], "points": 5} | attack,
    }
    plan = load_plan(write(tmp_path, tree(**{"defaults/analyses": analyses})))
    forward = PreActResNet(depth=10, width=4).forward_flops(channels=1, size=8, classes=10)
    landscape = 2 * 3 * (2 * 121 + 2)  # two runs
    shifts = 400 * (2 * (7 * 2 * 2) + 5)  # two attacks, and features or logits five times
    way = 25 + 2 * (2 * 7 + 9) + 1
    assert analysis_seconds(plan) == pytest.approx((landscape + shifts + way) * forward / 1e10)
    jobs = 1 + 6 + 1 + 6 + 4  # data, trainings, a projector, evaluations, analyses
    report = module.REPORT_SECONDS + 6 * module.CURVES_SECONDS
    assert overhead_seconds(plan) == pytest.approx(jobs * module.START_SECONDS + report)


def test_masking_is_reckoned_with_the_budget_of_the_checks() -> None:
    # two PGD of STEPS and one of MORE_STEPS, growing eps at three radii, Square, and a gradient
    passes = 2 * (4 * masking.STEPS + masking.MORE_STEPS) + masking.QUERIES + 2
    assert passes == MASKING_UNITS


def test_evaluation_time_is_that_of_all_suites(costs: Any) -> None:
    forward = PreActResNet(depth=10, width=4).forward_flops(channels=1, size=8, classes=10)
    units = 400 + 400 * 2 * 3 + 10 * 9798 + 128 * 562
    assert costs()["at"].evaluation_seconds == pytest.approx(units * forward / 1e10)


def test_an_evaluation_of_another_split_has_its_images(costs: Any) -> None:
    forward = PreActResNet(depth=10, width=4).forward_flops(channels=1, size=8, classes=10)
    suite = {"threat": {"eps": 0.1}, "attacks": {}, "masking": False}
    for split, images in (("train", 1197), ("validation", 200), ("test", 400)):
        found = costs(**{"defaults/suites": {"pixel": suite | {"split": split}}})["at"]
        assert found.evaluation_seconds == pytest.approx(images * forward / 1e10)


def test_what_two_suites_ask_alike_is_reckoned_once(costs: Any) -> None:
    pixel = tree()["defaults"]["suites"]["pixel"]
    twice = costs(**{"defaults/suites": {"pixel": pixel, "again": pixel}})["at"]
    assert twice.evaluation_seconds == costs()["at"].evaluation_seconds


def test_memory_and_disk_are_sums_of_sizes(costs: Any) -> None:
    model = PreActResNet(depth=10, width=4)
    weights = 4 * model.parameters(channels=1, classes=10)
    activations = 16 * model.forward_flops(channels=1, size=8, classes=10) * ACTIVATION_BYTES / 4
    images = 1797 * (64 + 16)
    found = costs()
    assert found["st"].disk_bytes == weights
    assert found["st"].memory_bytes == pytest.approx(activations + 7 * weights + images)
    assert found["at"].memory_bytes == pytest.approx(2 * activations + 7 * weights + images)


@pytest.mark.parametrize(
    ("depth", "width", "size"), [(10, 4, 8), (10, 16, 32), (18, 8, 28), (18, 16, 32), (34, 8, 32)]
)
def test_activations_are_those_autograd_keeps(depth: Any, width: int, size: int) -> None:
    config = PreActResNet(depth=depth, width=width)
    net = build(config, channels=3, classes=10, normalisation=Normalisation(mean=(0.5,) * 3, std=(0.5,) * 3))
    weights = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        net(torch.rand(8, 3, size, size))
    found = sum(tensor.untyped_storage().nbytes() for key, tensor in kept.items() if key not in weights) / 8
    flops = config.forward_flops(channels=3, size=size, classes=10)
    assert 0.5 < found / (flops * ACTIVATION_BYTES / width) < 1.1


def test_runs_on_own_images_are_not_estimated_but_for_their_weights(costs: Any) -> None:
    own = {"source": "npz", "path": "x.npz", "splits": {"validation": 10}}
    found = costs(**{"datasets/digits": tree()["datasets"]["digits"] | own})["st"]
    assert (found.train_seconds, found.evaluation_seconds, found.memory_bytes) == (None, None, None)
    assert found.disk_bytes > 0
