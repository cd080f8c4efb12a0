"""The page of the study: Figure 2, and its sentence about errors."""

from collections.abc import Sequence
from functools import partial

from robustfront.reporting.columns import Column
from robustfront.reporting.sections import ClaimsSection, FigureSection, Section, TableSection
from robustfront.reporting.tables import TableSpec, reproduce
from robustfront.studies.ca_at_analytic.figures import figure2a, figure2b

TABLE = TableSpec(
    "CA-AT (S001), models of Figure 2",
    {"model": "Model", "delta": "δ in training"},
    [Column("clean", "Standard", "clean"), Column("fgsm", "FGSM, δ = 0.05", "fgsm")],
    published="figure2",
    notes=(
        "FGSM stays among valid images, where one step is the strongest attack on a linear model; Eq. 3 "
        "does not stay "
        "there.",
    ),
)
SECTIONS: Sequence[Section] = (
    FigureSection(
        "figure2a",
        "Figure 2a: gradients of images",
        figure2a,
        text="t-SNE of the clean and the adversarial gradient of the same test images, to (w, b), after the "
        "last epoch "
        "(the paper shows training images). Above each panel what t-SNE cannot invent: how many gradients "
        "have one "
        "of their own kind as the nearest in all dimensions, the other one of the same image aside; 50 % is "
        "chance.",
        alt="Scatter plots of gradients, clean and adversarial, a panel for each radius from 0.05 to 0.3.",
    ),
    FigureSection(
        "figure2b",
        "Figure 2b: accuracy and conflict against the radius",
        figure2b,
        text="The bound is Theorem 1's for each image, as the appendix proves it, of which the mean is "
        "drawn; it holds to "
        "first order in δ. The sum of d squares, each at most δ², is d δ²; the paper prints d² δ².",
        alt="Bars of standard and adversarial accuracy; lines of the conflict with its bound, of the "
        "lengths of both "
        "gradients and of their angle, against the radius.",
    ),
    TableSection("figure2", "Models of Figure 2", partial(reproduce, TABLE)),
    ClaimsSection("claims", "Claims: what held up"),
)
