"""Adversarial weight perturbation (Wu et al. 2020): trained where the weights are worst nearby."""

from typing import Any

from small_trainings import ATTACK

from robustfront.methods.adversarial import PGDAT
from robustfront.methods.base import AdversarialParams, Setting
from robustfront.methods.perturbation import perturbed
from robustfront.models import Classifier


class AWP(PGDAT):
    """PGD-AT whose gradients are taken at w + gamma |w| g / |g|, with g the gradient at w, by parameter."""

    gamma: float

    def gradients(self, x, y, at):
        x_adv = at.crafted(self.craft, x, y)
        with perturbed(self.model, self._worst(x, x_adv, y, at)):
            with at.forward():
                losses = self.losses(x, x_adv, y, at)
            self.combine(losses, at)
        return losses

    def _worst(self, x, x_adv, y, at):
        weights = {name: value for name, value in self.model.named_parameters() if value.ndim > 1}
        with at.forward():
            loss = self.losses(x, x_adv, y, at).total
        found = at.gradients(loss, list(weights.values()))
        pairs = zip(weights.items(), found, strict=True)
        return {
            name: self.gamma * weight.norm() / g.norm().clamp_min(1e-12) * g for (name, weight), g in pairs
        }


def method(model: Classifier, strength: float) -> AWP:
    params: Any = AdversarialParams.model_validate({"threat": {"eps": 0.1}, "attack": ATTACK})
    made = AWP(params, Setting(model))
    made.gamma = 0.2 * strength
    return made
