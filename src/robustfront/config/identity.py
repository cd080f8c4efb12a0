"""Identity: the hash of a resolved config. Equal configs have equal ids, on any machine."""

import hashlib
import json
from typing import Any

from robustfront.config.analyses import Analysis
from robustfront.config.schema import Dataset, Run, Suite


def digest(value: dict[str, Any], length: int = 8) -> str:
    """First `length` hex digits of the SHA-256 of its JSON with sorted keys and shortest floats."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def dataset_id(dataset: Dataset) -> str:
    """Identity of the stored images: their files and splits, not what is done to them in training."""
    images = {key: value for key, value in _identity(dataset).items() if key not in _TRAINING_ONLY}
    return f"{dataset.name}-{digest(images)}"


def suite_id(suite: Suite) -> str:
    """Identity of what is attacked how; the order of the attacks changes no result."""
    return f"{suite.name}-{digest(suite.model_dump(mode='json', exclude={'name'}) | _DRAWN, 6)}"


def analysis_id(name: str, analysis: Analysis, rank_tolerance: float) -> str:
    """Identity of what is computed, on whichever runs; the tolerance decides which null space is meant."""
    content = analysis.model_dump(mode="json", exclude={"runs"}) | _DRAWN
    if analysis.needs_start:
        content["rank_tolerance"] = rank_tolerance
    return f"{name}-{digest(content, 6)}"


def run_digest(run: Run) -> str:
    """Hash of everything that decides the weights."""
    return digest(run.model_dump(mode="json", exclude={"dataset"}) | {"dataset": _identity(run.dataset)})


_DRAWN = {"subset": "stratified"}
"""How a part of the test images is chosen. Once it was the first so many, under other ids."""

_TRAINING_ONLY = {"name", "normalisation", "augmentation"}


def _identity(dataset: Dataset) -> dict[str, Any]:
    """Without the published column shown beside ours, and without the place of files that a checksum pins."""
    pinned = dataset.source != "npz" or dataset.checksums is not None
    content = dataset.model_dump(mode="json", exclude={"published_as", *(("path",) if pinned else ())})
    return content | (_DRAWN if dataset.splits.test_limit is not None else {})
