"""How trained models are attacked. The unit is one attack on one run; a suite is a view of several."""

from typing import ClassVar, Literal

from pydantic import Field, SerializeAsAny, model_validator

from robustfront.config.attacks import FINAL, EvaluationAttack
from robustfront.config.attacks.autoattack import OUR_ENGINES
from robustfront.config.quantities import Count, Flag, Name, Seed
from robustfront.config.schema import Config, Threat
from robustfront.config.validation import did_you_mean

CLEAN, MASKING, WORST_CASE = "clean", "masking", "worst-case"
"""What a suite has beside its attacks: the images as they are, the checks, and all attacks joined."""

ROWS, IMAGES, RECORD = "parquet", "safetensors", "json"
"""The files of an evaluation: a row per image and outcome, x' of some images, and what it was."""

SplitName = Literal["test", "train", "validation"]


MASKING_IMAGES, MASKING_UNITS = 128, 562
"""Of the gradient-masking checks: images, and passes on each (PGD-20 four times, PGD-50, Square-300)."""


class CleanEvaluation(EvaluationAttack):
    """The images as they are."""

    kind: Literal["clean"] = "clean"

    @property
    def named(self) -> tuple[str, ...]:
        return ()

    def passes(self, images: int) -> float:
        return images


class MaskingEvaluation(EvaluationAttack):
    """Checks that attacks fail because the model is robust and not because they are blind."""

    made_by: ClassVar[str] = "robustfront.evaluation.masking:of_model"

    kind: Literal["masking"] = "masking"

    @property
    def unused(self) -> frozenset[str]:
        return OUR_ENGINES

    @property
    def outcomes(self) -> tuple[str, ...]:
        return ()

    def passes(self, images: int) -> float:
        return min(images, MASKING_IMAGES) * MASKING_UNITS


class Suite(Config):
    """A named list of attacks on the same images inside one threat model."""

    name: Name
    threat: Threat
    attacks: dict[Name, SerializeAsAny[EvaluationAttack]] = Field(
        description="name -> attack, in order; clean is always first"
    )
    split: SplitName = Field("test", description="the images that are attacked")
    samples: dict[str, Count] = Field(
        {},
        description="attack -> only so many images of the split, drawn by `seed` with the shares of their "
        "classes: the same for every model, and fewer are among more",
    )
    batch_size: Count = Field(
        500, description="images per batch; halved where memory runs out. AutoAttack's rows depend on it"
    )
    seed: Seed = 0
    masking: Flag = Field(True, description="also run the gradient-masking checks")

    @model_validator(mode="after")
    def names_are_known_and_free(self) -> "Suite":
        for name in self.samples:
            if name not in self.attacks:
                raise ValueError(f"samples: unknown attack {name!r}{did_you_mean(name, self.attacks)}")
        shown = [("attacks", name) for name in self.attacks]
        for attack, settings in self.attacks.items():
            shown += [(f"attacks.{attack}.also", name) for name in settings.shown]
        taken: dict[str, str] = {}
        for where, name in shown:
            if name in (CLEAN, MASKING, WORST_CASE):
                raise ValueError(f"{where}: '{name}' is the name of a row of the results; choose another")
            if name in taken:
                raise ValueError(f"{where}: '{name}' is also a name in {taken[name]}; choose another")
            taken[name] = where
        return self


class Evaluation(Config):
    """One attack on one run: all that decides its rows, except the run and its weights."""

    attack: CleanEvaluation | MaskingEvaluation | SerializeAsAny[EvaluationAttack]
    threat: Threat | None = Field(None, description="null for the images as they are, and only there")
    split: SplitName = "test"
    samples: Count | None = Field(None, description="only so many images of the split; null: all")
    seed: Seed = Field(0, description="draws the images and the attack's random numbers")
    batch_size: Count = 500

    @model_validator(mode="after")
    def attacks_have_a_threat(self) -> "Evaluation":
        if (self.threat is None) != (self.attack.kind == "clean"):
            raise ValueError("give a threat to all but the clean images")
        return self

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes that its rows have; none for the masking checks, which have no rows."""
        return self.attack.outcomes

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The kinds of files that it leaves, in the order in which they are written."""
        return (ROWS, IMAGES, RECORD) if self.outcomes else (RECORD,)


def of_suite(suite: Suite) -> dict[str, Evaluation]:
    """What a suite consists of: `clean` first, its attacks by name, then `masking` if it wants the checks.

    The names under which outcomes are shown are left behind: equal attacks of two suites are equal here.
    """

    def attacked(attack: EvaluationAttack, samples: int | None = None) -> Evaluation:
        return Evaluation(
            attack=attack,
            threat=suite.threat,
            split=suite.split,
            samples=samples,
            seed=suite.seed,
            batch_size=suite.batch_size,
        )

    clean = Evaluation(attack=CleanEvaluation(), split=suite.split, batch_size=suite.batch_size)
    found = {CLEAN: clean}
    for name, attack in suite.attacks.items():
        found[name] = attacked(attack.unnamed, suite.samples.get(name))
    if suite.masking:
        found[MASKING] = attacked(MaskingEvaluation())
    return found


def views(suite: Suite) -> dict[str, tuple[str, str]]:
    """Shown attack -> (its name in `of_suite`, the outcome); `clean` first, then in order."""
    found = {CLEAN: (CLEAN, FINAL)}
    for name, attack in suite.attacks.items():
        found[name] = (name, FINAL)
        found |= {shown: (name, outcome) for shown, outcome in attack.shown.items()}
    return found
