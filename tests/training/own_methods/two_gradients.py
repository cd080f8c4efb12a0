"""Clean and adversarial gradients that do not undo each other, in the manner of S001."""

from typing import Any

from small_trainings import ATTACK

from robustfront.methods.adversarial import TRADES, BetaParams
from robustfront.methods.base import Setting
from robustfront.models import Classifier


class TwoGradients(TRADES):
    """The adversarial gradient, more of it while its loss is high, and what the clean one has beside it."""

    strength: float

    def combine(self, losses, at):
        clean, adversarial = self.parts_gradients(losses, at).values()
        both = sum((clean[name] * adversarial[name]).sum() for name in clean)
        square = sum(g.square().sum() for g in adversarial.values()).clamp_min(1e-12)
        level = losses.parts["adversarial_loss"].detach().clone()
        at.reduce([level])
        factor = 1 + self.strength * (level - both / square)
        self.write_gradients({name: clean[name] + factor * adversarial[name] for name in clean})


def method(model: Classifier, strength: float) -> TwoGradients:
    given = {"threat": {"eps": 0.1}, "attack": ATTACK, "beta": 1.5}
    params: Any = BetaParams.model_validate(given)
    made = TwoGradients(params, Setting(model))
    made.strength = strength
    return made
