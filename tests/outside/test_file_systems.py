"""File systems without flock: Lustre without its option (ENOSYS), NFS without its daemon (ENOLCK)."""

import errno
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest

from outside import Outside, refused, succeeded
from small_project import Project


@pytest.fixture(params=[errno.ENOSYS, errno.ENOLCK], ids=["ENOSYS", "ENOLCK"])
def lockless(outside: Outside, without_flock: Path, request: pytest.FixtureRequest) -> Outside:
    outside.variables = {"LD_PRELOAD": str(without_flock), "ROBUSTFRONT_TEST_ERRNO": str(request.param)}
    return outside


@pytest.mark.parametrize("lockless", [errno.ENOLCK], indirect=True)
def test_a_training_holds_its_place_and_leaves_it_to_the_next_when_it_is_killed(lockless: Outside) -> None:
    project = Project(lockless.folder)
    run = project.run("npgd-long").id
    place = project.layout.checkpoint(run)
    with lockless.start("train", run) as first:
        try:
            while not (place / "lock").exists() or not (place / "lock").read_text():
                assert first.poll() is None, "it did not come so far"
                time.sleep(0.01)
            first.send_signal(signal.SIGSTOP)
            told = refused(lockless.robustfront("train", run))
            assert f"({first.pid} on " in told
            assert place.name not in succeeded(lockless.robustfront("prune"))
        finally:
            first.kill()
    assert not (project.layout.run(run) / "manifest.json").exists()
    succeeded(lockless.robustfront("train", run))
    assert (project.layout.run(run) / "manifest.json").exists()
    assert not place.exists()
    assert not [*lockless.folder.rglob(".*.*")], "a temporary file is left"


def test_what_a_killed_process_left_is_asked_about(lockless: Outside) -> None:
    for verb, code in (("status", 1), ("prune", 0)):
        place = lockless.folder / "checkpoints" / "nobody"
        place.mkdir(parents=True, exist_ok=True)
        (place / "lock").write_text(f"{2**22 + 1}\n{socket.gethostname()}\n")
        done = lockless.robustfront(verb)
        assert done.returncode == code, done.stdout
        assert "checkpoint checkpoints/nobody" in done.stdout
        (place / "lock").write_text("1\nanother-machine\n")
        assert "checkpoints/nobody" not in lockless.robustfront(verb).stdout


def test_results_on_another_disk_are_not_for_dvc_behind_one_link(
    outside: Outside, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there = tmp_path_factory.mktemp("scratch") / "results"
    shutil.move(outside.folder / "results", there)
    (outside.folder / "results").symlink_to(there)
    done = outside.robustfront("snapshot")
    done.stdout = done.stdout.replace(str(there), "…")
    refused(done)
