"""The method that docs/adding-a-method.md adds really is one file and one line."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

import small_params
from robustfront.planning import load_plan
from robustfront.reporting.other_runs import other_runs


def test_the_documented_method_trains_like_any_other(project: Path, tmp_path: Path):
    page = (project / "docs" / "adding-a-method.md").read_text()
    (source,) = re.findall(r"```python\n(.*?)```", page, re.S)
    (tmp_path / "clp.py").write_text(source)
    (line,) = re.findall(r"^  clp: (.*)$", page, re.M)
    tree = small_params.tree(
        **{
            "extensions": ["clp.py"],
            "runs/clp": yaml.safe_load(line),
            "datasets/digits/splits": {"train": 64, "validation": 32, "test": 32},
        }
    )
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tree))

    def robustfront(*arguments: str) -> str:
        command = [sys.executable, "-m", "robustfront", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
        assert done.returncode == 0, done.stderr
        return done.stdout

    plan = load_plan(tmp_path / "params.yaml")
    (clp,) = (run for run in plan.runs if "clp-l0.5" in run)
    assert "clp" in other_runs(plan)  # which the page compares with the paper's
    robustfront("data", plan.runs[clp].dataset_id)
    robustfront("train", plan.runs[clp].config.init)
    robustfront("train", clp)
    history = (tmp_path / "results" / "runs" / clp / "history.csv").read_text().splitlines()
    assert len(history) == 3
    assert "train_adversarial_loss" in history[0]
