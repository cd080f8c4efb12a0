"""What a network is told by FiLM, and how: the settings that networks with it share, and its cost."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from robustfront.config.lasting import Config
from robustfront.config.quantities import Condition, Count, Distinct, Flag, Seed

Places = Literal["every", "residual"]


class Film(Config):
    """A number lambda per image, as a code that scales and shifts the channels after batch norms."""

    encoding: Literal["orthogonal", "onehot", "dct", "none"] = Field(
        "orthogonal",
        description="code of each of `values`: a row of a random orthogonal matrix, of the identity, or of "
        "the cosine transform; between two of them codes are interpolated. none: lambda itself",
    )
    width: Count = Field(128, description="length of a code; of encoding none it is 1, whatever this says")
    values: Distinct[Condition] = Field(
        (0.0, 0.1, 0.2, 0.3, 0.4, 1.0), description="those that have a code of their own, rising"
    )
    seed: Seed = Field(0, description="draws the orthogonal matrix")
    dual_norm: Flag = Field(False, description="batch norms of their own for images with lambda = 0")
    after: Places = Field(
        "every",
        description="which batch norms are modulated: every one, or those on the way through the residual "
        "branches alone: neither the shortcuts' nor, of a pre-activation network, the last one",
    )
    usual: Condition = Field(1.0, description="lambda where none is told")

    @field_validator("values")
    @classmethod
    def values_rise(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if list(values) != sorted(values):
            raise ValueError("must rise")
        return values

    @model_validator(mode="after")
    def codes_exist(self) -> Self:
        if self.encoding != "none" and self.width < len(self.values):
            raise ValueError(f"width = {self.width}: gives no {len(self.values)} different codes")
        if not self.values[0] <= self.usual <= self.values[-1]:
            raise ValueError(f"usual = {self.usual:g}: lies outside of `values`")
        return self

    @property
    def code_length(self) -> int:
        return 1 if self.encoding == "none" else self.width

    def modulates(self, residual: bool) -> bool:
        """Whether it comes after a batch norm that lies on the way through a residual branch, or not."""
        return residual or self.after == "every"


def norm_parameters(film: Film | None, channels: int, *, residual: bool = True) -> int:
    """Trainable parameters of a batch norm and of what modulates it."""
    if film is None:
        return 2 * channels
    found = 4 * channels if film.dual_norm else 2 * channels
    if film.modulates(residual):
        found += (film.code_length + 1) * 2 * channels + (2 * channels + 1) * 2 * channels
    return found


def norm_multiplications(film: Film | None, channels: int, *, residual: bool = True) -> int:
    """Of what modulates a batch norm, for one image: of its two linear layers."""
    if film is None or not film.modulates(residual):
        return 0
    return (film.code_length + 2 * channels) * 2 * channels


def usual(film: Film | None) -> float | None:
    """What a network with it assumes where no lambda is told; None of one without, which takes none."""
    return None if film is None else film.usual


FILM: Any = Field(Film(), description="how lambda comes in; null: the same network, which is told nothing")
