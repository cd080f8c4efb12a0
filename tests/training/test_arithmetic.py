"""bfloat16 where this machine gains from it: decided once, kept, and told; never another run."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_trainings import same

import small_params
from robustfront import artefacts
from robustfront.errors import ArtefactError, ConfigError, Interrupted
from robustfront.methods import methods
from robustfront.models import weights
from robustfront.planning import PlannedRun
from robustfront.planning.arithmetic import load, place
from robustfront.training import arithmetic, session
from small_project import Project, params

NETWORK = "preact_resnet, 1x8x8"


@pytest.fixture
def project(small_project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """With a run `at` that may use bfloat16 and its twin `at-fp32`, which may not."""
    tree = params()
    tree["runs"]["at-fp32"] = tree["runs"]["at"]
    tree["runs"]["at"] = tree["runs"]["at"] | {"training": {"precision": "bf16"}}
    small_params.write(small_project.folder, tree)
    return small_project


def times(monkeypatch: pytest.MonkeyPatch, *, fp32: float, bf16: float) -> list[str]:
    """Lets attack steps take so long; the arithmetic of each that was timed."""
    measured: list[str] = []

    def seconds(*_: object) -> float:
        measured.append("bf16" if torch.is_autocast_enabled("cpu") else "fp32")
        return bf16 if measured[-1] == "bf16" else fp32

    monkeypatch.setattr(arithmetic, "_seconds", seconds)
    return measured


def trained(project: Project, name: str) -> dict[str, torch.Tensor]:
    """The weights that a training of today makes, by what is faster."""
    run = project.run(name)
    session.train(run, methods, project.layout, torch.device("cpu"))
    return weights.load_weights(project.layout.run(run.id) / "model.safetensors")


def manifest(project: Project, name: str) -> dict[str, object]:
    return artefacts.read_json(project.layout.run(project.run(name).id) / "manifest.json")


def test_float32_is_not_measured(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = times(monkeypatch, fp32=2, bf16=1)
    trained(project, "at-fp32")
    assert measured == []
    assert manifest(project, "at-fp32")["arithmetic"] == "fp32"
    assert not (project.layout.results / "arithmetic").exists()


def test_where_bfloat16_is_slow_the_same_run_is_computed_in_float32(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    times(monkeypatch, fp32=1, bf16=3)
    planned = project.run("at").id
    found = trained(project, "at")
    assert project.run("at").id == planned
    assert manifest(project, "at")["config"]["training"]["precision"] == "bf16"
    assert manifest(project, "at")["arithmetic"] == "fp32"
    assert same(found, trained(project, "at-fp32"))


def test_the_first_run_decides_for_all(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = times(monkeypatch, fp32=2, bf16=1)
    found = trained(project, "at")
    assert set(measured) == {"fp32", "bf16"}
    assert manifest(project, "at")["arithmetic"] == "bf16"
    assert not same(found, trained(project, "at-fp32"))
    again = times(monkeypatch, fp32=1, bf16=2)
    (project.layout.run(project.run("at").id) / "manifest.json").unlink()
    assert same(found, trained(project, "at"))
    assert again == []


def stopped(project: Project, run: PlannedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that got SIGTERM after its first step."""

    def interrupted(trainer: session.Trainer, watcher: session.Watcher) -> None:
        trainer.step = 1
        watcher.save(trainer.checkpoint())
        raise Interrupted("stopped")

    with monkeypatch.context() as patched:
        patched.setattr(session.Trainer, "fit", interrupted)
        with pytest.raises(Interrupted):
            session.train(run, methods, project.layout, torch.device("cpu"))


def test_a_training_goes_on_in_what_it_was_begun_in(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    times(monkeypatch, fp32=1, bf16=2)
    run = project.run("at")
    stopped(project, run, monkeypatch)
    path = place(project.layout.results, NETWORK, "cpu")
    path.unlink()  # as on another machine, where it is the other way round
    measured = times(monkeypatch, fp32=2, bf16=1)
    with pytest.raises(ConfigError, match=r"--arithmetic bf16: this training was begun in fp32"):
        session.train(run, methods, project.layout, torch.device("cpu"), arithmetic="bf16")
    trained(project, "at")
    assert manifest(project, "at")["arithmetic"] == "fp32"
    assert measured == []


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_what_the_user_asks_for_is_done_and_decides_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    measured = times(monkeypatch, fp32=2, bf16=1)
    run = project.run("at")
    session.train(run, methods, project.layout, torch.device("cpu"), arithmetic=asked)
    assert manifest(project, "at")["arithmetic"] == asked
    assert measured == []
    assert not place(project.layout.results, NETWORK, "cpu").exists()


def test_the_plan_shows_what_was_decided(project: Project, monkeypatch: pytest.MonkeyPatch, run) -> None:
    times(monkeypatch, fp32=1, bf16=2.5)
    trained(project, "at")
    where = ("--params", str(project.folder / "params.yaml"), "--results", str(project.layout.results))
    code, out, _ = run(*where, "plan")
    assert code == 0
    assert f"arithmetic: {NETWORK} on cpu: fp32 (bf16 is 2.5 times slower than fp32 on " in out


@pytest.mark.parametrize("content", ["[]", '{"network": "x"}', "{"])
def test_a_damaged_decision_is_an_error_that_says_what_to_do(tmp_path: Path, content: str) -> None:
    path = place(tmp_path, NETWORK, "cpu")
    assert load(path) is None
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ArtefactError, match=f"{path.name}.*delete"):
        load(path)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="limits the instructions of x86 processors")
def test_a_processor_without_bfloat16_units_computes_in_float32(tmp_path: Path) -> None:
    script = f"""
import torch
from pathlib import Path
from robustfront.config.images import Normalisation
from robustfront.config.networks import PreActResNet
from robustfront.models import build
from robustfront.training.arithmetic import settle
torch.set_num_threads(1)
normal = Normalisation(mean=(0.5,) * 3, std=(0.5,) * 3)
model = build(PreActResNet(depth=10, width=32), channels=3, classes=10, normalisation=normal)
images = torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8)
model = model.to(memory_format=torch.channels_last)
print(settle("bf16", model, images, "preact_resnet", Path({str(tmp_path)!r})))
"""
    limited = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=limited, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "fp32"
    decision = load(place(tmp_path, "preact_resnet, 3x32x32", "cpu"))
    assert decision is not None
    assert decision.seconds["bf16"] > 1.5 * decision.seconds["fp32"]
    assert "AVX2" in decision.machine
