import platform
import subprocess
from pathlib import Path

import pytest
import torch

from robustfront import artefacts
from robustfront.config.schema import Run
from robustfront.methods import load_methods
from robustfront.training import provenance

PAPER = {
    "method": "npgd",
    "params": {
        "threat": {"norm": "linf", "eps": 10 / 255, "space": "normalised", "clip": "image"},
        "attack": {"steps": 10, "step_size": 2 / 255, "start": "gaussian", "start_std": 0.001, "restarts": 1},
    },
    "dataset": {
        "name": "cifar10",
        "source": "cifar10",
        "splits": {"validation": 1000},
        "normalisation": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
    },
    "model": {"depth": 18, "width": 64, "pretrained": "imagenet"},
    "training": {"epochs": 200, "batch_size": 128, "optimizer": {"lr": 0.1}, "schedule": {"kind": "cosine"}},
    "seed": 3,
    "init": "a-run",
}


def run(**edits: object) -> Run:
    """The run as S000 describes it, with `edits`: key with `/` between levels -> value."""
    content = Run.model_validate(PAPER).model_dump(mode="json")
    for key, value in edits.items():
        *parents, last = key.split("/")
        place = content
        for parent in parents:
            place = place[parent]
        place[last] = value
    return Run.model_validate(content)


# ------------------------------------------------------------------------------------------------- deviations
def test_the_papers_own_run_deviates_in_nothing() -> None:
    assert provenance.deviations(run()) == []


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (
            {"dataset/source": "digits", "dataset/name": "digits"},
            "S000 trains on CIFAR-10 and SVHN; this run on digits",
        ),
        (
            {"dataset/splits/train": 10000},
            "S000 trains on the whole training set; this run on 10000 images of it",
        ),
        (
            {"model/pretrained": None},
            "S000 starts its standard models from ImageNet weights; here they start from scratch",
        ),
        ({"training/epochs": 6}, "S000 trains for 200 epochs; this run for 6"),
        (
            {"params/threat/eps": 8 / 255, "params/threat/space": "pixel"},
            "S000 trains against linf 10/255 = 0.0392 of the normalised image; "
            "this run against linf 0.03137, pixel",
        ),
        (
            {"params/attack/steps": 7},
            "S000 attacks by 10 steps of 2/255 = 0.00784 from a gaussian start; "
            "this run by 7 of 0.007843, start: gaussian",
        ),
    ],
)
def test_deviations_are_told(edit, text) -> None:
    assert provenance.deviations(run(**edit)) == [text]


def test_a_narrow_network_deviates_and_cannot_start_from_imagenet() -> None:
    told = provenance.deviations(run(**{"model/width": 16, "model/pretrained": None}))
    assert "S000's network has 512 features; this one 128" in told
    assert len(told) == 2


def test_what_the_paper_varies_or_leaves_open_is_no_deviation() -> None:
    edits = {"model/hidden": 1024, "training/optimizer/lr": 0.5, "training/batch_size": 64, "seed": 9}
    assert provenance.deviations(run(**edits)) == []
    assert provenance.deviations(run(method="standard", params={"loss": "ce"})) == []


# ------------------------------------------------------------------------------------------------- the rest
def test_initial_weights() -> None:
    assert provenance.initial_weights(run()) == "run a-run"
    assert provenance.initial_weights(run(init=None)) == "imagenet (timm), the stem from scratch"
    assert provenance.initial_weights(run(init=None, **{"model/pretrained": None})) == "from scratch, seed 3"


def test_manifest_says_what_where_and_by_what(tmp_path) -> None:
    found = provenance.manifest("an-id", run(), load_methods()["trades"], device=torch.device("cpu"), extra=1)
    assert found.keys() == {
        *("run", "config", "method", "seed", "robustfront", "commit", "sources", "versions", "platform"),
        *("device", "command", "init"),
        *("initial_weights", "deviations", "extra"),
    }
    assert (found["run"], found["method"], found["seed"]) == ("an-id", "npgd", 3)
    assert found["versions"]["torch"] == torch.__version__.split("+")[0]
    assert found["versions"]["python"] == platform.python_version()
    assert found["device"].endswith(f"{torch.get_num_threads()} thread(s)")
    artefacts.write_json(tmp_path / "manifest.json", found)


def test_commit_tells_clean_from_edited_and_knows_when_there_is_none(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit() is None

    def git(*arguments: str) -> str:
        author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        answer = subprocess.run(["git", *author, *arguments], check=True, capture_output=True, text=True)
        return answer.stdout.strip()

    git("init", "-q")
    Path("file").write_text("1")
    git("add", "file")
    git("commit", "-q", "-m", "x")
    git("tag", "v1")
    assert provenance.commit() == git("rev-parse", "--short=12", "HEAD")
    Path("file").write_text("2")
    assert provenance.commit() == git("rev-parse", "--short=12", "HEAD") + "-dirty"


def test_commit_survives_a_machine_without_git(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert provenance.commit() is None
