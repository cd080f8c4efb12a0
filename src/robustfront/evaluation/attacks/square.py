"""Square Attack on all images of an evaluation."""

from torch import Tensor

from robustfront.attacks.autoattack import square
from robustfront.attacks.engine import Runner
from robustfront.config.attacks import FINAL
from robustfront.config.attacks.square import SquareEvaluation
from robustfront.evaluation.target import Target


def attack(settings: SquareEvaluation, on: Target) -> dict[str, Tensor]:
    """The final outcome -> x' (N, C, H, W)."""

    def work(batch_size: int, run: Runner) -> Tensor:
        return square(
            on.model,
            on.x,
            on.labels,
            on.ball,
            queries=settings.queries,
            seed=on.seed,
            batch_size=batch_size,
            run=run,
        )

    return {FINAL: on.whole(work)}
