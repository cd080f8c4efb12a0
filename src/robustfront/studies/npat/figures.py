"""Figures 1, 4, 5 and 6: what is drawn of which runs; how is said in `reporting`."""

from matplotlib.figure import Figure

from robustfront.reporting.curves import Curves
from robustfront.reporting.drawing import BLUE, GREY, ORANGE, VERMILION
from robustfront.reporting.dynamics import dynamics
from robustfront.reporting.fronts import Family, front
from robustfront.reporting.results import Results
from robustfront.reporting.surfaces import surfaces
from robustfront.reporting.sweeps import Look, sweep
from robustfront.reporting.tables import reproduce
from robustfront.studies.npat.models import model
from robustfront.studies.npat.tables import TABLE1, TABLE3

# Colour: what the method does. Marker: what generates its training samples (o PGD, s TRADES, ^ SCORE).
FAMILIES = (
    Family("standard training", GREY, {"st": "o", "lse-st": "X"}),
    Family(
        "adversarial training",
        BLUE,
        {"pgd-at": "o", "trades": "s", "trades-b0.01": "D", "frl": "P", "caat": "p", "score": "^"},
    ),
    Family("NPDA (this paper)", ORANGE, {"npda-pgd": "o", "npda-trades": "s", "npda-score": "^"}),
    Family(
        "NPGD (this paper)",
        VERMILION,
        {"npgd-pgd": "o", "npgd-trades": "s", "npgd-score": "^", "npgd-score-lse": "v"},
    ),
)
FOLLOWED = {"npda-pgd": "NPDA + PGD-AT", "npgd-pgd": "NPGD + PGD-AT"}
"""Run -> what Figure 4 calls it; the paper does not say which variant it shows."""

LOSSES: Curves = {
    "train_clean_loss": ("train, CE(x)", BLUE, "--"),
    "validation_clean_loss": ("validation, CE(x)", BLUE, "-"),
    "train_adversarial_loss": ("train, β KL(x, x′)", VERMILION, "--"),
    "validation_adversarial_loss": ("validation, CE(x′)", VERMILION, "-"),
}


def figure1(results: Results) -> Figure:
    """Figure 1: clean accuracy against AutoAttack accuracy, a point per row of Table 1."""
    rows = [(row.run, row.labels["method"], row.labels["pretrained"]) for row in results.rows("table1")]
    names = [name for _, name, _ in rows]
    apart = {run: f"{name} from {start}" for run, name, start in rows if names.count(name) > 1}
    table = reproduce(TABLE1, results)
    return front(table, FAMILIES, attack="autoattack", names=apart)


def figure4(results: Results) -> Figure:
    """Figure 4: loss, and accuracy with robustness, after each epoch of NPDA and NPGD."""
    return dynamics(results, FOLLOWED, LOSSES)


def figure5(results: Results) -> Figure:
    """Figure 5: clean and AutoAttack accuracy against beta, from Table 3."""
    return sweep(
        reproduce(TABLE3, results),
        along="beta",
        by="method",
        colours={"NPDA": ORANGE, "NPGD": VERMILION},
        looks={"clean": Look("clean", "o", "-"), "autoattack": Look("under attack", "s", "--")},
        xlabel="adversarial coefficient β",
    )


def figure6(results: Results) -> Figure:
    """Figure 6: loss surfaces, with a row for NPDA, one for NPGD and one for the rest."""
    return surfaces(results, own_rows=("npda", "npgd"), label=model)
