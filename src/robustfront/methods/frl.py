"""FRL, fair robust learning (Xu et al. 2021): TRADES with class weights, Reweight, and class radii, Remargin.

`class_balance` says how weights and radii follow the validation errors. The paper leaves settings to its code
(fair_robust), whose last version is followed here; docs/reproduction/frl.md lists what S000 leaves open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from robustfront import losses
from robustfront.config.quantities import Positive
from robustfront.config.schema import Config
from robustfront.methods import parts
from robustfront.methods.base import Losses, register
from robustfront.methods.class_balance import BalanceParams, ClassBalanced, weighted_mean
from robustfront.methods.moment import Moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from robustfront.config.schema import Ascent, Threat


class FRLParams(BalanceParams):
    margin_step: Positive = Field(
        0.25,
        description="remargin: attack step as a share of the largest radius of any class; replaces "
        "attack.step_size",
    )


def _label(params: FRLParams) -> str:
    switches = {"rw": params.reweight, "rm": params.remargin}
    suffix = "" if all(switches.values()) else "".join(f"-{name}" for name, used in switches.items() if used)
    return f"frl{suffix}-b{params.beta:g}"


def _stepping(ascent: Ascent, step_size: float) -> Ascent:
    return ascent.model_copy(update={"step_size": step_size})


@register("frl", source="Xu et al. 2021, arXiv 2010.06121", label=_label)
class FRL(ClassBalanced):
    """FRL + Reweight + Remargin: TRADES whose class weights and radii even out the errors of the classes.

    Loss: sum(w_clean CE(x)) / sum(w_clean) + beta sum(w_boundary KL(p(x) || p(x'))) / sum(w_boundary) over
    the batch, each image having the weights of its class; x' ascends the KL divergence within the radius of
    its class. With both parts switched off it is TRADES.
    """

    Params: ClassVar[type[Config]] = FRLParams
    params: FRLParams

    @classmethod
    def units(cls, params: Any) -> float:
        return parts.generation_units("trades", params.attack.steps) + parts.outer_units("trades")

    @classmethod
    def ascents(cls, params: Any, judged: Threat | None) -> Mapping[str, tuple[Ascent, Threat]]:
        found = dict(super().ascents(params, judged))
        if params.remargin:  # while all radii are eps
            ascent, threat = found.pop("attack")
            found["margin_step"] = _stepping(ascent, params.margin_step * threat.eps), threat
        return found

    def _apply_multipliers(self) -> None:
        super()._apply_multipliers()
        self.ascent = self.params.attack
        if self.params.remargin:
            largest = self.params.threat.eps * float(self.eps_factors.max())
            self.ascent = _stepping(self.ascent, self.params.margin_step * largest)

    def craft(self, x: Tensor, y: Tensor, at: Moment) -> Tensor:
        return parts.generate(
            "trades",
            self.model,
            x,
            y,
            ball=self.ball.scaled(self.eps_factors[y]),
            ascent=self.ascent,
            mode=self.params.attack_mode,
            generator=at.generator,
        )

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        assert x_adv is not None
        clean, adversarial = self.model(x), self.model(x_adv)
        cross_entropy = losses.cross_entropy(clean, y)
        divergence = losses.kl_divergence(clean, adversarial)
        return Losses(
            {
                "clean_loss": weighted_mean(cross_entropy, self.clean_weights[y]),
                "adversarial_loss": self.params.beta * weighted_mean(divergence, self.boundary_weights[y]),
            },
            clean_logits=clean,
            adversarial_logits=adversarial,
        )
