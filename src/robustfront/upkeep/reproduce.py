"""`robustfront reproduce RUN_DIR`: a run trained again from its manifest alone, and compared bit by bit."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from robustfront.artefacts import Layout, sha256
from robustfront.checksums import amend, differing, recorded
from robustfront.config.identity import dataset_id, restored
from robustfront.config.schema import Precision, Run
from robustfront.config.yaml_loader import load_yaml
from robustfront.errors import ArtefactError
from robustfront.methods import Methods
from robustfront.planning import PlannedRun
from robustfront.planning.sources import training_code
from robustfront.upkeep.inventory import read_facts

if TYPE_CHECKING:
    import torch

IMAGES, MODEL, MANIFEST = "images.safetensors", "model.safetensors", "manifest.json"
CAUSES = ("sources", "commit", "versions", "arithmetic", "device", "platform")
"""What may be to blame where bits differ; keys of a manifest."""


@dataclass(frozen=True)
class Comparison:
    """One training beside its original; `causes` are the facts that differ, as texts.

    `vouched`: the digest of today's code if the original's manifest has got it just now.
    """

    run: str
    expected: str
    found: str
    causes: list[str]
    vouched: str | None = None

    @property
    def same(self) -> bool:
        return self.expected == self.found

    def __str__(self) -> str:
        if self.same:
            vouched = f"; its manifest vouches for today's code now, sources {self.vouched}"
            return f"{self.run}: identical weights, SHA-256 {self.found}{vouched if self.vouched else ''}"
        blamed = "; ".join(self.causes) or "nothing that the manifest knows of"
        return f"{self.run}: other weights, SHA-256 {self.found}, not {self.expected}; differs: {blamed}"


class _Original:
    """What a run's folder says of how it was made. Older manifests lack the config: config.yaml has it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.results = folder, folder.parent.parent
        self.record = read_facts(folder / MANIFEST)
        if MANIFEST in differing(folder / MANIFEST, self.record):
            raise ArtefactError(f"{folder / MANIFEST}: was edited after it was written; restore the original")
        try:
            self.config = restored(Run, self.record.get("config") or self._written("run"))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(map(str, first["loc"]))
            raise ArtefactError(
                f"{folder / MANIFEST}: config.{key}: {first['msg']}; it is of another version of "
                "robustfront, or needs a file of your own, named by --extension"
            ) from None
        self.id = str(self.record["run"])
        self.record.setdefault("arithmetic", self.config.training.precision)  # there was no choice before

    @property
    def weights(self) -> str:
        return recorded(self.record)[MODEL]

    def input(self, name: str) -> str | None:
        """The checksum of an artefact, by its path below results, that the training read; None if unknown."""
        found: str | None = self.record.get("made_from", {}).get(name)
        return found

    def arithmetic(self, run_id: str, config: Run) -> Precision:
        """What it, or a run it comes from, was computed in.

        Of a run that nothing is left of: the same if its config allows the same, as one decision was made
        for both then; else what its config says.
        """
        path = self.folder.parent / run_id / MANIFEST
        own = self.record if run_id == self.id else read_facts(path) if path.is_file() else {}
        allowed = config.training.precision
        likely = self.record["arithmetic"] if self.config.training.precision == allowed else allowed
        found: Precision = own.get("arithmetic", likely)
        return found

    def ancestors(self) -> dict[str, Run]:
        """The runs it comes from; of older manifests, from the folders beside it."""
        found = {key: restored(Run, of) for key, of in self.record.get("ancestors", {}).items()}
        run = self.config
        while run.init is not None:
            if run.init not in found:
                found[run.init] = _Original(self.folder.parent / run.init).config
            run = found[run.init]
        return found

    def vouch(self, sources: str) -> str | None:
        """Notes that code of another digest makes these weights too; None if the manifest says so already.

        Not of a training that went on where other code had stopped, which no single code made.
        """
        known = list(self.record.get("vouched", []))
        if "+" in sources or sources in (self.record.get("sources"), *known):
            return None
        amend(self.folder / MANIFEST, vouched=[*known, sources])
        return sources

    def _written(self, key: str) -> Any:
        return load_yaml(self.folder / "config.yaml")[key]


class Reproduction:
    """Trainings in a folder of their own, of runs that another folder or a manifest describes."""

    def __init__(self, out: Path, raw: Path, methods: Methods, device: torch.device) -> None:
        self.layout = Layout(out, out / "checkpoints")
        self.raw, self.methods, self.device = raw, methods, device

    def run(self, folder: Path) -> Comparison:
        """Trains the run of `folder` again and compares the weights.

        The data set and the start are taken from beside `folder` if their bytes are those the run was made
        from; otherwise the data set is prepared and the start trained from what the manifest says. A
        reproduction that was stopped goes on. Where the weights are the same though the code is not, today's
        digest is added to those that the original's manifest vouches for.
        ArtefactError if the manifest is missing or altered, or the images cannot be made the same.
        """
        original = _Original(folder)
        made = self._make(original.id, original.config, original)
        found = sha256(self.layout.run(original.id) / MODEL)
        causes = _causes(original.record, made)
        causes += [
            f"its input {name}" for name, of in made["made_from"].items() if original.input(name) != of
        ]
        vouched = original.vouch(made["sources"]) if found == original.weights else None
        return Comparison(original.id, original.weights, found, causes, vouched)

    def _make(self, run_id: str, config: Run, original: _Original) -> dict[str, Any]:
        """Gets or makes what a run needs and trains it; its manifest. One left by other code is made anew."""
        from robustfront.training.session import train

        path = self.layout.run(run_id) / MANIFEST
        if path.is_file() and read_facts(path)["sources"] != training_code(config, self.methods):
            shutil.rmtree(path.parent)
        key = dataset_id(config.dataset)
        self._images(key, config, original)
        if config.init:
            self._start(config.init, original)
        if config.projector:
            self._projector(config)
        names = list(original.record.get("names", [])) if run_id == original.id else []
        planned = PlannedRun(run_id, config, key, names)
        arithmetic = original.arithmetic(run_id, config)
        train(planned, self.methods, self.layout, self.device, arithmetic=arithmetic)
        return read_facts(path)

    def _images(self, key: str, config: Run, original: _Original) -> None:
        from robustfront.data.store import prepare

        name = f"datasets/{key}/{IMAGES}"
        target, source = self.layout.dataset(key), original.results / "datasets" / key
        if _is_usable(source / IMAGES, original.input(name)) and (source / MANIFEST).is_file():
            _copy(source, target, IMAGES, MANIFEST)
        else:
            prepare(config.dataset, self.raw, target)
        if not _is_usable(target / IMAGES, original.input(name)):
            raise ArtefactError(
                f"{target / IMAGES}: not the images that {original.id} was trained on; get its "
                "original files (data/README.md)"
            )

    def _start(self, run_id: str, original: _Original) -> None:
        """The weights that a run starts from, found or trained."""
        source = original.results / "runs" / run_id
        if _is_usable(source / MODEL, original.input(f"runs/{run_id}/{MODEL}")):
            _copy(source, self.layout.run(run_id), MODEL)
        else:
            print(
                f"{run_id}, which the run starts from, is not there as it was: trained too", file=sys.stderr
            )
            self._make(run_id, original.ancestors()[run_id], original)

    def _projector(self, config: Run) -> None:
        from robustfront.models import nullspace, weights

        assert config.init is not None
        assert config.projector is not None
        assert config.rank_tolerance is not None
        head = weights.load_weights(self.layout.run(config.init) / MODEL)["head.weight"]
        nullspace.compute(head, config.rank_tolerance).save(self.layout.projector(config.projector))


def _is_usable(path: Path, expected: str | None) -> bool:
    """Whether the file is there and, as far as that was recorded, has the content it had."""
    return path.is_file() and (expected is None or sha256(path) == expected)


def _copy(source: Path, target: Path, *names: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(source / name, target / name)


def _causes(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    found = []
    for key in CAUSES:
        old, new = then.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += [
                f"{name} {old.get(name)} -> {new.get(name)}"
                for name in sorted({**old, **new})
                if old.get(name) != new.get(name)
            ]
        elif old != new:
            found.append(f"{key} {old} -> {new}")
    return found
