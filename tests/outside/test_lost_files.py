"""Files that were lost after the work was done: every verb misses them, what they advise makes them."""

import re
from pathlib import Path

from test_own_images import project

from outside import succeeded


def test_lost_images_and_projectors_are_made_again_and_nothing_else(tmp_path: Path) -> None:
    own = project(tmp_path)
    succeeded(own.snakemake("runs"))
    assert "Nothing to be done" in succeeded(own.snakemake("--dry-run", "runs"))
    trained = [*(tmp_path / "results" / "runs").rglob("*")]
    times = {path: path.stat().st_mtime_ns for path in trained}
    lost = [*tmp_path.glob("results/*/*/images.safetensors")]
    lost += tmp_path.glob("results/*/*/projector.safetensors")
    assert len(lost) == 2
    content = {path: path.read_bytes() for path in lost}
    for path in lost:
        path.unlink()

    told = own.robustfront("status").stdout
    assert "missing: 1 data set, 1 projector" in told
    damaged = own.robustfront("verify").stdout
    assert all(f"damaged: {path.relative_to(tmp_path)}: missing" in damaged for path in lost)
    assert "2 item(s) are missing" in own.robustfront("snapshot").stdout

    planned = succeeded(own.snakemake("--dry-run", "--quiet=rules", "runs"))
    assert dict(re.findall(r"^(\w+) +(\d+)$", planned, re.MULTILINE)) == {
        "dataset": "1",
        "projector": "1",
        "runs": "1",
        "total": "3",
    }
    succeeded(own.snakemake("runs"))
    assert {path: path.read_bytes() for path in lost} == content
    assert {path: path.stat().st_mtime_ns for path in trained} == times
    assert "damaged:" not in own.robustfront("verify").stdout


def test_what_lost_images_are_needed_for_waits_for_them(tmp_path: Path) -> None:
    """The start model is gone, too: it is trained again, and so is what starts from it."""
    own = project(tmp_path)
    succeeded(own.snakemake("runs"))
    (standard,) = tmp_path.glob("results/runs/*-standard-*/model.safetensors")
    for path in (standard, *tmp_path.glob("results/*/*/*.safetensors")):
        path.unlink(missing_ok=True)
    succeeded(own.snakemake("runs"))
    assert "damaged:" not in own.robustfront("verify").stdout
