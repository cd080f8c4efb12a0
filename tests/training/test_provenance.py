import platform
import subprocess
from pathlib import Path

import torch

from robustfront import artefacts, revision
from robustfront.config.schema import Run
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


def test_initial_weights() -> None:
    assert provenance.initial_weights(run()) == "run a-run"
    assert provenance.initial_weights(run(init=None)) == "imagenet, the rest from scratch"
    assert provenance.initial_weights(run(init=None, **{"model/pretrained": None})) == "from scratch, seed 3"


def test_manifest_says_what_where_and_by_what(tmp_path) -> None:
    found = provenance.manifest("an-id", run(), sources="0123", device=torch.device("cpu"), extra=1)
    assert found.keys() == {
        *("run", "config", "method", "seed", "robustfront", "commit", "sources", "versions", "platform"),
        *("device", "command", "init"),
        *("initial_weights", "extra"),
    }
    assert (found["run"], found["method"], found["seed"]) == ("an-id", "npgd", 3)
    assert found["versions"]["torch"] == torch.__version__.split("+")[0]
    assert found["versions"]["python"] == platform.python_version()
    assert found["device"].endswith(f"{torch.get_num_threads()} thread(s)")
    artefacts.write_json(tmp_path / "manifest.json", found)


def test_commit_tells_clean_from_edited_and_knows_when_there_is_none(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert revision.commit() is None

    def git(*arguments: str) -> str:
        author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        answer = subprocess.run(["git", *author, *arguments], check=True, capture_output=True, text=True)
        return answer.stdout.strip()

    git("init", "-q")
    Path("file").write_text("1")
    git("add", "file")
    git("commit", "-q", "-m", "x")
    git("tag", "v1")
    assert revision.commit() == git("rev-parse", "--short=12", "HEAD")
    Path("file").write_text("2")
    assert revision.commit() == git("rev-parse", "--short=12", "HEAD") + "-dirty"


def test_commit_survives_a_machine_without_git(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert revision.commit() is None
