"""Killed at random moments and started again, every job ends with the files of an undisturbed one."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from soaking import JOBS, Soak, Tally, soak


@pytest.fixture(scope="module")
def soaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soak]:
    made = Soak(tmp_path_factory.mktemp("soak"), seed=1)
    yield made
    made.server.shutdown()


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("evaluate", signal.SIGKILL),
        ("evaluate", signal.SIGTERM),
        ("download", signal.SIGKILL),
        ("report", signal.SIGINT),
    ],
)
def test_killed_once(soaking: Soak, name: str, number: signal.Signals) -> None:
    (job,) = (job for job in JOBS if job.name == name)
    tally = Tally()
    while not tally.killed:
        soaking.round(job, tally, kills=1, number=number)
    assert tally.identical == tally.rounds


@pytest.mark.slow
def test_soak(tmp_path: Path) -> None:
    tallies = soak(tmp_path, seed=0, kills=6)
    assert sum(tally.killed for tally in tallies.values()) >= 30
    assert all(tally.identical == tally.rounds > 0 for tally in tallies.values())
