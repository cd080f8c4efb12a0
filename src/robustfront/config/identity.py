"""Identity: the hash of a resolved config. Equal configs have equal ids, on any machine, later on too.

What is hashed is a config's `content`: its values without those that are as they were before their field
existed (`lasting`). So a field that is added changes no id.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from robustfront.config.analyses import Analysis
from robustfront.config.evaluations import Evaluation
from robustfront.config.lasting import Config, content, restored
from robustfront.config.quantities import path_part
from robustfront.config.schema import Dataset, Run

__all__ = [
    "analysis_id",
    "content",
    "dataset_id",
    "digest",
    "evaluation_id",
    "index_id",
    "restored",
    "run_digest",
]


def digest(value: dict[str, Any], length: int = 8) -> str:
    """First `length` hex digits of the SHA-256 of its JSON with sorted keys and shortest floats."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def dataset_id(dataset: Dataset) -> str:
    """Identity of the stored images: their files and splits, not what is done to them in training."""
    images = {key: value for key, value in _identity(dataset).items() if key not in _TRAINING_ONLY}
    return f"{dataset.name}-{digest(images)}"


def evaluation_id(evaluation: Evaluation) -> str:
    """Identity of one attack, on whichever run. Names that users give to attacks and outcomes are no part."""
    attack = evaluation.attack
    decisive = content(evaluation) | {"attack": attack.identity}
    if not (attack.draws_by_batch or evaluation.whole_batches):
        del decisive["batch_size"]
    return f"{path_part(attack.label)}-{digest(decisive, 6)}"


def index_id(evaluation_ids: Iterable[str]) -> str:
    """Identity of a list of evaluations, in whatever order."""
    return f"index-{digest({'evaluations': sorted(evaluation_ids)}, 6)}"


def analysis_id(name: str, analysis: Analysis, rank_tolerance: float) -> str:
    """Identity of what is computed, on whichever runs; the tolerance decides which null space is meant."""
    computed = {key: value for key, value in content(analysis).items() if key != "runs"} | _DRAWN
    if analysis.needs_start:
        computed["rank_tolerance"] = rank_tolerance
    return f"{name}-{digest(computed, 6)}"


def run_digest(run: Run, params: Config) -> str:
    """Hash of everything that decides the weights. `params` are the run's, as their method's own model."""
    return digest(content(run) | {"params": content(params), "dataset": _identity(run.dataset)})


_DRAWN = {"subset": "stratified"}
"""How a part of the test images is chosen. Once it was the first so many, under other ids."""

_TRAINING_ONLY = {"name", "normalisation", "augmentation"}


def _identity(dataset: Dataset) -> dict[str, Any]:
    """Without the place of files that a checksum pins."""
    found = content(dataset)
    if not dataset.of_the_user or dataset.checksums is not None:
        del found["path"]
    return found | (_DRAWN if dataset.splits.test_limit is not None else {})
