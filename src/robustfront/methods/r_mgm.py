"""R-MGM, a regulariser for single-step training, by the nearest public code of the same lab, SAT-R1.

No repository is called R-MGM; docs/reproduction/nuat.md says what is taken from which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from robustfront import attacks, losses
from robustfront.config.quantities import Count, NonNegative
from robustfront.config.schema import Ascent, Config
from robustfront.methods.base import AdversarialParams, Losses, Method, Setting, register
from robustfront.methods.moment import Moment

if TYPE_CHECKING:
    from torch import Tensor


class RMGMParams(AdversarialParams):
    weight: NonNegative = Field(0.2, description="of the squared distance between the two attacks' logits")
    probe_steps: Count = Field(3, description="steps of eps / steps of the attack on a batch's last image")


@register("r_mgm", source="Vivek & Babu 2020, CVPR", label=lambda p: f"r-mgm-l{p.weight:g}")
class RMGM(Method):
    """Cross entropy of single-step images, and one image's logits as those of a multi-step attack on it.

    The one image is the batch's last one. All are attacked in eval mode and trained on in one forward pass.
    """

    Params: ClassVar[type[Config]] = RMGMParams

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        self.ball = attacks.Ball.of(params.threat, self.model.mean, self.model.std)

    @classmethod
    def units(cls, params: Any) -> float:
        """Attack and training pass; the one image more is left out."""
        return 2 * params.attack.steps + 3

    def craft(self, x: Tensor, y: Tensor, at: Moment) -> Tensor:
        """x' of the batch and, after them, that of the last image by more steps: (B + 1, C, H, W)."""
        import torch

        self.model.train(self.params.attack_mode == "train")
        attacked, steps = attacks.stand_in(self.model, x), self.params.probe_steps
        probe = Ascent(steps=steps, step_size=self.ball.threat.eps / steps, start="none")
        x_adv = attacks.pgd(attacked, x, y, self.ball, self.params.attack, generator=at.generator)
        last = attacks.pgd(attacked, x[-1:], y[-1:], self.ball, probe, generator=at.generator)
        return torch.cat([x_adv, last])

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        assert x_adv is not None
        logits = self.model(x_adv)
        trained, probed = logits[:-1], logits[-1]
        return Losses(
            {
                "adversarial_loss": losses.cross_entropy(trained, y).mean(),
                "regulariser": self.params.weight
                * losses.squared_norm((losses.widen(trained[-1]) - losses.widen(probed))[None]).sum(),
            },
            adversarial_logits=trained,
        )
