"""The method that docs/adding-a-method.md adds really is one file, and a study of a few lines."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

import small_params
import study_files
from robustfront.planning import load_plan


def test_the_documented_method_trains_like_any_other(project: Path, tmp_path: Path):
    page = (project / "docs" / "adding-a-method.md").read_text()
    (source,) = re.findall(r"```python\n(.*?)```", page, re.S)
    (tmp_path / "clp.py").write_text(source)
    (study,) = re.findall(r"```yaml\n(like: npat.*?)```", page, re.S)
    runs = small_params.tree()["runs"]
    tree = small_params.tree(
        **{
            "extensions": ["clp.py"],
            "runs": runs | {"pgd-at": runs["at"]},
            "datasets/digits/splits": {"train": 64, "validation": 32, "test": 32},
        }
    )
    mine = yaml.safe_load(study.replace("npat", "small"))
    params = study_files.write(tmp_path, tree, mine=mine)

    def robustfront(*arguments: str) -> str:
        command = [sys.executable, "-P", "-m", "robustfront", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
        assert done.returncode == 0, done.stderr
        return done.stdout

    plan = load_plan(params)
    (clp,) = (run for run in plan.runs if "clp-l0.5" in run)
    assert plan.runs[clp].names == ["mine/clp"]
    assert any({"small/at", "mine/pgd-at"} <= {*run.names} for run in plan.runs.values())
    robustfront("data", plan.runs[clp].dataset_id)
    robustfront("train", plan.runs[clp].config.init)
    robustfront("train", clp)
    history = (tmp_path / "results" / "runs" / clp / "history.csv").read_text().splitlines()
    assert len(history) == 4
    assert "train_adversarial_loss" in history[0]
