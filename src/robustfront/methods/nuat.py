"""Nuclear norm adversarial training (S004): NuAT, Algorithm 1, and NuAT2, section 5.3.

The distance is the nuclear norm of the (B, C) difference of logits, over the size of a batch. NuAT-WA
(section 5.4) is NuAT with `training.ema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from robustfront import losses
from robustfront.config.quantities import Flag, ProperFraction
from robustfront.config.schema import Config
from robustfront.methods.base import Average, Surroundings, register
from robustfront.methods.coefficients import Coefficient
from robustfront.methods.guided import Guided, GuidedParams
from robustfront.methods.moment import Moment

if TYPE_CHECKING:
    from torch import Tensor

SOURCE = "Sriramanan et al. 2021, NeurIPS 34 (S004)"

Divisor = Literal["batch-size", "images"]
"""`training.batch_size`, for a shorter last batch, too, or the images there are."""


class NuATParams(GuidedParams):
    weight: Coefficient = Coefficient(knots=((0, 0), (0.9, 4.5)))
    divisor: Divisor = Field("batch-size", description="what the norm in the loss is divided by")
    attack_divisor: Divisor = Field("batch-size", description="what the norm in the attack is divided by")


@register("nuat", source=SOURCE)
class NuAT(Guided):
    """NuAT: clean cross entropy plus lambda |f(x) - f(x')|_* / M, which the single-step attack ascends."""

    Params: ClassVar[type[Config]] = NuATParams
    params: NuATParams
    batch_size: int

    def attach(self, surroundings: Surroundings) -> None:
        self.batch_size = surroundings.training.batch_size

    def distance(self, clean: Tensor, logits: Tensor, *, attacking: bool) -> Tensor:
        divisor = self.params.attack_divisor if attacking else self.params.divisor
        by = self.batch_size if divisor == "batch-size" else len(logits)
        return losses.nuclear_norm(clean, logits) / by


class NuAT2Params(NuATParams):
    weight: Coefficient = Coefficient(knots=((0, 0), (1, 4)))
    alternate: Flag = False
    reference: Literal["train", "eval"] = "eval"
    attack_divisor: Divisor = "images"
    guide: ProperFraction | None = Field(
        None,
        description="decay of the average of the weights that the first step attacks (NuAT2-WA: 0.99), from "
        "the second epoch on; null: the network itself",
    )

    @model_validator(mode="after")
    def an_average_has_no_train_mode(self) -> NuAT2Params:
        if self.guide is not None and self.reference == "train":
            raise ValueError("reference: the average is in eval mode; set it to 'eval', or guide to null")
        return self


@register("nuat2", source=SOURCE, label=lambda p: "nuat2" if p.guide is None else "nuat2-wa")
class NuAT2(NuAT):
    """NuAT2: NuAT's step, then one of the cross entropy; NuAT2-WA makes the first on an average."""

    Params: ClassVar[type[Config]] = NuAT2Params
    params: NuAT2Params

    @classmethod
    def averages(cls, params: Any) -> Mapping[str, Average]:
        if params.guide is None:
            return {}
        return {"guide": Average(params.guide, buffers="averaged", begins="first-step")}

    def craft(self, x: Tensor, y: Tensor, at: Moment) -> Tensor:
        if self.params.guide is None or at.epoch == 0:
            return super().craft(x, y, at)
        self.model.train(self.params.attack_mode == "train")
        return self.attacked(x, y, at, at.averages["guide"], None)
