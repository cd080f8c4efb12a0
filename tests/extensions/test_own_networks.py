"""Networks of a user's own: in one file, of logits alone, and mistakes in them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from documented import write_examples

import study_files
from robustfront.config.extensions import extend, load_file
from robustfront.config.images import Normalisation
from robustfront.config.networks import NetworkConfig, networks
from robustfront.errors import ConfigError
from robustfront.models import Classifier, build
from robustfront.models.logits_only import LogitsOnly
from robustfront.planning import load_plan
from small_params import full_complaint, tree

NORMALISATION = Normalisation(mean=(0.5,), std=(0.25,))

IN_ONE_FILE = """
from typing import ClassVar, Literal
import torch
from robustfront.config.networks import NetworkConfig, networks
from robustfront.models.logits_only import LogitsOnly

@networks.register
class Zoo(NetworkConfig):
    built_by: ClassVar[str] = "build"
    arch: Literal["zoo"] = "zoo"

    @property
    def feature_count(self) -> int:
        return 0

def build(config, *, channels, classes, normalisation):
    layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64 * channels, classes))
    return LogitsOnly(layers, classes=classes, normalisation=normalisation)
"""


def robustfront(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "robustfront", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=200)


def test_a_file_that_imports_torch_works_and_is_told_what_that_costs(tmp_path) -> None:
    write_examples("adding-a-network.md", tmp_path)
    for extension, told in (("zoo.py", 1), ("group_net.py", 0)):
        (tmp_path / "zoo.py").write_text(IN_ONE_FILE)
        study_files.write(tmp_path, _logits_only(extension))
        done = robustfront(tmp_path, "plan")
        assert done.returncode == 0, done.stderr
        assert "not estimated" in done.stdout or extension == "group_net.py"
        assert done.stderr.count("imports torch, which takes every command ") == told
        assert sum("torch" in line for line in done.stderr.splitlines()) == told


def _logits_only(extension: str) -> study_files.Tree:
    runs = {"st": {"method": "standard"}, "at": {"method": "pgd_at", "init": "st"}}
    arch = {"arch": extension.removesuffix(".py")}
    return tree(**{"extensions": [extension], "runs": runs, "defaults/model": arch, "scales/wide": ...})


def test_a_network_of_logits_alone_is_attacked_but_has_no_null_space(tmp_path) -> None:
    (tmp_path / "zoo.py").write_text(IN_ONE_FILE)
    params = _logits_only("zoo.py")
    params["runs"]["npgd"] = {"method": "npgd", "init": "st", "generator": "pgd", "beta": 1.5}
    path = study_files.write(tmp_path, params)
    assert full_complaint(path).endswith(
        "model.arch = 'zoo': gives logits alone, and method 'npgd' needs its features; choose another network"
    )
    del params["runs"]["npgd"]
    params["defaults"]["suites"]["pixel"]["attacks"]["aa"]["engine"] = "fast-bf16"
    assert "gives logits alone, and attack 'aa' of suite 'pixel' needs its features" in full_complaint(
        study_files.write(tmp_path, params)
    )
    config = NetworkConfig.model_validate({"arch": "zoo"})
    network = build(config, channels=1, classes=3, normalisation=NORMALISATION)
    assert isinstance(network, LogitsOnly)
    assert (network.classes, network(torch.rand(2, 1, 8, 8)).shape) == (3, (2, 3))
    for ask in (lambda: network.features(torch.rand(2, 1, 8, 8)), lambda: network.head):
        with pytest.raises(ConfigError, match="gives logits alone"):
            ask()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"arch": "group_nett"}, "model.arch = 'group_nett': must be .*'group_net' or .*mean 'group_net'"),
        ({"arch": "group_net", "widht": 4}, r"model\.widht: unknown key \(did you mean 'width'\?\)"),
        ({"arch": "group_net", "width": "4"}, "model.width = '4': must be a whole number"),
        ({"arch": "group_net", "pretrained": "x"}, "pretrained: there are no such weights of group_net"),
    ],
)
def test_mistakes_are_named_by_file_key_and_what_is_known(model, message, tmp_path) -> None:
    write_examples("adding-a-network.md", tmp_path)
    params = _logits_only("group_net.py")
    params["defaults"]["model"] = model
    assert re.search(f"small.yaml: .*{message}", full_complaint(study_files.write(tmp_path, params)))


@pytest.mark.parametrize(
    ("said", "instead", "message"),
    [
        ('arch: Literal["zoo"] = "zoo"', "width: int = 3", "Zoo: has no name; write a field"),
        ('built_by: ClassVar[str] = "build"', "", "'zoo': the class must say `built_by"),
        ('"zoo"', '"preact_resnet"', "'preact_resnet' is defined twice"),
    ],
)
def test_a_class_that_says_too_little_is_refused_when_it_is_read(said, instead, message, tmp_path) -> None:
    (tmp_path / "zoo.py").write_text(IN_ONE_FILE.replace(said, instead))
    with pytest.raises(ConfigError, match=f"extensions: .*zoo.py: network .*{re.escape(message)}"):
        extend([tmp_path / "zoo.py"])


def test_a_builder_that_is_not_there_is_named(tmp_path) -> None:
    (tmp_path / "zoo.py").write_text(IN_ONE_FILE.replace('"build"', '".absent:build"').replace("zoo", "gone"))
    load_file(tmp_path / "zoo.py")
    config = networks["gone"]()
    with pytest.raises(ConfigError, match=r"zoo\.py: Zoo names '.absent:build': not a Python file"):
        build(config, channels=1, classes=3, normalisation=NORMALISATION)


BUILT = """
from robustfront.models.conditional import Conditional

class build(Conditional):
    usual = 0.3
    def __init__(self, config, *, channels, classes, normalisation):
        super().__init__(normalisation)
        self.norm = torch.nn.BatchNorm1d(64)
        self.head = torch.nn.Linear(64, classes)
    def features_given(self, x, condition):
        return condition[:, None] * self.norm(self.normalise(x).flatten(1))
"""
CONDITIONAL = IN_ONE_FILE.partition("def build")[0] + BUILT
USUAL = "feature_count(self) -> int:\n        return 0"
TOLD = CONDITIONAL.replace(USUAL, "usual(self):\n        return 0.3")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (IN_ONE_FILE.replace("return LogitsOnly", "return layers\n    LogitsOnly"), "is of type Sequential"),
        (IN_ONE_FILE.replace("classes=classes", "classes=7"), "has 7 logits where there are 3 classes"),
        (
            TOLD.replace("BatchNorm1d(64)", "BatchNorm1d(64, track_running_stats=False)"),
            "batch norm 'norm' keeps no",
        ),
        (CONDITIONAL, "takes 0.3 to be the usual condition where `usual` of its config is None"),
        (TOLD.replace("return 0.3", "return 0.4"), "takes 0.3 to be .* config is 0.4"),
        (IN_ONE_FILE.replace(USUAL, "usual(self):\n        return 0.3"), "takes None to be .* config is 0.3"),
    ],
)
def test_a_network_that_is_not_what_its_config_says_is_refused(source, message, tmp_path) -> None:
    (tmp_path / "zoo.py").write_text(source)
    load_file(tmp_path / "zoo.py")
    config = NetworkConfig.model_validate({"arch": "zoo"})
    with pytest.raises(ConfigError, match=f"network 'zoo', built by 'build': {message}"):
        build(config, channels=1, classes=3, normalisation=NORMALISATION)


def test_a_conditional_network_in_one_file_is_built(tmp_path) -> None:
    (tmp_path / "zoo.py").write_text(TOLD)
    load_file(tmp_path / "zoo.py")
    config = NetworkConfig.model_validate({"arch": "zoo"})
    network = build(config, channels=1, classes=3, normalisation=NORMALISATION).eval()
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(network(x), network.given(config.usual)(x))
    assert not torch.equal(network(x), network.given(1.0)(x))


def test_only_networks_that_say_so_fold() -> None:
    assert not Classifier(NORMALISATION).folds


def test_a_run_may_have_another_network_than_its_scale(tmp_path) -> None:
    write_examples("adding-a-network.md", tmp_path)
    params = _logits_only("group_net.py")
    params["defaults"]["model"] = {"depth": 10, "width": 4}
    params["runs"]["other"] = {"method": "standard", "model": {"arch": "group_net", "width": 12}}
    plan = load_plan(study_files.write(tmp_path, params))
    models = {name: run.config.model for run in plan.runs.values() for name in run.names}
    assert models["small/st"].arch == "preact_resnet"
    assert (models["small/other"].arch, models["small/other"].width) == ("group_net", 12)
    params["runs"]["other"]["model"]["depth"] = 10
    complaint = full_complaint(study_files.write(tmp_path, params))
    assert re.search(r"small.yaml: runs.other.model.depth: unknown key \(.*width", complaint)
