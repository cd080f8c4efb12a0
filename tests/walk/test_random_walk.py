"""Snakemake and DVC over one graph, for a long time: they never disagree, never lie and never repeat work."""

import random
from pathlib import Path

import pytest
from small_walk import walk_params
from steps import schedule, walk
from walker import start


@pytest.mark.parametrize(
    ("count", "seed"),
    [
        (3, 0),
        *(pytest.param(count, 1, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]) for count in (14, 44)),
    ],
    ids=["short", "middle", "long"],
)
def test_random_walk(count: int, seed: int, project: Path, tmp_path: Path) -> None:
    walker, server = start(tmp_path, project, walk_params(), seed)
    try:
        walk(walker, schedule(random.Random(seed), count))
    finally:
        server.kill()
        server.wait()
    print(dict(walker.counts))
