import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from robustfront.errors import ArtefactError, RunLocked
from robustfront.jobs import stop_signals, workplace

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
