"""What the study's claims may say: typed predicates over losses, gaps, margins and spectra, read from YAML.

Beside those of `reporting.claims.language`, which are over errors. Nothing in them is executed.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from robustfront.config.layers import Layer
from robustfront.config.quantities import Flag, Name
from robustfront.config.schema import Config
from robustfront.config.validation import validate
from robustfront.config.yaml_loader import load_yaml
from robustfront.studies.ar_strength.measures import QUANTITIES

Way = Literal["falls", "rises"]
Convention = Literal["circular", "reshaped"]
Series = Annotated[tuple[Name, ...], Field(min_length=2)]


class Trend(Config):
    """A quantity falls, or rises, from the first to the last of the runs.

    `overfit`: only where the first run's training accuracy is above its test accuracy by more than chance.
    """

    kind: Literal["trend"]
    quantity: str
    runs: Series
    goes: Way
    overfit: Flag = False

    @field_validator("quantity")
    @classmethod
    def quantity_is_known(cls, name: str) -> str:
        if name not in QUANTITIES:
            raise ValueError(f"must be one of {', '.join(QUANTITIES)}")
        return name


class Level(Config):
    """A quantity of a run lies between two bounds: a size, judged on the paper's own data and settings."""

    kind: Literal["level"]
    quantity: str
    run: Name
    at_least: float
    at_most: float


class Layers(Config):
    """The STD of singular values is larger in `first` than in `last` for most convolutions."""

    kind: Literal["layers"]
    first: Name
    last: Name
    convention: Convention


class Accumulated(Config):
    """The falls of STD from `first` to `last`, summed over layers, are `times` the rises (appendix B.2)."""

    kind: Literal["accumulated"]
    first: Name
    last: Name
    convention: Convention
    times: float


class Variation(Config):
    """Mean, or standard deviation, of the loss variation falls along the runs, under every attack radius."""

    kind: Literal["variation"]
    statistic: Literal["mean", "std"]
    runs: Series


class Chain(Config):
    """Over these runs the STD of singular values and that of test margins rise together, in most layers."""

    kind: Literal["chain"]
    runs: Series
    convention: Convention


Predicate = Annotated[
    Trend | Level | Layers | Accumulated | Variation | Chain,
    Field(discriminator="kind"),
]


class Claim(Config):
    """A sentence of the paper. All of its predicates must hold."""

    id: Name
    statement: str = Field(description="what the paper says, in our words")
    where: str
    datasets: Annotated[tuple[str, ...], Field(min_length=1)]
    predicates: Annotated[tuple[Predicate, ...], Field(min_length=1)]
    reason: str = Field(description="why it is read as these predicates")


class _File(Config):
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def without_shared_lists(cls, data: dict[str, object]) -> dict[str, object]:
        """`lists` holds what the claims refer to by YAML aliases."""
        return {key: value for key, value in data.items() if key != "lists"}


def load(path: Path) -> tuple[Claim, ...]:
    """The claims in claims.yaml. ConfigError naming the key at fault."""
    return validate(_File, [Layer("", load_yaml(path))], source=str(path)).claims
