import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from robustfront.artefacts import Layout, read_json, write_json
from robustfront.errors import (
    ArtefactError,
    ConfigError,
    Interrupted,
    NoDevice,
    OutOfMemory,
    ProcessLost,
    RunLocked,
    TrainingDiverged,
)
from robustfront.jobs import remembered, stop_signals, workplace

HOLD = """
import sys, time
from pathlib import Path
from robustfront.jobs import workplace
with workplace(Path(sys.argv[1]), "a job"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_folder_is_there_meanwhile_and_gone_after_success(tmp_path: Path) -> None:
    work = tmp_path / "checkpoints" / "job"
    with workplace(work, "a job"):
        (work / "state").write_text("half")
    assert not work.exists()
    assert work.parent.exists()


def test_after_an_error_content_is_kept_and_an_empty_folder_is_not(tmp_path: Path) -> None:
    def fail(content: bool) -> None:
        with workplace(tmp_path / "job", "a job"):
            if content:
                (tmp_path / "job" / "state").write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail(content=False)
    assert not (tmp_path / "job").exists()
    with pytest.raises(KeyError):
        fail(content=True)
    assert (tmp_path / "job" / "state").read_text() == "half"
    with workplace(tmp_path / "job", "a job"):
        assert (tmp_path / "job" / "state").read_text() == "half"


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    work = tmp_path / "job"
    with subprocess.Popen([sys.executable, "-c", HOLD, work], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with (
            pytest.raises(RunLocked, match=rf"b job: another process is at it .*{work}/lock\); wait"),
            workplace(work, "b job"),
        ):
            pytest.fail("it was let in")
        assert (work / "lock").exists(), "the refused one took nothing away"
        holder.kill()
    with workplace(work, "b job"):
        pass


def test_a_lock_file_without_a_name_locks_nobody(tmp_path: Path) -> None:
    """What `workplace` relies on when it removes the folder that holds its lock."""
    with workplace(tmp_path / "job", "first"):
        (tmp_path / "job" / "lock").unlink()
        with workplace(tmp_path / "job", "second"):
            assert (tmp_path / "job" / "lock").exists()


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ArtefactError, match=r"lock: cannot be locked: .*; make the folder writable"),
        workplace(tmp_path / "file" / "job", "a job"),
    ):
        pytest.fail("it was let in")


def test_the_first_signal_is_noted_and_the_second_acts_as_usual() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with stop_signals() as received:
            assert not received
            for count in (1, 2):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.01)
                assert (received, seen) == ([signal.SIGTERM], [signal.SIGTERM] * (count - 1))
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        assert seen == [signal.SIGTERM] * 2
    finally:
        signal.signal(signal.SIGTERM, before)


def failing(layout: Layout, verb: str, error: BaseException) -> None:
    with pytest.raises(type(error)), remembered(layout, "a-run", verb):
        raise error


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "results", tmp_path / "checkpoints")


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (TrainingDiverged("no finite number"), "diverged", "no finite number"),
        (OutOfMemory("out of memory"), "failed", "out of memory"),
        (ConfigError("this attack needs more classes"), "failed", "this attack needs more classes"),
        (ZeroDivisionError("a bug"), "failed", "ZeroDivisionError: a bug"),
    ],
)
def test_a_failure_is_remembered(layout: Layout, error: Exception, state: str, message: str) -> None:
    failing(layout, "train", error)
    found = {"verb": "train", "state": state, "message": message}
    assert read_json(layout.results / "runs" / "a-run" / "failure.json") == found


@pytest.mark.parametrize(
    "error",
    [
        Interrupted("stopped"),
        RunLocked("another process is at it"),
        ProcessLost("another process failed, and says why itself"),
        NoDevice("--device cuda: this machine has 0"),
        KeyboardInterrupt(),
        SystemExit(75),  # SIGTERM
    ],
)
def test_what_is_no_failure_of_the_run_is_not(layout: Layout, error: BaseException) -> None:
    failing(layout, "train", error)
    assert not layout.failure("a-run").exists()


@pytest.mark.parametrize("verb", ["train", "evaluate", "analyse"])
def test_the_latest_failure_counts_until_the_same_verb_or_the_training_succeeds(
    layout: Layout, verb: str
) -> None:
    failing(layout, "analyse", ArtefactError("first"))
    failing(layout, "evaluate", ArtefactError("second"))
    assert read_json(layout.failure("a-run"))["message"] == "second"
    with remembered(layout, "a-run", verb):
        assert layout.failure("a-run").exists()
    assert layout.failure("a-run").exists() == (verb == "analyse")


def test_where_the_training_failed_what_needs_it_says_nothing(layout: Layout) -> None:
    failing(layout, "train", TrainingDiverged("no finite number"))
    failing(layout, "evaluate", ArtefactError("model.safetensors: missing"))
    assert read_json(layout.failure("a-run"))["state"] == "diverged"
    failing(layout, "train", OutOfMemory("again, for another reason"))
    assert read_json(layout.failure("a-run"))["state"] == "failed"
    with remembered(layout, "a-run", "train"):
        pass
    assert not layout.failure("a-run").exists()


@pytest.mark.parametrize("damage", ["{", "[]", "{}"])
def test_a_damaged_memory_of_a_failure_stops_nothing(layout: Layout, damage: str) -> None:
    path = layout.failure("a-run")
    write_json(path, {})
    path.write_text(damage)
    failing(layout, "evaluate", ArtefactError("a reason"))
    assert read_json(path)["message"] == "a reason"
    path.write_text(damage)
    with remembered(layout, "a-run", "analyse"):
        pass
    assert not path.exists()


def test_a_run_that_ends_well_leaves_nothing(layout: Layout) -> None:
    with remembered(layout, "a-run", "train"):
        pass
    assert not layout.results.exists()
