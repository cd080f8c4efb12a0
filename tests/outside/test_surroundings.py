"""What containers and batch nodes lack: a home, a name for the user, a repository that git trusts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from outside import ROOT, Outside, quoted, succeeded
from small_project import Project

TARGET = f"""
tried:
\tsnakemake -s {ROOT}/Snakefile data --cores 1 --dry-run
"""


@pytest.mark.parametrize("home", [None, "/proc/nobody"], ids=["no home", "unwritable home"])
def test_make_gives_snakemake_a_cache_and_a_user(
    outside: Outside, without_passwd: Path, home: str | None
) -> None:
    (outside.folder / "more.mk").write_text(TARGET)
    names = dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME", "XDG_CACHE_HOME"))
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    outside.variables = names | {"HOME": home, "LD_PRELOAD": str(without_passwd), "PATH": tools}
    words = ["make", "-f", str(ROOT / "Makefile"), "-f", "more.mk", "-o", ".venv/installed", "tried"]
    succeeded(outside.run(*words))


def test_a_repository_that_git_does_not_trust_is_told_once(outside: Outside) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", *words], check=True, cwd=outside.folder, capture_output=True)

    if os.getuid() != 0:
        pytest.skip("needs root, to give the repository to somebody else")
    git("init", "-q")
    git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "--allow-empty", "-m", "x")
    outside.variables = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "SUDO_UID": None}
    assert "git" not in succeeded(outside.robustfront("prepare"))
    os.chown(outside.folder, 65534, 65534)
    told = succeeded(outside.robustfront("prepare")).strip()
    quoted(told.replace(str(outside.folder), "…"))


def test_processes_that_train_together_need_no_shared_memory(outside: Outside) -> None:
    """Containers have a few MB of /dev/shm, or less."""
    small = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$@"', "-"]
    if outside.run(*small, "true").returncode:
        pytest.skip("needs the right to mount a small /dev/shm of its own")
    run = Project(outside.folder).run("npgd").id
    words = [sys.executable, "-P", "-m", "robustfront", "train", run, "--devices", "2", "--device", "cpu"]
    succeeded(outside.run(*small, *words))
