"""NPGD on frozen features: the setting in which Remark 3.1 of S000 holds as its proof has it.

Not a method of the paper but a control: with one and the same h for both models, f_adv - f_std is
(W - W_std) h with the rows of W - W_std in Null(W_std), whatever the training does (see `drift`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from robustfront.config.schema import Config
from robustfront.methods.base import Losses, Setting, register
from robustfront.methods.moment import Moment
from robustfront.methods.npat import NPGD, NPATParams

if TYPE_CHECKING:
    from torch import Tensor


class FrozenParams(NPATParams):
    attack_mode: Literal["eval"] = Field("eval", description="batch norm keeps its running statistics")
    bias: Literal["frozen"] = Field("frozen", description="the head's bias stays, as Eq. 20 has none")


@register(
    "npgd_frozen",
    source="S000 Remark 3.1, Appendix B (a control of ours)",
    label=lambda p: f"npgd-frozen-{p.generator}-b{p.beta:g}",
)
class FrozenNPGD(NPGD):
    """NPGD that trains the head alone: weights and batch-norm statistics below it stay those of the start."""

    Params: ClassVar[type[Config]] = FrozenParams

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        for parameter in self.model.parameters():
            parameter.requires_grad_(parameter is self.model.head.weight)

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        self.model.eval()  # running statistics neither follow the batches nor are replaced by theirs
        return super().losses(x, x_adv, y, at)
