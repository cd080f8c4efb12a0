"""What an analysis is given, and what several of them do with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from robustfront.config.registry import resolve
from robustfront.data.splits import subset
from robustfront.errors import ConfigError

if TYPE_CHECKING:
    from robustfront.attacks.engine import FeatureGradient
    from robustfront.config.analyses import AnalysisConfig
    from robustfront.data.store import Split
    from robustfront.models import Classifier
    from robustfront.models.nullspace import NullSpace

Result = tuple[dict[str, Tensor], dict[str, Any]]
"""Arrays by name, and facts."""


@dataclass(frozen=True)
class Subject:
    """What an analysis looks at: a trained model, test images and, if it asks, what the run started from.

    `train`: the training images without augmentation, for an analysis that `needs_train`.

    All are on one device; models are in eval mode.
    """

    model: Classifier
    test: Split
    start: Classifier | None = None
    null_space: NullSpace | None = None
    train: Split | None = None

    def started(self) -> tuple[Classifier, NullSpace]:
        """What the run started from, and the null space of its head. ConfigError if it started from none."""
        if self.start is None or self.null_space is None:
            raise ConfigError(
                "this analysis compares a run with the one it starts from; give the run an `init`"
            )
        return self.start, self.null_space

    def chosen(self, count: int, seed: int) -> Split:
        """`count` test images: of all classes, and the same for every model."""
        return drawn(self.test, count, seed)


def drawn(split: Split, count: int, seed: int) -> Split:
    """`count` images of a split, or all: with the shares of the classes, the same for every model."""
    chosen = torch.from_numpy(subset(split.labels.cpu().numpy(), count, seed)).to(split.labels.device)
    return replace(
        split, images=split.images[chosen], labels=split.labels[chosen], indices=split.indices[chosen]
    )


def analyse(subject: Subject, analysis: AnalysisConfig) -> Result:
    """Arrays (float32, except labels) and facts of one analysis; the function it names says which."""
    found: Result = resolve(analysis.made_by, type(analysis))(subject, analysis)
    return found


def attacks_by_name(space: NullSpace) -> dict[str, FeatureGradient | None]:
    """What is done to dL/dh: nothing, or NPDA's projection."""
    return {"plain": None, "projected": space.project}


@torch.no_grad()
def logits_of(model: Classifier, features: Tensor) -> Tensor:
    logits: Tensor = model.head(features.to(model.head.weight))
    return logits


def single(arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    """float64 arrays as float32: nothing drawn or compared needs more."""
    return {name: array.float() if array.dtype == torch.float64 else array for name, array in arrays.items()}
