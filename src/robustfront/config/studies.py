"""A study: runs and the report made of them. Where its files lie, and what study.yaml says of its source."""

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

import robustfront
from robustfront.config.layers import Layer
from robustfront.config.quantities import Distinct, Flag
from robustfront.config.schema import Config
from robustfront.config.validation import describe, did_you_mean, validate
from robustfront.config.yaml_loader import load_yaml
from robustfront.errors import ConfigError

PARAMS, FACTS = "params.yaml", "study.yaml"
RESERVED = (
    *("again", "all", "data", "dataset", "runs", "train", "projector", "evaluate", "analyse"),
    *("report", "study", "contents", "plots"),
)
"""Rules of the workflow, of which a study's name becomes one, and folders beside those of the reports."""


class Expected(Config):
    """A setting that a paper states. What a study does otherwise is a deviation, which its report tells."""

    setting: str = Field(
        description="dotted key of a resolved run (`training.epochs`, `model.depth`, `params.threat.eps`, "
        "`dataset.source`) or of a suite (`suites.<suite>.threat.eps`, "
        "`suites.<suite>.attacks.<attack>.steps`, `suites.<suite>.samples.<attack>`)"
    )
    value: Any = Field(description="what the paper says; of a list, any will do")
    quote: str = Field(description="the paper's words")
    where: str = Field(description="section, table or figure")
    runs: Literal["all", "standard", "adversarial"] | tuple[str, ...] = Field(
        "all", description="whom it is said of: all runs, those of a budget, or these"
    )
    may_differ: Flag = Field(
        False, description="shown, but the numbers may still be called as published (precision, engine)"
    )


class Unstated(Config):
    """A setting that a paper leaves open: whatever it is here, it is no deviation."""

    setting: str
    note: str = Field(description="what is missing, and what is done here")


class Facts(Config):
    """study.yaml: what is known of the source of a study, quoted from it and not copied from the params."""

    title: str
    source: str = Field("", description="authors, year, where it was published")
    lede: str = Field("", description="one sentence below the title")
    datasets: dict[str, Distinct[str]] = Field(
        {}, description="data set of the paper -> names of ours whose numbers may stand beside its own"
    )
    same: dict[str, Distinct[str]] = Field(
        {}, description="data set of the paper -> those of ours that are the very same"
    )
    threat: str = Field("", description="the published threat model, in words")
    expected: tuple[Expected, ...] = ()
    unstated: tuple[Unstated, ...] = ()

    @model_validator(mode="after")
    def a_data_set_stands_for_one(self) -> "Facts":
        ours = [name for names in self.datasets.values() for name in names]
        if twice := sorted({name for name in ours if ours.count(name) > 1}):
            raise ValueError(
                f"datasets: {twice[0]!r} stands for two data sets of the paper; remove it from one of them"
            )
        for theirs, names in self.same.items():
            for name in names:
                if name not in self.datasets.get(theirs, ()):
                    raise ValueError(
                        f"same.{theirs}: {name!r} is not among datasets.{theirs}; add it there, too"
                    )
        return self


@dataclass(frozen=True)
class Study:
    """Where a study lies, and what is known of its source.

    `params`: the file of its numbers. `folder`: where study.yaml, published/, claims.yaml and report.py lie,
    as far as they exist; None if the study is its params alone.
    """

    name: str
    params: Path
    folder: Path | None
    facts: Facts

    def file(self, name: str) -> Path | None:
        """A file of its folder, if it has it."""
        path = self.folder / name if self.folder else None
        return path if path and path.exists() else None


def params_file(entry: str, params: Path) -> Path:
    """The params file of the study that `entry`, under `studies` in the file `params`, names.

    ConfigError if there is none.
    """
    path = params.parent / entry
    file = path / PARAMS if os.path.isdir(path) else path
    if not os.path.isfile(file):
        raise ConfigError(
            f"{params}: studies: {describe(entry)}: there is no file {file}; name a study's params file, "
            "or its folder"
        )
    return file


def locate(entry: str, params: Path) -> Study:
    """The study that `entry`, under `studies` in the file `params`, names: a params file, or its folder.

    One in a folder of its own, as params.yaml, has its other files beside it, and the folder's name. Those of
    another params file lie in this package, under the file's name with `_` for `-`, if they are anywhere.
    ConfigError if there is no such file, its name cannot be used, or study.yaml is wrong.
    """
    file, folder = params_file(entry, params), None
    if file.name == PARAMS:
        folder = file.parent
        name = folder.resolve().name
    else:
        name = file.stem
        shipped = Path(robustfront.__file__).parent / "studies" / name.replace("-", "_")
        folder = shipped if (shipped / FACTS).is_file() else None
    _check_name(name, f"{params}: studies: {describe(entry)}")
    facts = Facts(title=name)
    if folder is not None and (folder / FACTS).is_file():
        source = folder / FACTS
        facts = validate(Facts, [Layer("", load_yaml(source))], source=str(source))
    return Study(name, file, folder, facts)


def _check_name(name: str, where: str) -> None:
    problem = None
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", name):
        problem = "a name begins with a letter and has up to 64 letters, digits, '_' and '-'"
    elif name in RESERVED:
        problem = f"the names {', '.join(RESERVED)} are taken"
    if problem:
        raise ConfigError(
            f"{where}: a study cannot be called {describe(name)}: {problem}; rename the file or folder"
        )


def pick(names: Collection[str] | None, known: Iterable[str], source: str) -> list[str]:
    """Those of the studies `known` that are asked for, in their order; all of them if nothing is."""
    known = list(known)
    for name in names or ():
        if name not in known:
            raise ConfigError(f"{source}: there is no study {describe(name)}{did_you_mean(name, known)}")
    return [name for name in known if not names or name in names]
