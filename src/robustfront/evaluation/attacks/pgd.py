"""PGD on all images of an evaluation."""

from torch import Tensor

from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.evaluation.batches import ascend
from robustfront.evaluation.target import Target


def attack(settings: PGDEvaluation, on: Target) -> dict[str, Tensor]:
    """Outcome -> x' (N, C, H, W)."""
    return ascend(
        on.model,
        on.x,
        on.labels,
        on.positions,
        on.ball,
        settings,
        seed=on.seed,
        room=on.room,
        run=on.runner(settings.label),
        done=on.done,
    )
