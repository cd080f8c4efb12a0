"""One network for many trade-offs (Wang et al. 2020): lambda, told to the network, weighs the two losses."""

from typing import Any

import torch
from small_trainings import ATTACK, CLASSES
from torch import nn

from robustfront import attacks, losses
from robustfront.attacks.draws import draw
from robustfront.config.images import Normalisation
from robustfront.methods import parts
from robustfront.methods.base import AdversarialParams, Losses, Method, Setting
from robustfront.models import Classifier
from robustfront.models.conditional import Conditional


class Modulated(Conditional):
    """A convolutional network whose channels are scaled by an affine function of lambda, with dropout."""

    usual = 0.5

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__(Normalisation(mean=(0.3,), std=(0.25,)))
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.block = nn.Sequential(
            nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(dropout), nn.Conv2d(8, 8, 3, padding=1)
        )
        self.scales = nn.Linear(1, 8)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, CLASSES)

    def segments(self):
        return [self.block]

    def features_given(self, x, condition):
        h = self.block(self.stem(self.normalise(x)))
        scales = 1 + self.scales(condition[:, None].to(h.dtype))
        return self.norm(h * scales[:, :, None, None]).relu().mean(dim=(2, 3))


class OnceForAll(Method):
    """(1 - lambda) CE(x) + lambda CE(x'), lambda drawn per image; x' attacks the network told that lambda."""

    per_image = True
    strength: float

    def __init__(self, params, setting):
        super().__init__(params, setting)
        self.ball = attacks.Ball.of(params.threat, self.model.mean, self.model.std)

    def condition(self, y, at):
        # later in the training larger ones: a schedule that is a function of the position
        drawn = draw(torch.rand, self.model.mean, at.generator, len(y))
        return self.strength * drawn ** (1 - 0.5 * at.share_done)

    def craft(self, x, y, at):
        told = self.model.given(at.condition)
        settings = {"ball": self.ball, "ascent": self.params.attack, "mode": self.params.attack_mode}
        return parts.generate("pgd", told, x, y, generator=at.generator, **settings)

    def losses(self, x, x_adv, y, at):
        told = self.model.given(at.condition)
        clean, adversarial = told(x), told(x_adv)
        clean_loss = (1 - at.condition) * losses.cross_entropy(clean, y)
        adversarial_loss = at.condition * losses.cross_entropy(adversarial, y)
        found = {"clean_loss": clean_loss.mean(), "adversarial_loss": adversarial_loss.mean()}
        return Losses(found, clean_logits=clean, adversarial_logits=adversarial)


def network(dropout: float = 0.0) -> Classifier:
    torch.manual_seed(0)
    return Modulated(dropout).to(memory_format=torch.channels_last)


def dropping() -> Classifier:
    return network(0.3)


def method(model: Classifier, strength: float) -> OnceForAll:
    params: Any = AdversarialParams.model_validate({"threat": {"eps": 0.1}, "attack": ATTACK})
    made = OnceForAll(params, Setting(model))
    made.strength = strength
    return made
