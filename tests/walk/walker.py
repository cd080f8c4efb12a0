"""A person at work in a copy of the project, and what must hold after each step."""

import copy
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from expected import Expected, Key, expect

import study_files

HERE = Path(__file__).parent
EXTENSION = '''"""A method of the walker's own."""
from robustfront.methods.base import register
from robustfront.methods.standard import Standard


@register("walker", source="a test")
class Walker(Standard):
    """Standard training under another name."""
'''
POOL: dict[str, dict[str, Any]] = {
    "trades": {"method": "trades", "init": "st", "beta": 1.5},
    "npda-trades": {"method": "npda", "init": "st", "generator": "trades", "beta": 1.5},
    "second": {"method": "pgd_at", "init": "pgd-at"},
    "lse": {"method": "standard", "loss": "lse"},
}
"""Runs that come and go."""
EXTRA: dict[str, Any] = {
    "like": "small",
    "runs": {"st": "small/st", "own": {"method": "trades", "init": "small/st", "beta": 1.5}},
}
"""A second study, which comes and goes: it has a run of the first one, and one that POOL has, too."""


class Disagreement(AssertionError):
    """An engine, a table or a count of jobs is not what it should be."""


@dataclass
class Revision:
    """A commit: what the params say there, what is on disk after `dvc checkout`, of what the reports are."""

    commit: str
    params: dict[str, Any]
    extension: str
    there: set[Key]
    reports: dict[str, str]


@dataclass
class Walker:
    """`there`: jobs whose outcome is on disk; `reports`: study -> of which params its report on disk is."""

    folder: Path
    random: random.Random
    params: dict[str, Any]
    extension: str = EXTENSION
    there: set[Key] = field(default_factory=set)
    reports: dict[str, str] = field(default_factory=dict)
    history: list[Revision] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def root(self) -> Path:
        return self.folder / f"project-{self.counts['clone']}"

    # ------------------------------------------------------------------------------------------- commands
    def run(self, *command: str, ok: tuple[int, ...] = (0,), **environment: str) -> str:
        """Output of a command in the project; Disagreement unless its exit code is in `ok`."""
        answer = subprocess.run(
            command,
            check=False,
            cwd=self.root,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        if answer.returncode not in ok:
            raise Disagreement(
                f"{' '.join(command)} ended with {answer.returncode}:\n{answer.stdout[-4000:]}"
            )
        return answer.stdout

    @property
    def environment(self) -> dict[str, str]:
        binaries = self.folder / "bin"
        return os.environ | {
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "WALK_BIN": str(binaries),
            "WALK_LOG": str(self.folder / "jobs.log"),
            "ROBUSTFRONT_PROFILE": "walk",
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "GIT_CONFIG_GLOBAL": str(self.folder / "gitconfig"),
        }

    def snakemake(self, *arguments: str) -> str:
        return self.run("snakemake", "--workflow-profile", "profiles/walk", *arguments)

    def dvc(self, *arguments: str) -> str:
        return self.run("dvc", *arguments)

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).strip()

    def robustfront(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> str:
        return self.run("robustfront", *arguments, ok=ok)

    def jobs(self) -> Counter[Key]:
        """What was executed since this was last asked."""
        log = self.folder / "jobs.log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return Counter(tuple(line.split()) for line in lines)

    # ---------------------------------------------------------------------------------------------- checks
    def make(self, engine: str) -> None:
        """Runs an engine; exactly what must be done is done, once."""
        wanted = expect(self.params)
        self.jobs()
        if engine == "snakemake":
            self.snakemake()
        else:
            self.dvc("repro")
        done = self.jobs()
        reporting = {job for job in done if job[0] in ("report", "contents")}
        todo = wanted.todo(self.there)
        self.agree("jobs", {job: done[job] for job in done if job not in reporting}, dict.fromkeys(todo, 1))
        old = {study for study, shown in wanted.reports.items() if self.reports.get(study) != shown}
        fresh = {("report", study) for study in old}
        if old or self.reports.keys() != wanted.reports.keys():
            fresh.add(("contents",))
        self.agree("reports", {job: done[job] for job in reporting}, dict.fromkeys(fresh, 1))
        self.there |= todo
        self.reports = dict(wanted.reports)
        if engine == "snakemake":
            self.robustfront("snapshot")
        self.counts[f"made by {engine}"] += 1
        self.counts["jobs"] += sum(done.values())

    def check(self) -> None:
        """Both engines are idle and clean, our own verbs too, and every number is right."""
        wanted = expect(self.params)
        self.agree("what is missing", wanted.todo(self.there), set())
        said = self.snakemake("--dry-run")
        if "Nothing to be done" not in said:
            raise Disagreement(f"snakemake is not idle:\n{said[-4000:]}")
        said = self.dvc("status")
        if "up to date" not in said:
            raise Disagreement(f"dvc is not clean:\n{said}")
        self.robustfront("status")
        self.robustfront("verify")
        self._check_numbers(wanted)
        self.agree("jobs nobody asked for", dict(self.jobs()), {})

    def _check_numbers(self, wanted: Expected) -> None:
        """The default report's table and metrics.json, against the oracle."""
        reports = self.root / "reports"
        metrics = json.loads((reports / "metrics.json").read_text())
        self.agree("studies in metrics.json", set(metrics), set(wanted.reports))
        by_name: dict[tuple[str, ...], list[int]] = {}
        for study, run, _, suite, attack, count in wanted.lines:
            by_name.setdefault((study, run, suite, attack), []).append(count)
        means = {key: round(sum(counts) / len(counts) / 10, 4) for key, counts in by_name.items()}
        found = {
            (study, run, suite, attack): error
            for study, datasets in metrics.items()
            for run, suites in datasets["digits"].items()
            for suite, attacks in suites.items()
            for attack, error in attacks.items()
            if attack != "worst-case"
        }
        self.agree("metrics.json", found, means)
        for study in wanted.reports:
            table = pd.read_csv(reports / study / "tables" / "runs.csv")
            known = table.dropna(subset="value")
            lines = known[["run", "suite", "attack", "value"]].itertuples(index=False)
            printed = {(study, *key): round(value, 4) for *key, value in lines}
            self.agree(f"table of {study}", printed, {key: m for key, m in means.items() if key[0] == study})

    def agree(self, what: str, found: Any, expected: Any) -> None:
        if found != expected:
            raise Disagreement(f"{what}:\nfound    {found}\nexpected {expected}")

    # ---------------------------------------------------------------------------------------- what persists
    def write(self) -> None:
        """The params files and the extension as they should be."""
        extra = self.params.get("extra")
        shared, own = study_files.split({key: value for key, value in self.params.items() if key != "extra"})
        folder = self.root / "params"
        folder.mkdir(exist_ok=True)
        (folder / "extra.yaml").unlink(missing_ok=True)
        if extra:
            shared["studies"].append("params/extra.yaml")
            _write(folder / "extra.yaml", extra)
        _write(self.root / "params.yaml", shared)
        _write(folder / "small.yaml", own)
        (self.root / "mine.py").write_text(self.extension)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "step")
        commit = self.git("rev-parse", "HEAD")
        params = copy.deepcopy(self.params)
        self.history.append(Revision(commit, params, self.extension, set(self.there), dict(self.reports)))

    def take(self, revision: Revision) -> None:
        """Believe what that revision says."""
        self.params, self.extension = copy.deepcopy(revision.params), revision.extension
        self.there, self.reports = set(revision.there), dict(revision.reports)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(yaml.dump(content, sort_keys=False, Dumper=_Plain))


class _Plain(yaml.SafeDumper):
    """YAML without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def start(
    folder: Path, project: Path, params: dict[str, Any], seed: int
) -> tuple[Walker, subprocess.Popen[bytes]]:
    """A project in `folder` whose commands go to a server of its own, which the caller ends."""
    walker = Walker(folder, random.Random(seed), params | {"extensions": ["mine.py"]})
    walker.root.mkdir(parents=True)
    for name in ("workflow", "profiles", "notebooks", "src/robustfront/reporting", "src/robustfront/studies"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(project / name, walker.root / name, ignore=ignore)
    for name in ("Snakefile", "dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(project / name, walker.root)
    binaries = folder / "bin"
    binaries.mkdir()
    address = binaries / "s"
    forward = f"exec {sys.executable} -I -S {HERE / 'command_client.py'} {address}"
    for name in ("snakemake", "dvc", "robustfront", "stand-in"):
        _script(binaries / name, f'{forward} {name} "$@"')
    take = 'test "$1" = -P && shift; test "$1" = -m && shift && name="$1" && shift'
    _script(binaries / "python", f'{take} && {forward} "$name" "$@"')
    profile = yaml.safe_load((project / "profiles" / "default" / "config.yaml").read_text())
    profile |= {"cores": 2, "scheduler": "greedy", "config": [f"command={binaries / 'stand-in'}"]}
    (walker.root / "profiles" / "walk").mkdir()
    (walker.root / "profiles" / "walk" / "config.yaml").write_text(yaml.safe_dump(profile))
    (folder / "gitconfig").write_text("[user]\nname = a\nemail = a@b.c\n[init]\ndefaultBranch = main\n")
    server = subprocess.Popen(
        [sys.executable, HERE / "engine_server.py", address],
        env=walker.environment | {"PYTHONPATH": f"{HERE}:{HERE.parent}:{project / 'src'}"},
    )
    deadline = time.monotonic() + 120
    while not address.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the engine server did not start")
        time.sleep(0.1)
    walker.write()
    walker.git("init", "--quiet")
    walker.dvc("init", "--quiet")
    walker.dvc("config", "core.analytics", "false")
    walker.dvc("remote", "add", "--default", "store", str(folder / "remote"))
    return walker, server


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
