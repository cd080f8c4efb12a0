"""What a GPU machine without a registry lacks: `python -m benchmarks.gpu.bundle FOLDER`.

In one folder, of 64 MiB with the repository: packages, unpacked, of the versions in requirements.lock, and
images of ../shared/data. There, in the folder of the repository: `sh benchmarks/gpu/start.sh FOLDER check`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from benchmarks.images import ROOT

PACKAGES = {
    "requirements.lock": (
        "annotated-types",
        "pyautoattack",
        "pydantic",
        "pydantic-core",
        "ruamel-yaml",
        "typing-extensions",
        "typing-inspection",
    ),
    "requirements-bench.lock": ("eagerpy", "foolbox", "gitdb", "gitpython", "smmap", "torchattacks"),
}
"""What is not beside torch, numpy, pandas, scipy, pyarrow, safetensors, filelock, click and tqdm there."""

LIMIT = 64 * 2**20
TREE = 5 * 2**20
"""Bytes that may travel, and those of the repository."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.12", help="version there (default: 3.12)")
    parser.add_argument("--images", type=int, default=30_000, help="training images (default: 30,000)")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    packages(options.folder / "site", options.python)
    images(options.folder / "images", options.images)
    size = sum(path.stat().st_size for path in options.folder.rglob("*") if path.is_file())
    print(f"{options.folder}: {size / 2**20:.1f} MiB")
    if size + TREE > LIMIT:
        raise SystemExit("with the repository that is more than 64 MiB: take fewer images")


def packages(site: Path, python: str) -> None:
    """Wheels for Linux on x86-64, unpacked; without the example weights that pyautoattack carries."""
    wanted = [f"{name}=={_version(lock, name)}" for lock, names in PACKAGES.items() for name in names]
    with tempfile.TemporaryDirectory() as wheels:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels]
        command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
        for platform in ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"):
            command += ["--platform", platform]
        subprocess.run([*command, *wanted], check=True)
        for wheel in Path(wheels).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site, [name for name in archive.namelist() if "/examples/" not in name])


def images(folder: Path, count: int) -> None:
    """The first so many training images, in files of 10,000, and the test images there are."""
    source = ROOT.parent / "shared" / "data" / "cifar10"
    if not source.is_dir():
        print("no ../shared/data here: no images go along, noise will have to do")
        return
    folder.mkdir(parents=True)
    batches = [f"data_batch_{number}.webp" for number in range(1, count // 10_000 + 1)]
    for name in ("labels.npz", "test_batch.webp", *batches):
        shutil.copy(source / name, folder / name)


def _version(lock: str, name: str) -> str:
    found = re.search(rf"^{name}==([^ ;\\]+)", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{lock}: names no {name}")
    return found[1]


if __name__ == "__main__":
    main()
