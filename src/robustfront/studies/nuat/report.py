"""The page of the study: the paper's tables and figures in its order, and what held up."""

from collections.abc import Sequence
from functools import partial

from robustfront.reporting.sections import ClaimsSection, FigureSection, Section, TableSection
from robustfront.reporting.surfaces import surfaces
from robustfront.reporting.tables import reproduce
from robustfront.studies.nuat.cost import figure3b, per_epoch
from robustfront.studies.nuat.hybrids import hybrids
from robustfront.studies.nuat.norms import figure2, figure3a
from robustfront.studies.nuat.overfitting import overfitting
from robustfront.studies.nuat.tables import RADII, TABLE1A, TABLE1B, TABLE2

SECTIONS: Sequence[Section] = (
    TableSection("table1a", "Table 1a: ResNet-18", partial(reproduce, TABLE1A)),
    TableSection("table1b", "Table 1b: WideResNet-34-10", partial(reproduce, TABLE1B)),
    TableSection("table2", "Table 2: three data sets", partial(reproduce, TABLE2)),
    FigureSection(
        "figure1",
        "Figure 1: loss surfaces",
        surfaces,
        text="Cross entropy around the same test images for every model: along the sign of the gradient "
        "(left) or a random sign pattern (right), and what of a second pattern is orthogonal to it. "
        "Extents, resolution and images are not stated in the paper.",
        alt="Surfaces of the mean cross entropy, a pair per model: normal training, FGSM-AT, PGD-AT, NuAT.",
    ),
    FigureSection(
        "figure2",
        "Figure 2: attacks by nuclear and Frobenius norm",
        figure2,
        text="Each attack ascends that norm of f(x + δ) − f(x) alone, on batches of one class of a "
        "normally trained model. The paper has 100 images a class; smaller scales have fewer, as "
        "their labels say. It prints entropies without a unit; ours are in nats and bits, of the mean"
        " softmax of each class, averaged over the classes.",
        alt="Two confusion matrices, of predictions under an attack by the Frobenius norm and one by the "
        "nuclear norm; titles give mean entropy, the diagonal, and the norms that were reached.",
    ),
    FigureSection(
        "figure3a",
        "Figure 3a: nuclear norms of robust and fallen images",
        figure3a,
        text="A point is a batch of test images that are correct when clean, all of them robust to PGD-20 "
        "or all fallen to it. Lines are means.",
        alt="Columns of points for each defence: the nuclear norms of batches of robust images beside "
        "those of batches of fallen images.",
    ),
    FigureSection(
        "figure3b",
        "Figure 3b: robustness against the cost of training",
        figure3b,
        text="The paper has hours on a GPU, without a table. Seconds are those of the training steps on the "
        "machine of this report, which other work may have disturbed; passes count forward passes, with "
        "backward passes to the input as one and to all as two more.",
        alt="Scatter plots of AutoAttack accuracy against seconds and against passes of the whole training.",
    ),
    FigureSection(
        "cost",
        "Cost of an epoch",
        per_epoch,
        text="Relative to PGD-10 adversarial training.",
        alt="Bars for each run: seconds and passes of an epoch relative to PGD-AT.",
    ),
    FigureSection(
        "overfitting",
        "Catastrophic overfitting",
        overfitting,
        text="Validation accuracy under one step (FGSM) and under PGD-20, epoch by epoch. It sets in, "
        "dashed, in the first epoch with a gap above 20 points in which PGD-20 accuracy is below half"
        " of its best so far.",
        alt="Line plots over the epochs, a panel for each run that trains on one or two steps: accuracy "
        "under FGSM and under PGD-20, the gap shaded; a dashed line where catastrophic overfitting "
        "sets in.",
    ),
    FigureSection(
        "hybrids",
        "Hybrids: how often two steps",
        hybrids,
        text="Shares of batches whose attack had two steps; summed over the epochs and rounded up they are"
        " the number after the plus sign.",
        alt="Bars over the epochs for each hybrid: the share of batches with two steps.",
    ),
    TableSection("radii", "Larger radii and variants", partial(reproduce, RADII)),
    ClaimsSection(
        "claims",
        "Claims: what held up",
        text="Each checkable sentence of the paper, first against the numbers that the paper itself prints, "
        "then against the models of this project. docs/reproduction/nuat.md says how they are judged.",
    ),
)
