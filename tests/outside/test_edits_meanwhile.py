"""Params that are edited while the workflow runs: what was made for the old ones is not taken for the new."""

import sys
import time
from pathlib import Path

from test_own_images import project

from outside import ROOT, Outside, succeeded


def edited_meanwhile(own: Outside, old: str, new: str) -> str:
    """What a workflow says that fails as its params are edited once its first run is trained."""
    params, said = own.folder / "params" / "small.yaml", own.folder / "said"
    words = [
        "-m",
        "snakemake",
        "-s",
        f"{ROOT}/Snakefile",
        "--cores",
        "1",
        "runs",
    ]
    with said.open("w") as file, own.begin(sys.executable, *words, out=file) as done:
        while not [*own.folder.glob("results/runs/*/manifest.json")]:
            assert done.poll() is None, said.read_text()
            time.sleep(0.02)
        text = params.read_text()
        assert old in text
        params.write_text(text.replace(old, new))
        assert done.wait(300) == 1, said.read_text()
    return said.read_text()


def test_a_job_of_a_run_that_is_no_more_says_so(tmp_path: Path) -> None:
    own = project(tmp_path)
    told = edited_meanwhile(own, '"beta": 1.5', '"beta": 2.5')
    assert "has no run 'own-npgd-pgd-b1.5-s0-" in told
    assert "if it was edited meanwhile, start again" in told


def test_what_was_added_meanwhile_is_not_taken_for_made(tmp_path: Path) -> None:
    """The jobs of before are done; DVC, which looks at the params after the command, must not record that."""
    own = project(tmp_path)
    run = '"st": {"method": "standard", "loss": "ce"}'
    told = edited_meanwhile(own, run, f'{run}, "more": {{"method": "standard", "loss": "lse"}}')
    assert "params/small.yaml: edited while Snakemake ran" in told
    assert "standard-lse" in own.robustfront("status").stdout
    succeeded(own.snakemake("runs"))
    assert "\nmissing:" not in own.robustfront("status").stdout
