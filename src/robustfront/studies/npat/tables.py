"""The paper's Tables 1 to 3: errors in percent, clean and under its two attacks."""

from robustfront.reporting.columns import errors
from robustfront.reporting.tables import TableSpec

COLUMNS = errors(("clean", "Clean", "none"), ("pgd", "PGD", "PGD"), ("autoattack", "AA", "AutoAttack"))

TABLE1 = TableSpec(
    "NPAT (S000), Table 1",
    {
        "method": "Model",
        "generation": "Adv. gen. method",
        "loss": "Loss",
        "pretrained": "Pretrained model",
    },
    COLUMNS,
    published="table1",
    settings={"pretrained": "model.pretrained"},
)
TABLE2 = TableSpec(
    "NPAT (S000), Table 2",
    {"method": "Method", "hidden": "Hidden size"},
    COLUMNS,
    published="table2",
    notes=(
        "Hidden size as printed, for a network with 512 features: 512 is the network without an extra layer. "
        "A narrower network has a layer as many times as wide as its features.",
    ),
)
TABLE3 = TableSpec("NPAT (S000), Table 3", {"method": "Method", "beta": "β"}, COLUMNS, published="table3")
