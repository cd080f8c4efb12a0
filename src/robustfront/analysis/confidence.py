"""How sure a network is of single images, and on which side of the decision boundary they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from robustfront import losses
from robustfront.analysis.subject import Result, Subject, drawn, single
from robustfront.attacks.objectives import margin
from robustfront.data.augment import to_float

if TYPE_CHECKING:
    from robustfront.config.analyses.confidence import ConfidenceAnalysis
    from robustfront.data.store import Split
    from robustfront.models import Classifier


def analyse(subject: Subject, wanted: ConfidenceAnalysis) -> Result:
    """Of clean images, per split `test` and `train`.

    Arrays per image: `<split>.margins`, the logit of the class less the largest other one (S003, Definition
    3); `<split>.probabilities` of the class; `<split>.losses`, cross entropy; `<split>.labels`. Facts of each
    split: `images`, `accuracy`, `loss`, and of the margins `mean`, `std`, `skewness`.
    """
    assert subject.train is not None
    arrays: dict[str, Tensor] = {}
    facts: dict[str, Any] = {}
    for name, split in {"test": subject.test, "train": subject.train}.items():
        shown = drawn(split, wanted.images, wanted.seed)
        found = _confidence(subject.model, shown, wanted.batch_size)
        arrays |= {f"{name}.{key}": values for key, values in found.items()}
        arrays[f"{name}.labels"] = shown.labels
        margins = found["margins"]
        centred = margins - margins.mean()
        std = centred.square().mean().sqrt()
        facts[name] = {
            "images": len(margins),
            "accuracy": (margins > 0).double().mean().item(),
            "loss": found["losses"].mean().item(),
            "mean": margins.mean().item(),
            "std": std.item(),
            "skewness": (centred / std.clamp(min=1e-300)).pow(3).mean().item(),
        }
    return single(arrays), facts


@torch.no_grad()
def _confidence(model: Classifier, split: Split, batch_size: int) -> dict[str, Tensor]:
    """float64 values by name."""
    logits = [model(to_float(images)).double() for images in split.images.split(batch_size)]
    of_all = torch.cat(logits)
    entropy = losses.cross_entropy(of_all, split.labels)
    return {"margins": -margin(of_all, split.labels), "losses": entropy, "probabilities": (-entropy).exp()}
