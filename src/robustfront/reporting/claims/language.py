"""What a claim may say: a few typed predicates over errors, read from YAML. Nothing in it is executed.

All bounds are in percentage points of test images. A bound may differ between the paper's data sets. Bounds
on one side of 0 have a direction, which is judged on data and settings that are not the paper's, too; others
are judged on the paper's own alone.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from robustfront.config.layers import Layer
from robustfront.config.quantities import Flag, Name, check_name
from robustfront.config.schema import Config
from robustfront.config.validation import validate
from robustfront.config.yaml_loader import load_yaml

Error = Annotated[str, Field(min_length=1)]
"""`clean`, an attack that a suite shows (`pgd-20`), or a kind of attack: the suite's first one. In print, the
attack that the paper calls so, in capitals or not."""
Bound = float | dict[str, float]
"""Points, or those of each of the paper's data sets."""


def _run_at(text: str) -> str:
    run, at, suite = text.partition("@")
    return "@".join(map(check_name, (run, suite) if at else (run,)))


Runs = Annotated[tuple[Annotated[str, AfterValidator(_run_at)], ...], Field(min_length=1)]
"""Names of runs. `oat@at-1` means the run as the suite `at-1` found it, whichever suite is judged."""


class Bounded(Config):
    """Something that must lie between two bounds, of which one may be left out."""

    at_least: Bound | None = None
    at_most: Bound | None = None

    @model_validator(mode="after")
    def has_a_bound(self) -> "Bounded":
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both")
        return self

    def between(self, dataset: str) -> tuple[float, float]:
        """The bounds for one of the paper's data sets."""
        low, high = (
            bound.get(dataset) if isinstance(bound, dict) else bound
            for bound in (self.at_least, self.at_most)
        )
        return (-float("inf") if low is None else low), (float("inf") if high is None else high)


class Difference(Bounded):
    """Errors of each run `of` minus those of each run `minus`: every pair, or the averages of the groups."""

    kind: Literal["difference"]
    table: Name = Field(description="published table that has the numbers in print")
    error: Error
    of: Runs
    minus: Runs
    average: Flag = False


class Series(Config):
    """The runs of some rows of a table, along the numbers in one of its labels.

    A scale may leave out inner ones; the first and the last must have been run.
    """

    table: Name
    rows: dict[str, str] = Field(description="label -> what it is in these rows")
    along: str = Field(description="label with the numbers")
    log: Flag = Field(False, description="the numbers count by their logarithm")
    error: Error

    @property
    def words(self) -> str:
        """Whose rows these are."""
        return ", ".join(self.rows.values())


class Trend(Series, Bounded):
    """The change of the error from the first to the last run, along the line that fits all of them best."""

    kind: Literal["trend"]


class Saturation(Series):
    """The error falls faster, per unit of `along`, from the first run to the one at `knee` than after it."""

    kind: Literal["saturation"]
    knee: float


class Fluctuation(Series):
    """Between neighbouring runs the error rises at least once and falls at least once."""

    kind: Literal["fluctuation"]


class Spread(Series):
    """No two runs differ by more than `at_most`."""

    kind: Literal["spread"]
    at_most: float = Field(ge=0)


class Dynamics(Config):
    """From the start to the last epoch the adversarial validation error falls, the clean one hardly rises."""

    kind: Literal["dynamics"]
    runs: Runs
    clean_rise_at_most: float = Field(ge=0)


class Unmasked(Config):
    """These runs passed their gradient-masking checks, and no attack refutes their strongest PGD.

    In print: AutoAttack is not weaker than PGD.
    """

    kind: Literal["unmasked"]
    table: Name
    runs: Runs
    tolerance: float = Field(ge=0, description="by which AutoAttack's printed error may be below PGD's")


Predicate = Annotated[
    Difference | Trend | Saturation | Fluctuation | Spread | Dynamics | Unmasked, Field(discriminator="kind")
]


class Claim(Config):
    """A sentence of a paper that can be checked. All of its predicates must hold."""

    id: Name
    statement: str = Field(description="what the paper says, in our words")
    where: str = Field(description="section, figure or table")
    datasets: tuple[str, ...] = Field((), description="of the paper; empty: all that study.yaml names")
    suites: dict[Name, Name] = Field(
        {},
        description="what a source of verdicts is called -> the suite that it is for this claim; the same "
        "sources for all claims. Empty: every suite, by its name",
    )
    predicates: Annotated[tuple[Predicate, ...], Field(min_length=1)]
    reason: str = Field(description="why it is read as these predicates, with these bounds")


class _File(Config):
    suites: dict[Name, Name] = Field({}, description="of claims that name none")
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def without_shared_lists(cls, data: dict[str, object]) -> dict[str, object]:
        """`lists` holds what the claims refer to by YAML aliases."""
        return {key: value for key, value in data.items() if key != "lists"}

    @model_validator(mode="after")
    def sources_agree(self) -> "_File":
        first = self.claims[0]
        for claim in self.claims:
            if [*(claim.suites or self.suites)] != [*(first.suites or self.suites)]:
                raise ValueError(
                    f"{claim.id}.suites names {', '.join(claim.suites) or 'nothing'}, {first.id}.suites "
                    f"{', '.join(first.suites) or 'nothing'}; give all claims the same sources"
                )
        return self

    @field_validator("claims")
    @classmethod
    def ids_differ(cls, claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
        ids = [claim.id for claim in claims]
        if twice := {name for name in ids if ids.count(name) > 1}:
            raise ValueError(f"two are called {', '.join(sorted(twice))}")
        return claims


def load_claims(path: Path) -> tuple[Claim, ...]:
    """The claims in a study's claims.yaml. ConfigError naming the key at fault."""
    file = validate(_File, [Layer("", load_yaml(path))], source=str(path))
    return tuple(claim.model_copy(update={"suites": claim.suites or file.suites}) for claim in file.claims)
