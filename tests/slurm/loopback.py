"""A SLURM cluster of this machine alone: munge, slurmctld, slurmd, two fake GPUs, no database, no root."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "setpriv"]
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])

_SLURM_CONF = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
GresTypes=gpu
MpiDefault=none
ReturnToService=2
MinJobAge=3600
SchedulerParameters=sched_interval=1,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 Sockets=1 CoresPerSocket=8 RealMemory=8000 Gres=gpu:2 State=UNKNOWN
PartitionName=gpu Nodes={host} Default=YES MaxTime=1:00:00 PriorityTier=1 GraceTime=60 State=UP
PartitionName=urgent Nodes={host} MaxTime=1:00:00 PriorityTier=2 PreemptMode=OFF State=UP
"""


class Cluster:
    """Runs from `with` to its end; all state is in `folder`, whose path must be short (it names sockets)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder}/bin:{PATH}",
        }
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Cluster":
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def ask(self, *command: str) -> str:
        """What a command of SLURM prints."""
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()

    def jobs(self, *, states: str = "all") -> dict[str, tuple[str, str]]:
        """Job id -> state and comment (the executor's: rule and wildcards)."""
        lines = self.ask("squeue", "--noheader", f"--states={states}", "--format=%i|%T|%k").splitlines()
        return {job: (state, comment) for job, state, comment in (line.split("|") for line in lines)}

    def table(self) -> str:
        """The queue as a person looks at it."""
        fields = "JobID:4,State:11,Reason:17,TimeUsed:6,tres-per-job:11,Comment:90"
        return self.ask("squeue", "--states=all", "--sort=i", f"--Format={fields}")

    def _start(self) -> None:
        for name in ("bin", "state", "spool"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)  # munge insists
        (self.folder / "munge.key").write_bytes(os.urandom(64))
        (self.folder / "munge.key").chmod(0o600)
        host = socket.gethostname().split(".")[0]
        controller, node = _free_ports(2)
        (self.folder / "slurm.conf").write_text(
            _SLURM_CONF.format(
                folder=self.folder, host=host, user=getpass.getuser(), controller=controller, node=node
            )
        )
        for number in range(2):  # SLURM wants character devices
            (self.folder / f"gpu{number}").symlink_to("/dev/null")
        (self.folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File={self.folder}/gpu[0-1]\n")
        # Snakemake's job step clears SLURM's variables, SLURM_CONF too, before it calls srun
        srun = self.folder / "bin" / "srun"
        srun.write_text(
            f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which("srun", path=PATH)} "$@"\n'
        )
        srun.chmod(0o755)
        munge = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        self._daemon("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *munge)
        until((self.folder / "munge.socket").exists, 10, "munge's socket")
        self._daemon("slurmctld", "-D")
        self._daemon("slurmd", "-D", "-N", host)
        until(lambda: self._state() == "idle", 30, "the node to be idle")

    def _daemon(self, *command: str) -> None:
        reaper = Path(__file__).with_name("reaper.py")
        with (self.folder / f"{command[0]}.out").open("wb") as output:
            self._daemons.append(
                subprocess.Popen(
                    [sys.executable, str(reaper), *command],
                    env=self.environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )

    def _state(self) -> str:
        for daemon in self._daemons:
            if daemon.poll() is not None:
                logs = "\n".join(path.read_text()[-2000:] for path in sorted(self.folder.glob("*.out")))
                raise RuntimeError(f"{daemon.args} ended:\n{logs}")
        command = ["sinfo", "--noheader", "--format=%T", "--partition=gpu"]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        ).stdout.strip()

    def _stop(self) -> None:
        """Each daemon by its id; its reaper takes along what is left of the jobs."""
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in reversed(self._daemons):
            daemon.wait(30)
        shutil.rmtree(self.folder)


def until(done: Callable[[], object], seconds: float, what: str) -> None:
    """Waits for `done` to be true."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.25)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
