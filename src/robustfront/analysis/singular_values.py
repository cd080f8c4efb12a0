"""Singular values of the layers of a network, by both conventions that papers use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from robustfront.analysis.subject import Result, Subject
from robustfront.data.augment import to_float
from robustfront.models import spectra

if TYPE_CHECKING:
    from robustfront.config.analyses.singular_values import SingularValuesAnalysis


def analyse(subject: Subject, wanted: SingularValuesAnalysis) -> Result:
    """`circular`: of convolutions as they act on their grid of pixels (Sedghi et al. 2019); `reshaped`: of
    the kernel as a matrix (outputs, inputs * height * width). A linear layer is the same in both.

    Arrays per layer, in the order in which an image meets them, float64: `<convention>.std`, of all singular
    values of the layer (population), `.mean`, `.largest`, `.smallest`. Facts: `layers`, their names;
    `convolution`: whether each is one; `grids`; `log10_product` of the largest ones, by convention.
    """
    found = spectra.layers(subject.model, to_float(subject.test.images[:1]))
    by_convention = {
        "circular": [layer.singular_values() for layer in found],
        "reshaped": [spectra.reshaped(layer.weight) for layer in found],
    }
    arrays: dict[str, Tensor] = {}
    facts: dict[str, Any] = {
        "layers": [layer.name for layer in found],
        "convolution": [layer.grid is not None for layer in found],
        "grids": [list(layer.grid) if layer.grid else None for layer in found],
        "log10_product": {},
    }
    for convention, values in by_convention.items():
        arrays |= {
            f"{convention}.std": torch.stack([each.std(correction=0) for each in values]),
            f"{convention}.mean": torch.stack([each.mean() for each in values]),
            f"{convention}.largest": torch.stack([each[0] for each in values]),
            f"{convention}.smallest": torch.stack([each[-1] for each in values]),
        }
        largest = arrays[f"{convention}.largest"].clamp(min=1e-300)  # a layer may be zero
        facts["log10_product"][convention] = largest.log10().sum().item()
    return arrays, facts
