"""Spectral normalisation: layers without large singular values after every epoch, whatever the method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from robustfront.models import Classifier, spectra

if TYPE_CHECKING:
    from robustfront.config.schema import Training


@dataclass(frozen=True)
class SpectralLimiter:
    """Lowers the singular values of convolutions and linear layers to `limit`.

    Once an epoch, as Sedghi et al. 2019, section 4, do; the optimiser's momentum is left alone. `grids`: name
    of a layer -> the pixels that it sees, as `spectra.Layer` has it.
    """

    limit: float
    grids: dict[str, spectra.Grid | None]

    @classmethod
    def of(cls, model: Classifier, training: Training, images: Tensor) -> SpectralLimiter | None:
        """That of `training`, if it has one, for images (N, C, H, W)."""
        if training.spectral_limit is None:
            return None
        image = torch.zeros((1, *images.shape[1:]), device=model.mean.device)
        return cls(
            training.spectral_limit, {layer.name: layer.grid for layer in spectra.layers(model, image)}
        )

    def __call__(self, model: Classifier) -> dict[str, float]:
        """Changes `model` in place.

        Returns columns of history.csv: the largest singular value of any layer before and after, which is
        above the limit by what cutting the kernels to their size brings back; log10 of the product of norms.
        """
        found = spectra.limit_layers(model, self.grids, self.limit)
        return {
            "spectral_norm_before_limit": found.before,
            "spectral_norm": found.after,
            "spectral_norm_log10_product": found.log10_product,
        }
