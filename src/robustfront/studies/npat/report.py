"""The page of the study: the paper's tables and figures in its order, and what held up."""

from collections.abc import Sequence
from functools import partial

from robustfront.reporting.sections import ClaimsSection, FigureSection, Section, TableSection
from robustfront.reporting.tables import reproduce
from robustfront.studies.npat.diagram import figure2a
from robustfront.studies.npat.features import figure3
from robustfront.studies.npat.figures import figure1, figure4, figure5, figure6
from robustfront.studies.npat.paths import figure2b
from robustfront.studies.npat.remark31 import remark31
from robustfront.studies.npat.tables import TABLE1, TABLE2, TABLE3

SECTIONS: Sequence[Section] = (
    TableSection("table1", "Table 1: standard and robust error", partial(reproduce, TABLE1)),
    FigureSection(
        "figure1",
        "Figure 1: accuracy against robustness",
        figure1,
        text="Up and right is better. Colour says what the method does, shape what generates its training "
        "samples; bars are 95 % intervals.",
        alt="Scatter plots of clean accuracy against robust accuracy, a point per row of Table 1: the "
        "published numbers, then the reproduced ones for each evaluation suite with 95 % intervals. The "
        "numbers are those of Table 1, and titles name the attack.",
    ),
    FigureSection(
        "figure2a",
        "Figure 2a: the framework",
        figure2a,
        text="Drawn from the runs of this scale. Tinted boxes and red arrows: where the null-space "
        "projector acts.",
        alt="Diagram: from the standard model its last layer leads to the projector P and its weights to "
        "NPDA and NPGD. P acts in the attack of NPDA and in the last layer's update of NPGD; both are"
        " then evaluated.",
    ),
    FigureSection(
        "figure2b",
        "Figure 2b: plain and projected attack steps",
        figure2b,
        text="The real way of one test image through both attacks on the trained NPDA model. The surface "
        "is the plane through the image and both ends; the steps between them are drawn where they "
        "fall on it.",
        alt="Left, a loss surface seen from above with the ways of the plain and the projected attack; "
        "middle, the cross entropy after each step; right, the image and what both attacks make of "
        "it.",
    ),
    FigureSection(
        "figure3",
        "Figure 3: features under attack",
        figure3,
        text="Top view: two axes of the row space of W_std (the paper's column space, of its transpose); "
        "front view: one of them and one of the null space. The axes are those along which the plain "
        "attack moves features most. A random direction of feature space has the share of the dashed "
        "line in the null space: only above it does an attack prefer that space.",
        alt="Scatter plots of penultimate features before and after a plain and a projected attack, from "
        "above and from the front: the paper's toy, then trained models; below, bars of the share of "
        "the shift that lies in the null space.",
    ),
    FigureSection(
        "figure4",
        "Figure 4: training dynamics",
        figure4,
        text="Loss, and accuracy with robustness, after each epoch of NPDA + PGD-AT and NPGD + PGD-AT. x′: "
        "attacked, on training images by the method's own attack, on validation images by plain PGD, "
        "which is why the two part for NPDA. Epoch 0 is the model that the training starts from. The paper "
        "shows its own curves as a picture and prints no numbers.",
        alt="Line plots over the epochs of training, a column for NPDA and one for NPGD: above, the clean "
        "and the adversarial part of the training loss and the cross entropy of clean and attacked "
        "validation images; below, clean and adversarial accuracy, on training and on validation images.",
    ),
    TableSection("table3", "Table 3: adversarial coefficient β", partial(reproduce, TABLE3)),
    FigureSection(
        "figure5",
        "Figure 5: accuracy and robustness against β",
        figure5,
        text="Table 3 as curves. Bars are 95 % intervals; small scales have only some of the values of β.",
        alt="Line plots of clean accuracy and of robust accuracy against the adversarial coefficient, "
        "for NPDA and NPGD: the published numbers, then the reproduced ones for each evaluation "
        "suite. The numbers are those of Table 3, and titles name the attack.",
    ),
    FigureSection(
        "figure6",
        "Figure 6: loss surfaces",
        figure6,
        text="Cross entropy around the same test images for every model, along the sign of the gradient or"
        " a random sign pattern, and a second random one; points are not clipped to valid images. "
        "Rise: highest point above the centre; slope: its mean absolute value over the plane, image "
        "by image.",
        alt="Surfaces of the mean cross entropy, a pair per model: standard model, PGD-AT, TRADES, then "
        "NPDA and NPGD by β. All surfaces of a half share one height scale.",
    ),
    TableSection("table2", "Table 2: hidden size", partial(reproduce, TABLE2)),
    FigureSection(
        "remark31",
        "Remark 3.1: what is left of the theory",
        remark31,
        text="Remark 3.1 says what f − f_std is, for one and the same features h. With trained features it"
        " is (W − W_std) h_std plus a rest that the remark leaves out. NPGD of the last layer alone, "
        "on frozen features, has no rest: there the remark holds to rounding.",
        alt="Line plots over the epochs: the root mean square of f − f_std, of the part that Eq. 22 names"
        " and of the rest, for NPDA, NPGD and NPGD on frozen features; the head's offset outside the "
        "null space; what the projection leaves of NPDA's gradient; the share of the feature drift in"
        " the null space; and bars of the rest in the final models.",
    ),
    ClaimsSection(
        "claims",
        "Claims: what held up",
        text="Each checkable sentence of the paper, first against the numbers that the paper itself prints, "
        "then against the models of this project in each space of ε. docs/reproduction/npat.md says how they "
        "are judged.",
    ),
)
