"""Square Attack (Andriushchenko et al. 2020, arXiv 1912.00049) as an attack of its own."""

from typing import ClassVar, Literal

from robustfront.config.attacks.autoattack import OUR_ENGINES, SQUARE_ROWS
from robustfront.config.attacks.base import EvaluationAttack, attacks
from robustfront.config.quantities import Count


@attacks.register
class SquareEvaluation(EvaluationAttack):
    """Random search by logits alone, by its authors' code (pyautoattack).

    The sizes of the squares shrink over however many queries there are, as in the paper; AutoAttack's
    fourth part has the first half of the sizes for 10,000 queries.
    """

    made_by: ClassVar[str] = "robustfront.evaluation.attacks.square:attack"
    draws_by_batch: ClassVar[bool] = True
    respects_any_clip: ClassVar[bool] = False

    kind: Literal["square"] = "square"
    queries: Count = 5000

    def fewest_rows(self, norm: str) -> int:
        return SQUARE_ROWS[norm]

    @property
    def unused(self) -> frozenset[str]:
        return OUR_ENGINES

    @property
    def label(self) -> str:
        return f"{self.kind}-{self.queries}"

    def passes(self, images: int) -> float:
        """The images are looked at before, at the start of the search, and after it as well."""
        return images * (3 + self.queries)
