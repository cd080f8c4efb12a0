"""Jobs that are killed at random moments and started again, and what must be the same in the end.

`python tests/soak/soaking.py --seed 0` soaks them all and prints a line per job.
"""

import argparse
import contextlib
import csv
import gzip
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import small_params
import small_project
from robustfront.config.identity import index_id
from robustfront.config.yaml_loader import load_yaml
from robustfront.evaluation.session import evaluate_run
from robustfront.planning.files import evaluation_files
from small_project import Project
from study_files import write_yaml

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CLOCK = {"seconds", "validation_seconds", "images_per_second"}
"""Columns of history.csv and keys of summaries that hold wall-clock time."""


# ------------------------------------------------------------------------------------------ the project
def prepared(folder: Path) -> Project:
    """The small project, its standard model trained, with AutoAttack, an analysis and a report."""
    folder.mkdir()
    small_project.build(folder)
    content = small_project.params()
    defaults = content["defaults"]
    defaults["suites"]["quick"]["attacks"]["aa"] = {"kind": "autoattack"}
    defaults["suites"]["quick"] |= {"samples": {"aa": 6}, "batch_size": 4, "threat": {"eps": 0.12}}
    defaults["suites"] = {"quick": defaults["suites"]["quick"]}
    defaults["analyses"] = {
        "surfaces": {"kind": "landscape", "runs": ["st"], "span": 0.1, "images": 4, "points": 31}
    }
    content["datasets"]["mnist"]["splits"] = {"validation": 20, "test": "official"}
    content["scales"]["tiny"]["datasets"] = ["digits", "mnist"]
    small_params.write(folder, content)
    own_study(folder / "mine")
    raw_files(folder / "mirror")
    project = Project(folder)
    run = project.plan.runs[digits_run(project, "st")]
    clean = project.plan.studies["mine"].wanted(run.id)
    evaluate_run(run, clean, index_id(clean), project.layout, "cpu")
    return project


def own_study(folder: Path) -> None:
    """One more study: its folder has a report of two tables that take their time."""
    folder.mkdir()
    content = small_project.params()
    suite = {"threat": {"eps": 0.1}, "attacks": {}, "masking": False}
    scale = content["defaults"] | {"datasets": ["digits"], "suites": {"clean": suite}}
    own = {"runs": {"st": content["runs"]["st"]}, "scales": {"tiny": scale}}
    write_yaml(folder / "params.yaml", own)
    (folder / "report.py").write_text(REPORT)
    shared = load_yaml(folder.parent / "params.yaml")
    write_yaml(folder.parent / "params.yaml", shared | {"studies": [*shared["studies"], folder.name]})


REPORT = """
import time
from robustfront.reporting.default import table
from robustfront.reporting.sections import TableSection


def slow(results):
    time.sleep(1)
    return table(results)


SECTIONS = [TableSection(name, name, slow) for name in ("one", "two")]
"""


def raw_files(folder: Path) -> None:
    """MNIST's four files with few images of noise, which gzip cannot shrink."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for part, count in (("train", 800), ("t10k", 200)):
        images = generator.integers(0, 256, (count, 28, 28), np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            content = gzip.compress(header + array.tobytes(), mtime=0)
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(content)


def serve(folder: Path) -> ThreadingHTTPServer:
    """An HTTP server of the folder's files that knows ranges and takes its time."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = (folder / self.path.strip("/")).read_bytes()
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
            start = int(asked[1]) if asked else 0
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            for position in range(start, len(content), 16384):
                self.wfile.write(content[position : position + 16384])
                time.sleep(0.04)

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(OSError):  # the client was killed
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


DOWNLOAD = """
import json, os, sys
from robustfront.cli import main
from robustfront.config.datasets.base import File, Source
from robustfront.config.datasets.mnist import MNIST
files = tuple(File(*fields) for fields in json.loads(os.environ["FILES"]))
MNIST.official = Source((os.environ["MIRROR"],), files)
main()
"""


# --------------------------------------------------------------------------------------------- the jobs
@dataclass
class Job:
    """A verb, what it leaves behind, and how that is made comparable."""

    name: str
    words: Callable[[Project], list[str]]
    outputs: Callable[[Project], list[Path]]


def mnist_id(project: Project) -> str:
    return next(id for id in project.plan.datasets if id.startswith("mnist"))


def digits_run(project: Project, name: str) -> str:
    return next(
        id for id, run in project.plan.runs.items() if run.is_called(name) and id.startswith("digits")
    )


def training(name: str) -> Job:
    def outputs(project: Project) -> list[Path]:
        folder = project.layout.run(digits_run(project, name))
        return [folder / "model.safetensors", folder / "history.csv"]

    return Job(f"train {name}", lambda project: ["train", digits_run(project, name)], outputs)


def _evaluation_outputs(project: Project) -> list[Path]:
    run = digits_run(project, "st")
    wanted = project.plan.evaluations[run].items()
    files = [file for key, found in wanted for file in evaluation_files(project.layout, run, key, found)]
    return [*files, project.layout.evaluation(run, project.plan.index(run)).with_suffix(".json")]


def _analysis_outputs(project: Project) -> list[Path]:
    (analysis,) = project.plan.analyses
    stem = project.layout.analysis(digits_run(project, "st"), analysis)
    return [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("safetensors", "json")]


def _report_outputs(project: Project) -> list[Path]:
    """Its tables; the page shows times."""
    return [project.folder / "reports" / "mine" / "tables" / f"{name}.csv" for name in ("one", "two")]


JOBS = [
    training("npgd-long"),
    training("npda-long"),
    Job("evaluate", lambda p: ["evaluate", digits_run(p, "st")], _evaluation_outputs),
    Job("analyse", lambda p: ["analyse", digits_run(p, "st"), *p.plan.analyses], _analysis_outputs),
    Job("report", lambda p: ["report", "mine"], _report_outputs),
    Job(
        "download",
        lambda p: ["data", mnist_id(p), "--raw", "raw"],
        lambda p: [p.layout.dataset(mnist_id(p)) / "images.safetensors"],
    ),
]


def comparable(path: Path) -> str:
    """A digest of the file without wall-clock times; binary files as they are, byte for byte."""
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            rows = [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(file)]
        return json.dumps(rows)
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        content.get("checksums", {}).pop(path.name, None)  # of the times, too
        return json.dumps({key: value for key, value in content.items() if key not in CLOCK}, sort_keys=True)
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ------------------------------------------------------------------------------------------ the killing
@dataclass
class Tally:
    """Of one job: kills while it was at work, by signal; rounds that ended alike, and those that did not."""

    kills: dict[str, int] = field(default_factory=dict)
    rounds: int = 0
    identical: int = 0

    @property
    def killed(self) -> int:
        return sum(self.kills.values())


class Soak:
    """The same jobs again and again on copies of one project; `seed` decides when they are killed by what."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.origin = prepared(folder / "origin")
        self.server = serve(self.origin.folder / "mirror")
        self.references: dict[str, tuple[float, list[str]]] = {}
        self.copies = 0

    def copy(self) -> Project:
        self.copies += 1
        return Project(Path(shutil.copytree(self.origin.folder, self.folder / f"copy-{self.copies}")))

    def start(self, job: Job, project: Project) -> subprocess.Popen[str]:
        # no `-m`: the download needs its own mirror
        mirror = sorted((self.origin.folder / "mirror").iterdir())
        files = [
            (file.name, hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size) for file in mirror
        ]
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "NO_PROXY": "127.0.0.1",
            "FILES": json.dumps(files),
            "MIRROR": f"http://127.0.0.1:{self.server.server_port}/",
        }
        return subprocess.Popen(
            [sys.executable, "-c", DOWNLOAD, *job.words(project)],
            cwd=project.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, job: Job, project: Project) -> None:
        process = self.start(job, project)
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, f"{job.name}: exit code {process.returncode}\n{output}"
        leftovers = [path for path in project.folder.rglob(".*") if path.is_file() and path.name != ".lock"]
        assert not leftovers, f"{job.name} left {leftovers}"
        assert not [*project.layout.checkpoints.glob("*")], "its checkpoints were not removed"

    def reference(self, job: Job) -> tuple[float, list[str]]:
        """How long the job takes undisturbed, and what it leaves."""
        if job.name not in self.references:
            project = self.copy()
            began = time.monotonic()
            self.finish(job, project)
            duration = time.monotonic() - began
            self.references[job.name] = duration, [comparable(path) for path in job.outputs(project)]
        return self.references[job.name]

    def round(self, job: Job, tally: Tally, kills: int, number: signal.Signals | None = None) -> None:
        """Kills the job up to `kills` times on one copy of the project, then lets it finish."""
        duration, expected = self.reference(job)
        project = self.copy()
        for _ in range(kills):
            chosen = number or self.random.choice(SIGNALS)
            process = self.start(job, project)
            try:
                output, _ = process.communicate(timeout=self.random.uniform(0.3, 0.9) * duration)
            except subprocess.TimeoutExpired:
                process.send_signal(chosen)
                output, _ = process.communicate(timeout=600)
                tally.kills[chosen.name] = tally.kills.get(chosen.name, 0) + 1
                allowed = {0, -chosen} if chosen == signal.SIGKILL else {0, 75, 130, -chosen}
                told = f"{job.name}, {chosen.name}: exit code {process.returncode}\n{output}"
                assert process.returncode in allowed, told
                assert "Traceback" not in output or process.returncode == -chosen, told
            else:
                break  # it was faster than its reference
            # What is there under a final name is whole, whether or not the job came to its end.
            for path, right in zip(job.outputs(project), expected, strict=True):
                assert not path.exists() or comparable(path) == right, f"{path} is not what it should be"
        self.finish(job, project)
        tally.rounds += 1
        tally.identical += [comparable(path) for path in job.outputs(project)] == expected
        shutil.rmtree(project.folder)


def soak(folder: Path, seed: int, kills: int) -> dict[str, Tally]:
    """Kills every job `kills` times, on any copy at most three times."""
    soaking, tallies = Soak(folder, seed), {}
    for job in JOBS:
        tally = tallies[job.name] = Tally()
        while tally.killed < kills:
            soaking.round(job, tally, min(3, kills - tally.killed))
        kinds = ", ".join(f"{count} {name}" for name, count in sorted(tally.kills.items()))
        print(
            f"{job.name:16} {tally.killed:3} kills ({kinds}), "
            f"{tally.identical} of {tally.rounds} rounds ended with identical files",
            flush=True,
        )
    return tallies


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=6, help="of each job")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        soak(Path(temporary), arguments.seed, arguments.kills)
