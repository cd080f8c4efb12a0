"""What GAT and NuAT share: a distance from the clean prediction that guides both the attack and the training.

    x0 = x + Bernoulli noise,  x' = one step of size eps from x0 on  CE(f(x0), y) + a lambda D(f(x), f(x0))
    loss: CE(f(x), y) + lambda D(f(x), f(x'))

with a = 0 in every other batch of an epoch, the first one included, and lambda set anew each epoch. Further
steps of the attack, where there are any, ascend the cross entropy alone (NuAT2).

Paper and code disagree, so both can be had; the code decides, as it made the numbers. `reference: train`
takes f(x) in the attack from a forward pass in train mode, which moves the running statistics once more;
`clean_term: adversarial` is Eq. 2 of S004, and not its Algorithm 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from robustfront import attacks, losses
from robustfront.config.quantities import Count, Flag
from robustfront.methods.base import AdversarialParams, Losses, Method, Setting
from robustfront.methods.coefficients import Coefficient
from robustfront.methods.moment import Moment

if TYPE_CHECKING:
    from torch import Tensor

    from robustfront.models import Classifier


class GuidedParams(AdversarialParams):
    weight: Coefficient = Field(description="lambda, in the attack and in the loss")
    weight_classes: Count | None = Field(
        None,
        description="number of classes that `weight` is meant for: with K it is multiplied by that over K; "
        "null: as it is",
    )
    alternate: Flag = Field(
        True, description="the distance guides the attack in every other batch; false: in all"
    )
    reference: Literal["train", "eval"] = Field(
        "train", description="batch norm in the attack's clean forward pass: train (code) or eval"
    )
    clean_term: Literal["clean", "adversarial"] = Field(
        "clean", description="cross entropy of the loss: on x (code, Algorithm 1) or on x' (Eq. 2)"
    )


class Guided(Method):
    """A method with the attack and the loss above; a subclass says what the distance is."""

    params: GuidedParams

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        self.ball = attacks.Ball.of(params.threat, self.model.mean, self.model.std)

    @classmethod
    def units(cls, params: Any) -> float:
        """A clean forward, the attack, and a forward and backward pass of clean and adversarial images."""
        return 1 + 2 * params.attack.steps + 6

    def distance(self, clean: Tensor, logits: Tensor, *, attacking: bool) -> Tensor:
        """D of two batches of logits (B, C), the batch's one number ()."""
        raise NotImplementedError

    def weight(self, at: Moment) -> float:
        """lambda of the step."""
        classes = self.params.weight_classes
        factor = 1 if classes is None else classes / self.model.classes
        return factor * self.params.weight.at(at)

    def guides(self, at: Moment) -> bool:
        """Whether the distance guides the attack of this batch."""
        return not self.params.alternate or at.step % 2 == 1

    def craft(self, x: Tensor, y: Tensor, at: Moment) -> Tensor:
        import torch

        reference = None
        if self.params.reference == "train":
            with torch.no_grad():
                reference = self.model(x)
        self.model.train(self.params.attack_mode == "train")
        return self.attacked(x, y, at, self.model, reference)

    def attacked(
        self, x: Tensor, y: Tensor, at: Moment, guide: Classifier, reference: Tensor | None
    ) -> Tensor:
        """x' of which the first step is made on `guide`, away from its clean logits `reference`.

        None: from those that it has in its present mode.
        """
        import torch

        guide = attacks.stand_in(guide, x)
        attacked = guide if guide is self.model else attacks.stand_in(self.model, x)
        first = attacks.objectives.ce
        weight = self.weight(at) if self.guides(at) else 0.0
        if weight:
            if reference is None:
                with torch.no_grad():
                    reference = guide(x)
            clean = reference

            def first(logits: Tensor, labels: Tensor) -> Tensor:
                distance = self.distance(clean, logits, attacking=True)
                return losses.cross_entropy(logits, labels).mean() + weight * distance

        return attacks.pgd(
            attacked,
            x,
            y,
            self.ball,
            self.params.attack,
            generator=at.generator,
            at_step=lambda step: (attacked, attacks.objectives.ce) if step else (guide, first),
        )

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        assert x_adv is not None
        adversarial, clean = self.model(x_adv), self.model(x)  # in this order: running statistics
        labelled = clean if self.params.clean_term == "clean" else adversarial
        return Losses(
            {
                "clean_loss": losses.cross_entropy(labelled, y).mean(),
                "adversarial_loss": self.weight(at) * self.distance(clean, adversarial, attacking=False),
            },
            clean_logits=clean,
            adversarial_logits=adversarial,
        )
