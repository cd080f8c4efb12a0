"""How trained models are attacked. The unit is one attack on one run; a suite is a view of several."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from robustfront.config.quantities import Count, Flag, Name, Seed
from robustfront.config.schema import Ascent, Config, Threat
from robustfront.config.validation import did_you_mean

FINAL = "final"
"""The outcome of an attack as a whole. Others are of what it passed on the way."""

CLEAN, MASKING, WORST_CASE = "clean", "masking", "worst-case"
"""What a suite has beside its attacks: the images as they are, the checks, and all attacks joined."""

ROWS, IMAGES, RECORD = "parquet", "safetensors", "json"
"""The files of an evaluation: a row per image and outcome, x' of some images, and what it was."""

SplitName = Literal["test", "train", "validation"]


class CleanEvaluation(Config):
    """The images as they are."""

    kind: Literal["clean"] = "clean"

    @property
    def label(self) -> str:
        return self.kind


class MaskingEvaluation(Config):
    """Checks that attacks fail because the model is robust and not because they are blind."""

    kind: Literal["masking"] = "masking"

    @property
    def label(self) -> str:
        return self.kind


class PGDEvaluation(Ascent):
    """PGD as an evaluation attack."""

    kind: Literal["pgd"] = "pgd"
    objective: Literal["ce", "dlr", "margin"] = "ce"
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

    @property
    def label(self) -> str:
        return f"{self.kind}-{self.steps}"

    @property
    def stops(self) -> dict[str, int]:
        """Outcome -> the steps after which it is taken; the attack itself first."""
        return {FINAL: self.steps} | {_step(steps): steps for steps in sorted(set(self.also.values()))}


class AutoAttackEvaluation(Config):
    """AutoAttack: by its authors' code (pyautoattack), or `standard` by our own, which is faster.

    `fast` differs from `reference` by rounding only. `fast-bf16` moreover lets FAB-T and Square search in
    bfloat16; what they find counts only if it also fools the network in float32.
    """

    kind: Literal["autoattack"] = "autoattack"
    version: Literal["standard", "plus", "rand"] = "standard"
    engine: Literal["reference", "fast", "fast-bf16"] = "reference"

    @model_validator(mode="after")
    def engine_has_version(self) -> "AutoAttackEvaluation":
        if self.engine != "reference" and self.version != "standard":
            raise ValueError(f"engine {self.engine!r} has version 'standard' only; set engine to 'reference'")
        return self

    @property
    def label(self) -> str:
        return f"{self.kind}-{self.version}"


EvaluationAttack = Annotated[PGDEvaluation | AutoAttackEvaluation, Field(discriminator="kind")]


class Suite(Config):
    """A named list of attacks on the same images inside one threat model."""

    name: Name
    threat: Threat
    attacks: dict[Name, EvaluationAttack] = Field(
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
            if isinstance(settings, PGDEvaluation):
                shown += [(f"attacks.{attack}.also", name) for name in settings.also]
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

    attack: Annotated[
        CleanEvaluation | MaskingEvaluation | PGDEvaluation | AutoAttackEvaluation,
        Field(discriminator="kind"),
    ]
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
        match self.attack:
            case MaskingEvaluation():
                return ()
            case PGDEvaluation() as pgd:
                return tuple(pgd.stops)
        return (FINAL,)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The kinds of files that it leaves, in the order in which they are written."""
        return (ROWS, IMAGES, RECORD) if self.outcomes else (RECORD,)


def of_suite(suite: Suite) -> dict[str, Evaluation]:
    """What a suite consists of: `clean` first, its attacks by name, then `masking` if it wants the checks.

    The names under which outcomes are shown are left behind: equal attacks of two suites are equal here.
    """

    def attacked(attack: EvaluationAttack | MaskingEvaluation, samples: int | None = None) -> Evaluation:
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
        found[name] = attacked(_unnamed(attack), suite.samples.get(name))
    if suite.masking:
        found[MASKING] = attacked(MaskingEvaluation())
    return found


def views(suite: Suite) -> dict[str, tuple[str, str]]:
    """Shown attack -> (its name in `of_suite`, the outcome); `clean` first, then in order."""
    found = {CLEAN: (CLEAN, FINAL)}
    for name, attack in suite.attacks.items():
        found[name] = (name, FINAL)
        if isinstance(attack, PGDEvaluation):
            found |= {shown: (name, _step(steps)) for shown, steps in attack.also.items()}
    return found


def _unnamed(attack: EvaluationAttack) -> EvaluationAttack:
    if not isinstance(attack, PGDEvaluation):
        return attack
    steps = {outcome: steps for outcome, steps in attack.stops.items() if outcome != FINAL}
    return attack.model_copy(update={"also": steps})


def _step(steps: int) -> str:
    return f"step-{steps}"
