"""An attack whose steps alternate between the network and an average of its weights, as in NuAT2-WA."""

from typing import Any

from small_trainings import ATTACK

from robustfront import attacks
from robustfront.methods.adversarial import PGDAT
from robustfront.methods.base import AdversarialParams, Average, Setting
from robustfront.models import Classifier


class AveragedAttack(PGDAT):
    use: bool

    @classmethod
    def averages(cls, params):
        return {"slow": Average(0.9, ramp=10, start=1, buffers="averaged")}

    def craft(self, x, y, at):
        self.model.eval()
        networks = (self.model, at.averages["slow"] if self.use else self.model)
        return attacks.pgd(
            self.model,
            x,
            y,
            self.ball,
            self.params.attack,
            generator=at.generator,
            at_step=lambda step: (attacks.stand_in(networks[step % 2], x), attacks.objectives.ce),
        )


def method(model: Classifier, strength: float) -> AveragedAttack:
    given = {"threat": {"eps": 0.1}, "attack": ATTACK | {"steps": 3}}
    params: Any = AdversarialParams.model_validate(given)
    made = AveragedAttack(params, Setting(model))
    made.use = strength > 0
    return made
