"""The paper's Tables 1 to 4: accuracies as fractions, clean and under its attacks, in both kinds of suites.

A radius is a table of its own: all attacks of a suite share one.
"""

from collections.abc import Mapping

from robustfront.reporting.columns import Column, Derived, Printed, mean_of
from robustfront.reporting.tables import Source, TableSpec

CLEAN = Column("clean", "Standard", "clean", "accuracy", "fraction", Printed("clean_accuracy", "none"))
"""Printed in the first line of a table alone."""

LINF = {
    "pgd": "PGD",
    "autopgd": "AutoPGD",
    "mifgsm": "MIFGSM",
    "fab": "FAB",
    "t-fab": "T-FAB",
    "fgsm": "FGSM",
}
L2 = {"pgd-l2": "PGD-L2", "autopgd-l2": "AutoPGD-L2", "t-autopgd-l2": "T-AutoPGD-L2"}
ELEVEN = (
    *("t-autopgd-dlr", "t-autopgd-l2", "t-fab", "fgsm", "pgd", "autopgd", "mifgsm", "fab"),
    *("pgd-l2", "autopgd-l2", "autoattack"),
)
"""The attacks of Table 2, in its order."""
NAMES = LINF | L2 | {"t-autopgd-dlr": "T-AutoPGD-DLR", "autoattack": "AutoAttack"}

FAITHFUL, CORRECTED = "faithful", "corrected"
OF_PARTS = "At small scales AutoAttack stands for its first two parts, APGD-CE and T-APGD."
COPIED = (
    "Printed FGSM accuracies of Vanilla AT on ResNet34 are, at all four radii, those of Vanilla AT on "
    "ResNet18 "
    "under T-AutoPGD-L2 in Table 3: a column copied by mistake, which says nothing of FGSM."
)
LABELS = {"network": "Network", "method": "Method", "parameter": "Parameter", "norm": "Batch norm"}


def attacked(attack: str, name: str, eps: str = "") -> Column:
    """A column of robust accuracies; `name` and `eps`: as printed."""
    return Column(attack, name, attack, "accuracy", "fraction", Printed("robust_accuracy", name, eps))


def sources(suffix: str) -> list[Source]:
    """The suite that does as the paper's code, and the one whose attacks are sound."""
    return [Source(name, f"{name}{suffix}") for name in (FAITHFUL, CORRECTED)]


def _radius(table: int, eps: str, suffix: str, attacks: Mapping[str, str], *notes: str) -> TableSpec:
    return TableSpec(
        f"CA-AT (S001), Table {table}, δ = {eps}",
        LABELS,
        [CLEAN, *(attacked(attack, name, eps) for attack, name in attacks.items())],
        published=f"table{table}-{eps.split('/', maxsplit=1)[0]}",
        sources=sources(suffix),
        block="network",
        settings={"network": "model.depth"},
        notes=notes,
    )


TABLE1 = {
    eps: _radius(1, f"{eps}/255", suffix, LINF, COPIED)
    for eps, suffix in (("8", ""), ("16", "-x2"), ("24", "-x3"), ("32", "-x4"))
}
"""Radius in 255ths -> its part of Table 1."""

TABLE3 = {
    eps: _radius(3, eps, f"-l2{suffix}", L2)
    for eps, suffix in (("0.5", ""), ("1", "-x2"), ("1.5", "-x3"), ("2", "-x4"))
}
"""Radius in l2 -> its part of Table 3."""

TABLE2 = TableSpec(
    "CA-AT (S001), Table 2",
    {"gamma": "γ", "inner": "Inner maximisation"},
    [
        CLEAN,
        *(attacked(attack, NAMES[attack]) for attack in ELEVEN),
        Derived(
            "mean",
            "Adversarial mean",
            mean_of(ELEVEN),
            "accuracy",
            "fraction",
            Printed("mean_robust_accuracy", "mean-of-11"),
        ),
    ],
    published="table2",
    sources=[
        Source(name, name, {attack: f"{name}-l2" for attack in ELEVEN if attack.endswith("-l2")})
        for name in (FAITHFUL, CORRECTED)
    ],
    notes=(
        "Radii are not printed; 8/255 and 0.5 (L2) follow from numbers that are those of Tables 1 and 3. "
        "The mean is "
        "that of the eleven attacks; its interval adds up theirs.",
        OF_PARTS,
    ),
)

QUERIES = {
    "square": "Square",
    "square-mid": "a fifth of the queries",
    "square-low": "a 50th, or 20th",
    "square-few": "10 queries",
}
SQUARES = {"square": "ε of the table", "square-small": "a quarter of it", "square-tiny": "an eighth of it"}
"""Suite -> its radius."""

TABLE4 = TableSpec(
    "CA-AT (S001), Table 4",
    {"network": "Network", "method": "Method"},
    [
        CLEAN,
        *(
            Column(
                attack,
                heading,
                attack,
                "accuracy",
                "fraction",
                Printed("robust_accuracy", "Square") if attack == "square" else None,
            )
            for attack, heading in QUERIES.items()
        ),
    ],
    published="table4",
    sources=[Source(suite, suite) for suite in SQUARES],
    block="network",
    settings={"network": "model.depth"},
    notes=(
        "The paper states neither radius nor queries, and its code never calls Square. Its standard "
        "accuracies are "
        "not those of Table 1 (0.7627 and 0.8117 here, 0.8239 and 0.8659 there), so these are other models.",
    ),
)


def front(name: str, title: str) -> TableSpec:
    """The points of a front: every weighting of a loss on a network. The paper shows pictures alone."""
    return TableSpec(
        title,
        {"model": "Model", "network": "Network"},
        [CLEAN, attacked("pgd", "PGD"), attacked("autoattack", "AutoAttack")],
        published=name,
        sources=sources(""),
        settings={"network": "model.depth"},
        notes=(OF_PARTS,),
    )
