"""A job that the worker forks is what it would be by itself; whatever is killed, nothing is left behind."""

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from jobs import BY_ITSELF, CLIENT, Engine, gone, has_ended, killed, pid_of

import robustfront

PARENT = "import os\nprint(os.getppid())\n"
FACTS = """
import os, sys
print(sys.argv, os.getcwd(), os.umask(0), sys.stdin.read(), sorted(os.environ.items()))
print(sys.path, sys.flags, file=sys.stderr)
"""
LONG = """
import os, signal, time
print(os.getpid(), flush=True)
time.sleep(60)
"""
TWICE = """
import os, pathlib, time
print(os.getpid(), flush=True)
place = pathlib.Path("state")
if not place.exists():
    place.touch()
    time.sleep(60)
print("went on")
"""


def parent(engine: Engine, **arguments: object) -> int:
    code, output, errors = engine.run(PARENT, **arguments)
    assert code == 0, errors
    return int(output.splitlines()[0])


def test_a_job_is_forked_from_the_worker_and_many_at_a_time(engine):
    assert parent(engine) == engine.worker.pid
    jobs = [engine.start(PARENT) for _ in range(8)]
    answers = [int(job.communicate()[0].splitlines()[0]) for job in jobs]
    assert answers == [engine.worker.pid] * 8
    assert engine.worker.num_fds() < 12, "nothing of a finished job is kept"


@pytest.mark.parametrize(
    "code",
    [
        FACTS,
        "import sys\nsys.exit(3)",
        "import sys\nsys.exit('a message')",
        "import os\nos.kill(os.getpid(), 9)",
        "import os\nos.write(1, b'one\\n')\nprint('two')\nos.write(2, b'three\\n')\nos._exit(7)",
        "import atexit\natexit.register(print, 'at the end')",
        "raise RuntimeError('wrong')",
    ],
)
def test_arguments_streams_folder_environment_and_exit_code_are_those_of_a_job_by_itself(engine, code):
    assert engine.run(code, "some input", TMPDIR="/tmp") == engine.run(
        code, "some input", TMPDIR="/tmp", command=BY_ITSELF
    )


def test_output_goes_to_the_file_that_the_shell_opened(engine):
    log = engine.folder / "log"
    with log.open("w") as file:
        job = engine.start("print('all of it')", output=file.fileno())
    job.communicate()
    assert log.read_text().startswith("all of it\n")


# --------------------------------------------------------------------------------------------- signals
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_reaches_the_job_and_its_exit_code_comes_back(engine, number, code):
    job = engine.start(LONG)
    pid = pid_of(job)
    job.send_signal(number)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == code
    assert errors.strip().startswith("error: stopped;")
    assert "Traceback" not in errors
    assert gone(pid)


def test_a_job_is_suspended_with_its_client_and_goes_on_with_it(engine):
    job = engine.start(LONG)
    work = psutil.Process(pid_of(job))
    job.send_signal(signal.SIGTSTP)
    _until(lambda: work.status() == psutil.STATUS_STOPPED)
    job.send_signal(signal.SIGCONT)
    _until(lambda: work.status() != psutil.STATUS_STOPPED)
    job.kill()
    assert gone(work.pid)


# --------------------------------------------------------------------------------------------- kill -9
def test_a_job_whose_client_is_killed_is_killed(engine):
    job = engine.start(LONG)
    pid = pid_of(job)
    job.kill()
    assert gone(pid)
    assert parent(engine) == engine.worker.pid, "the worker goes on"


def test_a_client_whose_job_is_killed_ends_so(engine):
    job = engine.start(LONG)
    os.kill(pid_of(job), signal.SIGKILL)
    job.communicate(timeout=60)
    assert job.returncode == -signal.SIGKILL


def test_a_job_whose_worker_is_killed_saves_its_state_and_its_client_goes_on_with_it(engine):
    job = engine.start(TWICE)
    first = pid_of(job)
    killed(engine.worker)
    second = pid_of(job)
    assert second == job.pid, "the client became the job"
    assert has_ended(first), "and not before the first had ended"
    assert job.stdout is not None
    assert job.stdout.readline() == "went on\n"
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 0
    assert "error: stopped;" in errors, "by SIGTERM"


def test_when_snakemake_is_killed_its_worker_and_their_jobs_go_and_clients_start_nothing(engine):
    job = engine.start(TWICE)
    pid = pid_of(job)
    engine.process.kill()
    job.communicate(timeout=60)
    assert job.returncode == 75
    assert gone(pid)
    assert gone(engine.worker.pid)


def test_when_snakemake_ends_its_worker_has_gone(engine):
    assert parent(engine) == engine.worker.pid
    engine.end()
    assert not psutil.pid_exists(engine.worker.pid)


# ---------------------------------------------------------------------------------------- jobs by themselves
def test_without_a_worker_a_job_runs_by_itself(engine):
    for name in ("", "robustfront-of-nobody"):
        assert parent(engine, ROBUSTFRONT_WORKER=name) == os.getpid()


def test_a_job_in_another_environment_runs_by_itself(engine):
    assert parent(engine, ONEDNN_MAX_CPU_ISA="AVX2") == os.getpid()
    assert parent(engine, OMP_NUM_THREADS="2", TMPDIR="/tmp") == engine.worker.pid


def test_a_job_with_a_closed_stream_runs_by_itself(engine):
    engine.run("import os, pathlib\npathlib.Path('parent').write_text(str(os.getppid()))")
    assert (engine.folder / "parent").read_text() == str(engine.worker.pid)
    words = f"exec {shlex.join(CLIENT)} --params params.yaml methods <&-"
    done = subprocess.run(
        ["sh", "-c", words], check=False, cwd=engine.folder, env=engine.environment, capture_output=True
    )
    assert done.returncode == 0
    assert (engine.folder / "parent").read_text() == str(os.getpid())


def test_a_worker_older_than_a_file_of_the_package_refuses(tmp_path):
    package = tmp_path / "robustfront"
    shutil.copytree(Path(robustfront.__file__).parent, package)
    engine = Engine(tmp_path, {**os.environ, "PYTHONPATH": str(tmp_path)})
    try:
        assert parent(engine) == engine.worker.pid
        (package / "losses.py").write_text((package / "losses.py").read_text() + "\n")
        assert parent(engine) == os.getpid()
    finally:
        engine.end()


def _until(true: Callable[[], bool]) -> None:
    for _ in range(200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that")
