"""Gradient ascents that miss the ball they are made in: a plan warns of them and goes on.

A step wider than the ball ends at the border wherever it starts; steps that add up to less than the radius,
signed noise before them included, never get from the image to the border. Both are what a forgotten "/255"
looks like, or a step size that was meant for another norm or radius.
"""

from collections.abc import Iterator

from robustfront.config.identity import restored
from robustfront.config.quantities import length
from robustfront.config.schema import Ascent, Threat
from robustfront.methods import Methods
from robustfront.planning.plan import Plan
from robustfront.planning.study import PlannedRun, StudyPlan

NAMED = 3
"""Of runs that a warning is about, so many are named."""

ROUNDING = 1e-9
"""Relative: five steps of 2/255 are 10/255."""


def warnings(plan: Plan) -> list[str]:
    """A line for each ascent that misses its ball: file, key, numbers, what to do.

    Runs of one key and the same numbers share a line. A suite or analysis has a line in each study that has
    it, a run in the first one.
    """
    lines: list[str] = []
    known: set[str] = set()
    for study in plan.studies.values():
        where = f"{study.study.params}: scales.{study.scale}"
        own = [run for key, run in study.runs.items() if key not in known]
        known |= {*study.runs}
        lines += [f"{where}{key}: {problem}" for key, problem in _problems(study, own, plan.methods)]
    return lines


def misfit(ascent: Ascent, threat: Threat) -> str | None:
    """What is wrong with an ascent in a ball; None if it is neither too wide nor too short."""
    step, eps = ascent.step_size, threat.eps
    if step > 2 * eps * (1 + ROUNDING):
        return (
            f"a step of {length(step)} is more than twice eps = {length(eps)}, so it ends at the border of "
            "the ball wherever it starts; make it smaller, or write it as a part of 255 if it was meant so"
        )
    begun = ascent.start_std if ascent.start == "sign" else 0.0  # of every pixel, perhaps the other way
    if (reach := begun + ascent.steps * step) < eps * (1 - ROUNDING):
        return (
            f"{ascent.steps} step(s) of {length(step)} reach no further than {length(reach)} "
            f"of eps = {length(eps)}, so the attack cannot use its ball; make them larger or more"
        )
    return None


def _problems(study: StudyPlan, runs: list[PlannedRun], methods: Methods) -> Iterator[tuple[str, str]]:
    """(key below the scale, problem)."""
    by_run: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for key, (ascent, threat) in _of_run(run, methods).items():
            if problem := misfit(ascent, threat):
                by_run.setdefault((key, problem), []).append(run.names[0] if run.names else run.id)
    for (key, problem), names in by_run.items():
        yield f", {_named(names)}: {key}", problem
    for name, suite in study.suites.items():
        for attack, settings in suite.attacks.items():
            for key, ascent in settings.ascents.items():
                if problem := misfit(ascent, suite.threat):
                    yield f".suites.{name}.attacks.{attack}{key}", problem
    for name, analysis in study.settings.analyses.items():
        for key, (ascent, threat) in analysis.ascents.items():
            if problem := misfit(ascent, threat):
                yield f".analyses.{name}.{key}", problem


def _of_run(run: PlannedRun, methods: Methods) -> dict[str, tuple[Ascent, Threat]]:
    method, validation = methods[run.config.method].method, run.config.training.validation
    params = restored(method.Params, run.config.params)
    found = dict(method.ascents(params, validation.threat))
    if validation.attack is not None and validation.threat is not None:
        found["training.validation.attack"] = validation.attack, validation.threat
        for name, ascent in validation.beside.items():
            found[f"training.validation.beside.{name}"] = ascent, validation.threat
    return found


def _named(names: list[str]) -> str:
    """`run 'st'`, `runs 'st', 'at', 'trades' and 9 more`; a run of several seeds or data sets once."""
    each = list(dict.fromkeys(names))
    more = f" and {len(each) - NAMED} more" if len(each) > NAMED else ""
    return f"run{'s' * (len(each) > 1)} {', '.join(map(repr, each[:NAMED]))}{more}"
