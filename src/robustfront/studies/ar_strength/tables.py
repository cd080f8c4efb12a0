"""Tables 1 to 5 and that of appendix D.3: the paper's rows, each of its numbers a column."""

from robustfront.reporting.columns import Column, Printed, Quantity
from robustfront.reporting.tables import Source, TableSpec
from robustfront.studies.ar_strength import measures

SOURCE = [Source("reproduced", "test", {"train_accuracy": "train"})]
TRAIN_ACCURACY = Column(
    "train_accuracy", "Trn Acc.", "clean", metric="accuracy", printed=Printed("train_accuracy", "none")
)
TEST_ACCURACY = Column(
    "test_accuracy", "Test Acc.", "clean", metric="accuracy", printed=Printed("test_accuracy", "none")
)
ACCURACY_GAP = Quantity(
    "accuracy_gap",
    "Δ Acc.",
    measures.number(measures.error_gap, 100),
    "train",
    printed=Printed("accuracy_gap", "none"),
)
LOSSES = (
    Quantity(
        "train_loss",
        "Trn Loss",
        measures.number(measures.train_loss),
        "train",
        metric="loss",
        unit="nats",
        printed=Printed("train_loss", "none"),
    ),
    Quantity(
        "test_loss",
        "Test Loss",
        measures.number(measures.test_loss),
        "test",
        metric="loss",
        unit="nats",
        printed=Printed("test_loss", "none"),
    ),
    Quantity(
        "loss_gap",
        "Δ Loss",
        measures.number(measures.loss_gap),
        "train",
        unit="nats",
        printed=Printed("loss_gap", "none"),
    ),
)
PGD_OF_CORRECT = Quantity(
    "pgd_of_correct",
    "PGD",
    measures.number(measures.robust_of_correct, 100),
    "test",
    attack="pgd",
    metric="accuracy",
    printed=Printed("robust_accuracy_of_correct", "PGD"),
)
PGD_OF_ALL = Column("pgd", "PGD, of all", "pgd", metric="accuracy")
STRONGER = (
    Column("pgd-50", "PGD-50, of all", "pgd-50", metric="accuracy"),
    Column("apgd", "APGD, of all", "apgd", metric="accuracy"),
)
"""Whether ten steps find what there is; each scale has one of them."""
COLUMNS = (TRAIN_ACCURACY, TEST_ACCURACY, ACCURACY_GAP, *LOSSES, PGD_OF_CORRECT, PGD_OF_ALL, *STRONGER)
NOTES = (
    "Δ Acc. is training less test accuracy, Δ Loss (the GE gap) test less training loss. PGD counts, as the "
    "paper does (appendix D.2), only images that are right when clean; beside it, of all images.",
    "The text that we have of the paper lost the numerals of its tables: which numbers it prints is known, "
    "their values are not.",
)
LABELS = {"network": "Network", "strength": "Strength"}


def _spec(name: str, table: str, labels: dict[str, str], columns: tuple[Column | Quantity, ...]) -> TableSpec:
    return TableSpec(
        f"AR strength (S003), {name}",
        labels,
        columns,
        published=table,
        sources=SOURCE,
        notes=NOTES,
        block=next(iter(labels)),
        settings={"network": "model.depth"} if "network" in labels else {},
    )


TABLE2 = _spec("Table 2", "table2", LABELS, (TEST_ACCURACY, ACCURACY_GAP, *LOSSES, PGD_OF_CORRECT, *STRONGER))
TABLE3 = _spec("Tables 3 and 4", "table3", LABELS, COLUMNS)
TABLE5 = _spec("Table 5", "table5", LABELS, COLUMNS)
TABLE_SN = _spec("table of appendix D.3", "table-d3", {"limit": "SP", "strength": "Strength"}, COLUMNS)
BESIDE = TableSpec(
    "AR strength, beside the paper",
    {"what": "What", "strength": "Strength"},
    COLUMNS,
    published="beside",
    sources=SOURCE,
    notes=NOTES[:1],
    block="what",
)
