"""What an attack on a trained model says of itself before it is made."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from robustfront.config.lasting import content
from robustfront.config.quantities import length
from robustfront.config.registry import Kind, Kinds
from robustfront.config.schema import Ascent

FINAL = "final"
"""The outcome of an attack as a whole. Others are of what it passed on the way."""

attacks: Kinds["EvaluationAttack"] = Kinds("attack", reserved=("clean", "masking"))


class EvaluationAttack(Kind):
    """Base of all attacks. A subclass says by which name it is known: `kind: Literal["mine"] = "mine"`."""

    known: ClassVar[Kinds["EvaluationAttack"]] = attacks
    made_by: ClassVar[str]
    """`module:function` of (attack, `evaluation.target.Target`) -> outcome -> x' of all images."""
    draws_by_batch: ClassVar[bool] = False
    """Whether the random numbers of an image depend on its batch, whose size then is part of the identity."""
    respects_any_clip: ClassVar[bool] = True
    """Whether x' may have to stay in another box than that of the valid images."""

    kind: str

    @property
    def named(self) -> tuple[str, ...]:
        return (self.made_by,)

    @property
    def unused(self) -> frozenset[str]:
        """Modules of ours that its code imports and these settings do not need: their edits do not matter."""
        return frozenset()

    @property
    def leaves_out(self) -> bool:
        """Whether it leaves images out of a batch as they fall: a network that looks at the batch then sees
        others in their places (`attacks.company`). Attacks that draw by batch may."""
        return self.draws_by_batch

    @property
    def fewest_classes(self) -> int:
        """Of how many classes it needs images at least."""
        return 2

    @property
    def needs_features(self) -> bool:
        """Whether it needs more of a network than its logits."""
        return False

    def fewest_rows(self, norm: str) -> int:
        """The height in pixels of the lowest images that it can be made on in a threat model of that norm."""
        return 1

    @property
    def label(self) -> str:
        """The readable part of the names of its files."""
        return self.kind

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes that its rows have."""
        return (FINAL,)

    @property
    def shown(self) -> dict[str, str]:
        """Names that the user gives to outcomes on the way -> the outcome."""
        return {}

    @property
    def unnamed(self) -> Self:
        """Without names that the user gives: equal attacks are equal then."""
        return self

    @property
    def in_whole_batches(self) -> Self:
        """What it is for a network that looks at the batch, out of which no image may be left."""
        return self

    @property
    def identity(self) -> dict[str, Any]:
        """What decides its rows."""
        return content(self)

    @property
    def ascents(self) -> Mapping[str, Ascent]:
        """Key below the attack's own -> a gradient ascent that it makes; plans warn if it misses the ball."""
        return {}

    @property
    def words(self) -> str:
        """What it does, for a reader who sees its name beside it."""
        settings = self.model_dump(exclude={"kind"})
        shown = (
            f"{key} {length(value) if isinstance(value, float) else value}" for key, value in settings.items()
        )
        return ", ".join(shown) or self.kind

    def passes(self, images: int) -> float | None:
        """Forward and input-gradient passes on so many images that withstand; None: nobody knows."""
        return None
