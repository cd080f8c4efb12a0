"""PGD (Madry et al. 2018) as an evaluation attack."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from robustfront.config.attacks.base import FINAL, EvaluationAttack, attacks
from robustfront.config.lasting import added
from robustfront.config.quantities import Count, Name, length
from robustfront.config.schema import Ascent


@attacks.register
class PGDEvaluation(EvaluationAttack, Ascent):
    """One projected gradient ascent, or the worst of several.

    One step of eps without a start is FGSM (Goodfellow et al. 2015). With `targets` it descends the objective
    for another class, one after the other, each on the images that stand (Kurakin et al. 2017).
    """

    made_by: ClassVar[str] = "robustfront.evaluation.attacks.pgd:attack"

    kind: Literal["pgd"] = "pgd"
    objective: Literal["ce", "dlr", "margin"] = "ce"
    restarts_on: Literal["all", "standing"] = added(
        "all",
        before="all",
        description="images that a further restart attacks: all, or those that no earlier one felled, which "
        "costs less; the same images fall",
    )
    targets: Count | None = added(
        None,
        before=None,
        description="turn to each of so many classes, the likeliest wrong ones of the clean image (fewer if "
        "there are fewer); null: away from the label",
    )
    also: dict[Name, Count] = Field(
        {}, description="shown name -> the same ascent after only so many of its steps, which costs nothing"
    )

    @model_validator(mode="after")
    def also_lies_on_the_way(self) -> "PGDEvaluation":
        for name, steps in self.also.items():
            if steps >= self.steps:
                raise ValueError(f"also.{name} = {steps}: must be fewer steps than all {self.steps}")
        if self.also and self.restarts > 1:
            raise ValueError("also: needs restarts 1; the worst of several ascents has no steps of its own")
        return self

    @model_validator(mode="after")
    def a_target_has_one_ascent(self) -> "PGDEvaluation":
        if self.targets is not None and self.restarts > 1:
            raise ValueError("targets: there is one ascent to each target; set restarts to 1")
        if self.targets is not None and self.also:
            raise ValueError("also: needs one ascent alone; leave out targets")
        return self

    @model_validator(mode="after")
    def there_is_a_further_restart(self) -> "PGDEvaluation":
        if self.restarts_on == "standing" and self.restarts == 1:
            raise ValueError("restarts_on = 'standing': there is one ascent alone; set restarts to 2 or more")
        return self

    @property
    def leaves_out(self) -> bool:
        return self.targets is not None

    @property
    def fewest_classes(self) -> int:
        return 3 if self.objective == "dlr" else 2  # which divides by a difference to the third logit

    @property
    def label(self) -> str:
        return f"{self.kind}-{self.steps}"

    @property
    def stops(self) -> dict[str, int]:
        """Outcome -> the steps after which it is taken; the attack itself first."""
        return {FINAL: self.steps} | {_step(steps): steps for steps in sorted(set(self.also.values()))}

    @property
    def outcomes(self) -> tuple[str, ...]:
        return tuple(self.stops)

    @property
    def shown(self) -> dict[str, str]:
        return {name: _step(steps) for name, steps in self.also.items()}

    @property
    def unnamed(self) -> Self:
        steps = {outcome: steps for outcome, steps in self.stops.items() if outcome != FINAL}
        return self.model_copy(update={"also": steps})

    @property
    def in_whole_batches(self) -> Self:
        return self.model_copy(update={"restarts_on": "all"})

    @property
    def identity(self) -> dict[str, Any]:
        return super().identity | {"also": sorted(set(self.also.values()))}

    @property
    def ascents(self) -> Mapping[str, Ascent]:
        shorter = {f".also.{name}": steps for name, steps in self.also.items()}
        return {"": self} | {key: self.model_copy(update={"steps": steps}) for key, steps in shorter.items()}

    @property
    def words(self) -> str:
        restarts = f", {self.restarts} restarts" if self.restarts > 1 else ""
        restarts += " of what stands" if self.restarts_on == "standing" else ""
        targets = f" to {self.targets} classes in turn" if self.targets else ""
        return f"{self.steps} steps of {length(self.step_size)}, {self.objective}{targets}{restarts}"

    def passes(self, images: int) -> float:
        if self.targets is not None:
            return images * (1 + (2 * self.steps + 1) * self.targets)
        return images * 2 * self.steps * self.restarts


def _step(steps: int) -> str:
    return f"step-{steps}"
