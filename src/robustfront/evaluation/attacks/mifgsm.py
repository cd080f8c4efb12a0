"""MI-FGSM on all images of an evaluation."""

import torch
from torch import Tensor

from robustfront.attacks import frozen, input_gradient
from robustfront.attacks.draws import ByPosition
from robustfront.config.attacks import FINAL
from robustfront.config.attacks.mifgsm import MIFGSMEvaluation
from robustfront.evaluation.target import Target


def attack(settings: MIFGSMEvaluation, on: Target) -> dict[str, Tensor]:
    """The final outcome -> x' (N, C, H, W), by Dong et al. 2018, Algorithm 1; in l2 steps along the sum."""

    def perturb(x: Tensor, labels: Tensor, generator: ByPosition) -> Tensor:
        x_adv, total = on.ball.start(x, settings.ascent, generator), torch.zeros_like(x)
        for _ in range(settings.steps):
            gradient = input_gradient(on.model, x_adv, labels)
            size = (on.ball.scale * gradient).abs().sum(dim=(1, 2, 3), keepdim=True)
            total = settings.decay * total + gradient / torch.where(size > 0, size, 1)
            x_adv = on.ball.project(on.ball.step(x_adv, total, settings.step_size), x)
        return x_adv[None]

    with frozen(on.model):
        return on.by_image(perturb, (FINAL,))
