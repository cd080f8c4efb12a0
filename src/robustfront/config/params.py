"""params.yaml: what studies share, and the studies, read and checked. `planning` turns them into a plan."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from robustfront.config.experiment import Experiment, Files, check_known, dataset
from robustfront.config.extensions import extend
from robustfront.config.layers import Layer
from robustfront.config.quantities import Count, Distinct, Name, Positive, ProperFraction
from robustfront.config.schema import Config, Dataset
from robustfront.config.starts import check_starts
from robustfront.config.studies import locate, params_file
from robustfront.config.validation import validate
from robustfront.config.yaml_loader import load_yaml
from robustfront.errors import ConfigError


class Throughput(Config):
    """What `robustfront plan` reckons with. It changes no result."""

    gflops: Positive = Field(description="useful GFLOP/s of one job")
    jobs: Count = Field(1, description="jobs at a time")


class Frame(Config):
    """What all studies share of a scale."""

    note: str = Field(description="one line a reader sees beside every number of this scale")
    throughput: Throughput


@dataclass(frozen=True)
class Params:
    """params.yaml and the files it names, checked. `datasets`: the shared ones; `experiments`: by study."""

    source: str
    scale: str
    scales: dict[str, Frame]
    datasets: dict[str, Dataset]
    experiments: dict[str, Experiment]
    rank_tolerance: float


class _Listed(BaseModel):
    """The keys that lead to extensions, whatever else is wrong with params.yaml or a study's file."""

    extensions: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()


class _File(Config):
    """The keys of params.yaml. Data sets and studies are looked into one by one."""

    scale: str
    studies: Distinct[str]
    extensions: tuple[str, ...] = ()
    scales: dict[Name, Frame] = Field(min_length=1)
    datasets: dict[Name, dict[str, Any]] = Field({}, description="that studies share")
    rank_tolerance: ProperFraction


def load_params(path: Path) -> Params:
    """params.yaml as `Params`; extensions are read on the way, as what they register may be asked for.

    ConfigError naming file, key, value and what is allowed.
    """
    source = str(path)
    file = validate(_File, [Layer("", load_yaml(path))], source=source)
    check_known(file.scale, file.scales, f"{source}: scale")
    studies = [locate(entry, path) for entry in file.studies]
    names = [study.name for study in studies]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"{source}: studies: two are called {twice[0]!r}; rename the file or folder of one")
    files = Files(studies, file.scales)
    extend(_distinct([*(path.parent / name for name in file.extensions), *files.extensions]))
    shared = {name: dataset(name, data, source) for name, data in file.datasets.items()}
    experiments = files.experiments(shared)
    check_starts(experiments)
    return Params(source, file.scale, file.scales, shared, experiments, file.rank_tolerance)


def load_extensions(path: Path) -> None:
    """Reads the files that params.yaml and its studies name, if there is one; nothing else is checked."""
    files: list[Path] = []
    if path.exists():
        listed = validate(_Listed, [Layer("", load_yaml(path))], source=str(path))
        files += [path.parent / name for name in listed.extensions]
        for file in (params_file(entry, path) for entry in listed.studies):
            study = validate(_Listed, [Layer("", load_yaml(file))], source=str(file))
            files += [file.parent / name for name in study.extensions]
    extend(_distinct(files))


def _distinct(files: list[Path]) -> list[Path]:
    """Without those that are named twice, from wherever."""
    found: dict[Path, Path] = {}
    for file in files:
        found.setdefault(file.resolve(), file)
    return list(found.values())
