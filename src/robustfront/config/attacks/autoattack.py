"""AutoAttack (Croce & Hein 2020)."""

from typing import ClassVar, Literal

from pydantic import model_validator

from robustfront.config.attacks.base import EvaluationAttack, attacks

UNITS = {"standard": 9798, "plus": 17606, "rand": 8087, "apgd": 2021, "v1": 13048}
"""Forward and input-gradient passes on an image of 10 classes that withstands it (counted)."""

SQUARE_ROWS = {"linf": 1, "l2": 5}
"""Height in pixels of the lowest images that Square can search: for l2 it starts from five rows of bumps."""

PARTS_OF = {
    "apgd": ("standard", ("apgd-ce", "apgd-t")),
    "v1": ("plus", ("apgd-ce", "apgd-dlr", "fab", "square")),
}
"""Version of ours -> a version of the authors' code, and those of its attacks that ours consists of."""

OUR_ENGINES = frozenset(
    f"robustfront.attacks.standard.{module}" for module in ("bfloat16", "ensemble", "problem")
)
"""What the authors' code does without."""


@attacks.register
class AutoAttackEvaluation(EvaluationAttack):
    """AutoAttack: by its authors' code (pyautoattack), or by our own, which is faster.

    Version `apgd` is the first two parts of `standard` alone, APGD-CE and APGD-T: a fifth of its cost and
    nearly all of its strength on models that mask no gradients. It bounds AutoAttack's error from below.
    Version `v1` is the AutoAttack of before August 2020: APGD-CE, APGD-DLR and FAB, untargeted, with five
    restarts each, and Square; today's code still has it as the first four parts of `plus`.

    `fast` differs from `reference` by rounding only. `fast-bf16` moreover lets FAB-T and Square search in
    bfloat16; what they find counts only if it also fools the network in float32.
    """

    made_by: ClassVar[str] = "robustfront.evaluation.attacks.autoattack:attack"
    draws_by_batch: ClassVar[bool] = True
    respects_any_clip: ClassVar[bool] = False

    kind: Literal["autoattack"] = "autoattack"
    version: Literal["standard", "plus", "rand", "apgd", "v1"] = "standard"
    engine: Literal["reference", "fast", "fast-bf16"] = "reference"

    @model_validator(mode="after")
    def engine_has_version(self) -> "AutoAttackEvaluation":
        versions = {"fast": ("standard", "apgd", "v1"), "fast-bf16": ("standard",)}.get(self.engine)
        if versions and self.version not in versions:
            known = " or ".join(map(repr, versions))
            raise ValueError(f"engine {self.engine!r} has version {known} only; set engine to 'reference'")
        return self

    @property
    def unused(self) -> frozenset[str]:
        return OUR_ENGINES if self.engine == "reference" else frozenset()

    @property
    def needs_features(self) -> bool:
        return self.engine == "fast-bf16"

    @property
    def fewest_classes(self) -> int:
        return 4  # the targeted DLR loss refers to the fourth logit

    def fewest_rows(self, norm: str) -> int:
        return SQUARE_ROWS[norm] if self.version in ("standard", "plus", "v1") else 1

    @property
    def label(self) -> str:
        return f"{self.kind}-{self.version}"

    @property
    def words(self) -> str:
        whole = "APGD-CE and APGD-T of AutoAttack alone" if self.version == "apgd" else "AutoAttack"
        return f"{whole}, {self.version}, {self.engine} engine"

    def passes(self, images: int) -> float:
        return images * UNITS[self.version]
