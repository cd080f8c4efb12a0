"""How trained models are attacked. The unit is one attack on one run; a suite is a view of several."""

from collections.abc import Collection
from typing import ClassVar, Literal, Protocol

from pydantic import Field, SerializeAsAny, model_validator

from robustfront.config.attacks import FINAL, EvaluationAttack
from robustfront.config.attacks.autoattack import OUR_ENGINES
from robustfront.config.lasting import added
from robustfront.config.quantities import Condition, Count, Distinct, Flag, Name, Seed
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
    runs: Literal["all"] | Distinct[str] = Field(
        "all", description="names under `runs`, or a sweep's: the others are not attacked by it"
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
    whole_batches: Flag = Field(
        False,
        description="networks that look at the rest of the batch (batch norm of kind untracked) are attacked "
        "in whole batches of `batch_size`, and their numbers are marked; false: they are refused",
    )
    condition: Condition | None = Field(
        None,
        description="what conditional networks are told, for all that the suite does; null: what each takes "
        "to be usual. Others do not hear it",
    )
    judged_at: dict[str, dict[Name, Condition]] = Field(
        {},
        description="attack -> shown name -> another condition, at which the images it made are judged, too",
    )

    @model_validator(mode="after")
    def names_are_known_and_free(self) -> "Suite":
        for name in self.samples:
            if name not in self.attacks:
                raise ValueError(f"samples: unknown attack {name!r}{did_you_mean(name, self.attacks)}")
        for name in self.judged_at:
            if name not in self.attacks:
                raise ValueError(f"judged_at: unknown attack {name!r}{did_you_mean(name, self.attacks)}")
        shown = [("attacks", name) for name in self.attacks]
        for attack, settings in self.attacks.items():
            shown += [(f"attacks.{attack}.also", name) for name in settings.shown]
            shown += [(f"judged_at.{attack}", name) for name in self.judged_at.get(attack, ())]
        taken: dict[str, str] = {}
        for where, name in shown:
            if name in (CLEAN, MASKING, WORST_CASE):
                raise ValueError(f"{where}: '{name}' is the name of a row of the results; choose another")
            if name in taken:
                raise ValueError(f"{where}: '{name}' is also a name in {taken[name]}; choose another")
            taken[name] = where
        return self

    @model_validator(mode="after")
    def whole_batches_are_batches(self) -> "Suite":
        sizes = {"batch_size": self.batch_size} | {f"samples.{key}": n for key, n in self.samples.items()}
        for key, size in sizes.items():
            if self.whole_batches and size == 1:
                raise ValueError(f"{key} = 1: a network that looks at the rest of the batch needs two images")
        return self

    def asks_for(self, names: Collection[str]) -> bool:
        """Whether a run of these names is attacked by it."""
        return self.runs == "all" or not {*self.runs}.isdisjoint(names)


class Network(Protocol):
    """What of a network decides how it is evaluated.

    `looks_at_batches`: whether its answer to an image depends on the rest of the batch. `usual`: the
    condition that is assumed where none is told; None for a network that takes none.
    """

    @property
    def looks_at_batches(self) -> bool: ...
    @property
    def usual(self) -> float | None: ...


class Evaluation(Config):
    """One attack on one run: all that decides its rows, except the run and its weights."""

    attack: CleanEvaluation | MaskingEvaluation | SerializeAsAny[EvaluationAttack]
    threat: Threat | None = Field(None, description="null for the images as they are, and only there")
    split: SplitName = "test"
    samples: Count | None = Field(None, description="only so many images of the split; null: all")
    seed: Seed = Field(0, description="draws the images and the attack's random numbers")
    batch_size: Count = 500
    whole_batches: Flag = added(
        False,
        before=False,
        description="all images of a batch are attacked and judged together; batches are those of the images "
        "in the order drawn by `seed`, the last one filled up with the first images",
    )
    condition: Condition | None = added(None, before=None, description="what the network is told")
    judged_at: tuple[Condition, ...] = added(
        (), before=(), description="other conditions at which x' is judged, too; rising"
    )

    @model_validator(mode="after")
    def attacks_have_a_threat(self) -> "Evaluation":
        if (self.threat is None) != (self.attack.kind == "clean"):
            raise ValueError("give a threat to all but the clean images")
        return self

    @model_validator(mode="after")
    def whole_batches_stay_whole(self) -> "Evaluation":
        if self.whole_batches and self.attack != self.attack.in_whole_batches:
            raise ValueError("attack: leaves images out of a batch, which whole_batches does not allow")
        return self

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes that its rows have; none for the masking checks, which have no rows."""
        return (*self.attack.outcomes, *map(given, self.judged_at))

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The kinds of files that it leaves, in the order in which they are written."""
        return (ROWS, IMAGES, RECORD) if self.outcomes else (RECORD,)


def of_suite(suite: Suite, network: Network | None = None) -> dict[str, Evaluation]:
    """What a suite consists of: `clean` first, its attacks by name, then `masking` if it wants the checks.

    The names under which outcomes are shown are left behind: equal attacks of two suites are equal here. So
    are those of suites that differ in what they tell, for a `network` that takes no condition, or whose
    answers do not depend on the batch; None is such a one.
    """
    whole = network is not None and network.looks_at_batches
    condition = told(suite, network)
    common = {
        "split": suite.split,
        "batch_size": suite.batch_size,
        "whole_batches": whole,
        "condition": condition,
    }

    def attacked(attack: EvaluationAttack, name: str = "") -> Evaluation:
        others = {*suite.judged_at.get(name, {}).values()} - {condition} if condition is not None else ()
        return Evaluation(
            attack=attack.in_whole_batches if whole else attack,
            threat=suite.threat,
            samples=suite.samples.get(name),
            seed=suite.seed,
            judged_at=tuple(sorted(others)),
            **common,
        )

    # whole batches are drawn by the seed: clean images are to have the company that attacked ones have
    clean = Evaluation(attack=CleanEvaluation(), seed=suite.seed if whole else 0, **common)
    found = {CLEAN: clean}
    for name, attack in suite.attacks.items():
        found[name] = attacked(attack.unnamed, name)
    if suite.masking:
        found[MASKING] = attacked(MaskingEvaluation())
    return found


def views(suite: Suite, network: Network | None = None) -> dict[str, tuple[str, str]]:
    """Shown attack -> (its name in `of_suite`, the outcome there); `clean` first, then in order.

    What is judged at another condition is, of a network that takes none, the attack itself.
    """
    found, usual = {CLEAN: (CLEAN, FINAL)}, told(suite, network)
    for name, attack in suite.attacks.items():
        found[name] = (name, FINAL)
        found |= {shown: (name, outcome) for shown, outcome in attack.shown.items()}
        for shown, condition in suite.judged_at.get(name, {}).items():
            found[shown] = (name, FINAL if usual in (None, condition) else given(condition))
    return found


def other_conditions(suite: Suite) -> dict[str, float]:
    """Shown attack -> the other condition at which it is judged, for those that are."""
    return {shown: at for judged in suite.judged_at.values() for shown, at in judged.items()}


def given(condition: float) -> str:
    """The outcome of an attack when its images are judged at another condition."""
    return f"given-{condition:.12g}"


def told(suite: Suite, network: Network | None) -> float | None:
    """What the suite tells this network."""
    if network is None or network.usual is None:
        return None
    return network.usual if suite.condition is None else suite.condition
