"""Spectral clipping: after each epoch no singular value of the head is above a bound."""

from typing import Any

import torch
from small_trainings import ATTACK

from robustfront.methods.adversarial import PGDAT
from robustfront.methods.base import AdversarialParams, Setting
from robustfront.models import Classifier

BOUND = 0.3


class Clipped(PGDAT):
    bound: float

    @torch.no_grad()
    def end_epoch(self, at):
        weight = self.model.head.weight
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
        weight.copy_(left @ (values.clamp_max(self.bound).unsqueeze(1) * right))


def method(model: Classifier, strength: float) -> Clipped:
    params: Any = AdversarialParams.model_validate({"threat": {"eps": 0.1}, "attack": ATTACK})
    made = Clipped(params, Setting(model))
    made.bound = BOUND if strength else 1e9
    return made
