"""APGD (Croce & Hein 2020, arXiv 2003.01690) as an attack of its own."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from robustfront.config.attacks.base import EvaluationAttack, attacks
from robustfront.config.quantities import Count


@attacks.register
class APGDEvaluation(EvaluationAttack):
    """Gradient ascent with momentum and a step size that adapts itself, on what stands.

    AutoAttack's first two parts, APGD-CE and APGD-T, are `ce`, and `dlr` with 9 targets, of 100 steps each.
    """

    made_by: ClassVar[str] = "robustfront.evaluation.attacks.apgd:attack"
    respects_any_clip: ClassVar[bool] = False

    kind: Literal["apgd"] = "apgd"
    objective: Literal["ce", "dlr"] = "ce"
    steps: Count = 100
    restarts: Count = 1
    targets: Count | None = Field(
        None,
        description="T-APGD, by the targeted DLR loss: to each of so many classes in turn, the likeliest "
        "wrong ones of the clean image; null: away from the label",
    )

    @model_validator(mode="after")
    def targeted_loss_is_dlr(self) -> "APGDEvaluation":
        if self.targets is not None and self.objective != "dlr":
            raise ValueError(f"targets: objective {self.objective!r} has no targeted form; set it to 'dlr'")
        return self

    @property
    def leaves_out(self) -> bool:
        return True

    @property
    def fewest_classes(self) -> int:
        if self.targets is not None:
            return 4
        return 3 if self.objective == "dlr" else 2

    @property
    def label(self) -> str:
        return f"{self.kind}-{self.objective}{'-t' if self.targets else ''}-{self.steps}"

    @property
    def words(self) -> str:
        targets = f" to {self.targets} classes in turn" if self.targets else ""
        restarts = f", {self.restarts} restarts" if self.restarts > 1 else ""
        return f"{self.steps} steps of its own size, {self.objective}{targets}{restarts}"

    def passes(self, images: int) -> float:
        ranking = 0 if self.targets is None else 1
        return images * (ranking + 2 * (self.steps + 1) * (self.targets or 1) * self.restarts)
