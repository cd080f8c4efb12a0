"""What runs start from, and the runs of other studies that names stand for: over all studies, checked."""

from collections.abc import Mapping, Sequence

from robustfront.config.experiment import Experiment
from robustfront.config.layers import dotted, place
from robustfront.config.validation import chain, did_you_mean
from robustfront.errors import ConfigError

Home = tuple[str, str]
"""A study, and the name of a run there."""


def home(study: str, name: str) -> Home:
    """What a name means in the params of `study`: `<study>/<run>`, or a run of its own."""
    other, slash, own = name.partition("/")
    return (other, own) if slash else (study, name)


def check_starts(experiments: Mapping[str, Experiment]) -> None:
    """ConfigError if a run starts from, or stands for, one that does not exist, or in the end itself."""
    settled: set[Home] = set()
    for study, experiment in experiments.items():
        for name in (*experiment.runs, *experiment.borrowed):
            at, seen = (study, name), dict[Home, None]()
            while at not in settled:
                if at in seen:
                    raise _cycle(experiments, [*list(seen)[list(seen).index(at) :], at])
                seen[at] = None
                study_there, run = at
                link = _link(experiments[study_there], run)
                if link is None:
                    break
                at = home(study_there, link[0])
                _check_exists(experiments, at, study_there, *link)
            settled.update(seen)


def _link(experiment: Experiment, run: str) -> tuple[str, str] | None:
    """What a run stands for or starts from, as written, and the file and key of that; None if nothing."""
    if run in experiment.borrowed:
        return experiment.borrowed[run], f"{experiment.source}: {dotted('runs', run)}"
    init = experiment.runs[run].entry.init
    return None if init is None else (init, place(experiment.runs[run].layers, ("init",), experiment.source))


def _check_exists(experiments: Mapping[str, Experiment], at: Home, study: str, name: str, where: str) -> None:
    """`name`: what was written, at `where` in the file of `study`."""
    home_study, run = at
    if home_study not in experiments:
        known = did_you_mean(home_study, experiments)
        raise ConfigError(f"{where} = {name!r}: there is no study {home_study!r}{known}")
    theirs = experiments[home_study]
    if run in theirs.runs or run in theirs.borrowed:
        return
    if run in theirs.entries:
        raise ConfigError(
            f"{where}: '{name}' is a sweep; name one of its runs{did_you_mean('', theirs.entries[run])}"
        )
    known = did_you_mean(run, [*theirs.runs, *theirs.borrowed])
    if home_study == study:
        raise ConfigError(f"{where}: there is no run {run!r}{known}")
    raise ConfigError(f"{where} = {name!r}: study '{home_study}' has no run {run!r}{known}")


def _cycle(experiments: Mapping[str, Experiment], cycle: Sequence[Home]) -> ConfigError:
    """`cycle`: the runs, the first one again at the end."""
    first, run = cycle[0]
    names = [run for _, run in cycle]
    if any(study != first for study, _ in cycle):
        names = [f"{study}/{run}" for study, run in cycle]
    link = _link(experiments[first], run)
    assert link is not None  # or it would not be in a cycle
    borrowed = any(run in experiments[study].borrowed for study, run in cycle)
    problem = "start from, or stand for, each other" if borrowed else "start from each other"
    return ConfigError(f"{link[1]}: the runs {chain(names)} {problem}")
