"""AutoAttack on all images of an evaluation."""

from torch import Tensor

from robustfront.attacks.autoattack import autoattack
from robustfront.attacks.engine import Runner
from robustfront.config.attacks import FINAL
from robustfront.config.attacks.autoattack import AutoAttackEvaluation
from robustfront.evaluation.target import Target


def attack(settings: AutoAttackEvaluation, on: Target) -> dict[str, Tensor]:
    """The final outcome -> x' (N, C, H, W)."""

    def work(batch_size: int, run: Runner) -> Tensor:
        return autoattack(
            on.model,
            on.x,
            on.labels,
            on.ball,
            attack=settings,
            seed=on.seed,
            batch_size=batch_size,
            run=run,
            report=on.progress,
        )

    return {FINAL: on.whole(work)}
