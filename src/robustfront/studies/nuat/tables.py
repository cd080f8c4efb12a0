"""The paper's Tables 1a, 1b and 2, and accuracies at larger radii: percent, clean and under its attacks."""

from robustfront.reporting.columns import Column, Printed
from robustfront.reporting.published import Row
from robustfront.reporting.tables import Source, TableSpec

CLEAN = Column("clean", "Clean", "clean", metric="accuracy", printed=Printed("clean_accuracy", "none"))


def _under(attack: str, heading: str, printed: str) -> Column:
    return Column(attack, heading, attack, metric="accuracy", printed=Printed("robust_accuracy", printed))


OF_PARTS = "At small scales AutoAttack, of either version, stands for APGD-CE and T-APGD alone."
GAMA = _under("gama", "GAMA-100", "GAMA")

TABLE1A = TableSpec(
    "NuAT (S004), Table 1a",
    {"method": "Method", "at_steps": "AT steps"},
    [
        CLEAN,
        _under("pgd-20", "PGD-20", "PGD-20"),
        _under("pgd-500", "PGD-500", "PGD-500"),
        GAMA,
        _under("autoattack", "AA (v1)", "AutoAttack"),
    ],
    published="table1a",
    sources=[Source("white-box", "white-box")],
    notes=(
        "PGD-20 is PGD-500 after 20 of its steps. The paper's page lost the heads of these two columns; "
        "they are those of the authors' image. Its rows from Normal to GAT are those that the GAT paper "
        "printed, not trained anew.",
        OF_PARTS,
    ),
)
TABLE1B = TableSpec(
    "NuAT (S004), Table 1b",
    {"method": "Method", "at_steps": "AT steps", "epochs": "Epochs (printed)"},
    [
        CLEAN,
        _under("pgd-100", "PGD-100", "PGD-100"),
        GAMA,
        _under("autoattack", "AA (v2)", "AutoAttack"),
    ],
    published="table1b",
    sources=[Source("white-box", "white-box-wrn")],
    notes=(
        "Epochs as printed: 50 + 5 are 50 epochs, of whose steps as many as in 5 epochs had an attack of "
        "two steps. Ours stand in the section on hybrids. The paper's rows TRADES and AWP are other "
        "authors' released models.",
        OF_PARTS,
    ),
)
TABLE2 = TableSpec(
    "NuAT (S004), Table 2",
    {"method": "Method"},
    [
        CLEAN,
        _under("pgd-500", "PGD-500", "PGD-500"),
        GAMA,
        _under("autoattack", "AA (v1)", "AutoAttack"),
    ],
    published="table2",
    sources=[Source("white-box", "white-box")],
    notes=(
        "FBF's AutoAttack accuracy on CIFAR-10 is 42.37 in Table 2 and 43.12 in Table 1a; both as printed.",
        OF_PARTS,
    ),
)


def _own(*runs: tuple[str, str]) -> list[Row]:
    return [
        Row(str(position), run, {"method": method}) for position, (run, method) in enumerate(runs, start=1)
    ]


RADII = TableSpec(
    "Larger radii, and variants of NuAT",
    {"method": "Method"},
    [
        CLEAN,
        Column("pgd-20", "PGD-20", "pgd-20", metric="accuracy"),
        Column("gama", "GAMA-100", "gama", metric="accuracy"),
    ],
    rows=_own(
        ("fgsm-at", "FGSM-AT"),
        ("rfgsm-at", "RFGSM-AT"),
        ("fbf", "FBF"),
        ("gat", "GAT"),
        ("gat-wa", "GAT-WA"),
        ("nuat", "NuAT"),
        ("nuat-wa", "NuAT-WA"),
        ("nuat-eps12", "NuAT, trained at 1.5 ε"),
        ("nuat-eps16", "NuAT, trained at 2 ε"),
        ("nuat-eq2", "NuAT by Eq. 2: CE on x′"),
        ("nuat-constant-momentum", "NuAT, momentum 0.9 throughout"),
        ("pgd-at", "PGD-AT"),
        ("trades", "TRADES"),
    ),
    sources=[Source("ε", "white-box"), Source("1.5 ε", "eps-12"), Source("2 ε", "eps-16")],
)
