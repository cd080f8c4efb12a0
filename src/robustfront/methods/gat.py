"""Guided adversarial training (Sriramanan et al. 2020): the distance is the squared one of softmaxes.

GAT-WA is this with `training.ema`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from robustfront import losses
from robustfront.config.schema import Config
from robustfront.methods.base import register
from robustfront.methods.coefficients import Coefficient
from robustfront.methods.guided import Guided, GuidedParams

if TYPE_CHECKING:
    from torch import Tensor


class GATParams(GuidedParams):
    weight: Coefficient = Coefficient(knots=((0, 10), (0.86, 10), (0.86, 40)))


@register("gat", source="Sriramanan et al. 2020, arXiv 2011.14969")
class GAT(Guided):
    """GAT: clean cross entropy plus lambda |p(x) - p(x')|^2, which the single-step attack ascends as well."""

    Params: ClassVar[type[Config]] = GATParams

    def distance(self, clean: Tensor, logits: Tensor, *, attacking: bool) -> Tensor:
        return losses.squared_distance(clean, logits).mean()
