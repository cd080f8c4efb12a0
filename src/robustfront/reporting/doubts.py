"""What makes a robust number doubtful: checks of its weights that failed, and other attacks in the same ball.

A masking verdict is of weights and of what these are told, from the checks of all suites that tell it, and
counts in all of them. A refutation is of one number: another attack on the same images fells many more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from robustfront.config.evaluations import CLEAN, FINAL, MASKING, views
from robustfront.evaluation.comparisons import STRONGEST, Compared, Ground, ground, not_weaker, refuted
from robustfront.evaluation.verdicts import State, judged, together
from robustfront.reporting.results import Results

NOT_WEAKER = "AutoAttack not weaker"


@dataclass(frozen=True)
class Check:
    """A masking check and what it came to. `suite`: that which asked for it."""

    suite: str
    check: str
    state: State
    detail: str


class _Number(NamedTuple):
    """What a suite shows of a run. `evaluation`: its id; equal attacks of two suites are one evaluation."""

    suite: str
    attack: str
    kind: str
    ground: Ground
    evaluation: str
    outcome: str

    @property
    def place(self) -> tuple[str, str]:
        return self.suite, self.attack

    def called(self, suite: str) -> str:
        """Its name beside numbers of a suite."""
        return self.attack if self.suite == suite else f"{self.attack} of {self.suite}"


def checks(results: Results, run_id: str, suite: str, attack: str = CLEAN) -> list[Check]:
    """The masking checks of a run's weights at the condition at which a suite judges an attack.

    First that AutoAttack is not weaker than any other attack in the same ball, then those of the masking
    evaluations. One that is wanted and missing, or wanted by no suite, is a check that was not made.
    """
    network, suites = results.network(run_id), results.suites_of(run_id)
    at = ground(suites[suite], attack, network).condition
    found = list(_against_the_strongest(results, run_id, at))
    asking = [
        name for name, of in suites.items() if of.masking and ground(of, CLEAN, network).condition == at
    ]
    made = dict[str, str]()
    for name in asking:
        made.setdefault(results.evaluation_id(run_id, name, MASKING), name)
    for name in made.values():
        record = results.evaluated(run_id, name, MASKING).get("masking")
        if isinstance(record, list) and record:
            states = zip(record, judged(record), strict=True)
            found += [Check(name, one["check"], state, one["detail"]) for one, state in states]
        else:
            found.append(Check(name, "the masking checks", "not checked", "they are not there"))
    if not asking:
        found.append(Check(suite, "the masking checks", "not checked", "no suite asks for them"))
    return found


def masking_verdict(results: Results, runs: Sequence[str], suite: str, attack: str = CLEAN) -> State:
    """The worst that the checks of all seeds came to: a run without checks is not a run that passed."""
    return together([check.state for run in runs for check in checks(results, run, suite, attack)])


def refutation(results: Results, runs: Sequence[str], suite: str, attack: str) -> str:
    """Which attack in the same ball refutes what a suite shows of some seeds, and by how much; or nothing.

    `of 300 images 84 fell to autoattack, 27 to pgd-20 (19.0 points more, p = 6.9e-18)`: of several attacks
    and seeds those that are furthest apart.
    """
    found = [one for run in runs for one in _refuting(results, run, suite, attack)]
    if not found:
        return ""
    by, compared = max(found, key=lambda one: one[1].gap)
    return (
        f"of {compared.n} images {compared.second} fell to {by.called(suite)}, {compared.first} to {attack} "
        f"({100 * compared.gap:.1f} points more, p = {compared.p:.2g})"
    )


def _refuting(results: Results, run_id: str, suite: str, attack: str) -> Iterator[tuple[_Number, Compared]]:
    if attack == CLEAN:
        return
    own = ground(results.suites_of(run_id)[suite], attack, results.network(run_id))
    for other in _numbers(results, run_id):
        if other.ground == own and other.place != (suite, attack):
            compared = results.compare(run_id, (suite, attack), other.place)
            if compared is not None and refuted(compared):
                yield other, compared


def _against_the_strongest(results: Results, run_id: str, condition: float | None) -> Iterator[Check]:
    """That AutoAttack is not weaker than others in the same ball; a pair that two suites have, once."""
    numbers = [number for number in _numbers(results, run_id) if number.ground.condition == condition]
    seen = set()
    for strong in numbers:
        if strong.kind != STRONGEST or strong.outcome != FINAL:  # it was made at this condition
            continue
        for weak in numbers:
            pair = strong.evaluation, weak.evaluation, weak.outcome
            if weak.kind == STRONGEST or weak.ground != strong.ground or pair in seen:
                continue
            seen.add(pair)
            compared = results.compare(run_id, strong.place, weak.place)
            if compared is not None:
                found = not_weaker(NOT_WEAKER, strong.attack, weak.called(strong.suite), compared)
                yield Check(strong.suite, NOT_WEAKER, judged([found])[0], found["detail"])


def _numbers(results: Results, run_id: str) -> Iterator[_Number]:
    """All robust numbers of a run."""
    network = results.network(run_id)
    for name, of in results.suites_of(run_id).items():
        for attack, (evaluation, outcome) in views(of, network).items():
            if attack != CLEAN:
                kind, where = of.attacks[evaluation].kind, ground(of, attack, network)
                made = results.evaluation_id(run_id, name, evaluation)
                yield _Number(name, attack, kind, where, made, outcome)
