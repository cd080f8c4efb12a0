"""The page of the study: the paper's tables and figures in its order, and what held up."""

from collections.abc import Sequence
from functools import partial

from robustfront.reporting.sections import FigureSection, Section, TableSection
from robustfront.reporting.tables import reproduce
from robustfront.studies.ar_strength.beyond import chain
from robustfront.studies.ar_strength.curves import figure3, figure7, figure9, figure12
from robustfront.studies.ar_strength.figures import figure1, figure4, figure5, figure10, figure11
from robustfront.studies.ar_strength.judging import Claims
from robustfront.studies.ar_strength.limits import figure6, left_over
from robustfront.studies.ar_strength.schematic import figure2
from robustfront.studies.ar_strength.tables import BESIDE, TABLE2, TABLE3, TABLE5, TABLE_SN
from robustfront.studies.ar_strength.variation import TABLE1, figure8

STRENGTH = "AR strength: the radius of the training attack in 1/255, or what stands for it on these images."
ONE_GRID = "One grid of bins for all strengths; what lies beyond it counts in the outermost bins."
LAYERS = (
    "Singular values twice, as the paper does not say of which matrix: of the convolution on its grid of "
    "pixels (circular padding, stride ignored), and of the kernel as one matrix."
)

SECTIONS: Sequence[Section] = (
    FigureSection(
        "figure1",
        "Figure 1: singular values, margins, accuracies",
        figure1,
        text=f"{STRENGTH} {LAYERS} PGD: of the images that are right when clean.",
        alt="Four panels: the standard deviation of singular values of each convolution at strength 4 and 16 "
        "by two conventions, outlines of the distribution of test margins at three strengths, and clean and "
        "PGD accuracy against the strength.",
    ),
    FigureSection(
        "figure2",
        "Figure 2: illustrations",
        figure2,
        text="A drawing, as in the paper.",
        alt="Left, two bell curves beside a decision boundary, the narrower one nearer to it; right, a line "
        "segment that passes three regions in which a network is linear.",
    ),
    FigureSection(
        "figure3",
        "Figure 3: gaps, and test loss and error",
        figure3,
        text=f"{STRENGTH} Bars are 95 % intervals over images. Of clean images, training images without "
        "augmentation. The numbers are those of Tables 3 to 5.",
        alt="Line plots against the strength, a row per data set: left, training loss, the gap of test and "
        "training loss, and the error gap; right, test loss and test error.",
    ),
    TableSection("table3", "Tables 3 and 4: ResNet-56 and ResNet-110", partial(reproduce, TABLE3)),
    TableSection("table5", "Table 5: Tiny-ImageNet", partial(reproduce, TABLE5)),
    FigureSection(
        "figure4",
        "Figure 4: margins",
        figure4,
        text=f"The logit of the class less the largest other one, of clean images. {ONE_GRID}",
        alt="Outlines of the distributions of margins at three strengths, of test and of training images.",
    ),
    FigureSection(
        "figure5",
        "Figure 5: probabilities, losses, singular values",
        figure5,
        text=f"Of clean test images. {ONE_GRID} {LAYERS}",
        alt="Outlines of the distributions of the true class's probability and the loss at three strengths, "
        "and the standard deviation of singular values of each convolution at strengths 4 and 16.",
    ),
    FigureSection(
        "figure6",
        "Figure 6: limits of singular values",
        figure6,
        text="SP: what the singular values of every layer are lowered to after each epoch. The numbers are "
        "those of the table of appendix D.3.",
        alt="Line plots against the strength, a line per limit of the singular values: error gap, loss gap, "
        "training loss and test loss.",
    ),
    TableSection(
        "table-d3", "Table of appendix D.3: limits of singular values", partial(reproduce, TABLE_SN)
    ),
    FigureSection(
        "limits",
        "What a limit leaves",
        left_over,
        text="Lowering singular values makes a kernel as large as the image; it is cut to its old size, "
        "which lets some rise again. Before and after that at the end of each epoch; the line is the limit.",
        alt="Line plots over the epochs: the largest singular value of any layer before it is limited and "
        "after, a panel per limit.",
    ),
    FigureSection(
        "figure7",
        "Figure 7: a deeper network",
        figure7,
        text=f"{STRENGTH} As Figure 3, of ResNet-110 or what stands for it at this scale.",
        alt="As Figure 3, of the deeper network.",
    ),
    FigureSection(
        "figure8",
        "Figure 8: rise of the loss under attack",
        figure8,
        text="Mean and standard deviation, over test images, of the largest rise that PGD finds within the "
        "radius of the attack.",
        alt="Lines with bars against the strength of the defence, one for each strength of the attack.",
    ),
    TableSection("table1", "Table 1: rise of the loss under attack", partial(reproduce, TABLE1)),
    FigureSection(
        "figure9",
        "Figure 9: trained by FGSM",
        figure9,
        text=f"{STRENGTH} As Figure 3, of networks that are trained on single steps.",
        alt="As Figure 3, of networks trained by single steps.",
    ),
    TableSection("table2", "Table 2: trained by FGSM", partial(reproduce, TABLE2)),
    FigureSection(
        "figure10",
        "Figure 10: margins, trained by FGSM",
        figure10,
        text=ONE_GRID,
        alt="As Figure 4, of networks trained by single steps.",
    ),
    FigureSection(
        "figure11",
        "Figure 11: probabilities, losses, singular values, trained by FGSM",
        figure11,
        text=f"{ONE_GRID} {LAYERS}",
        alt="As Figure 5, of networks trained by single steps.",
    ),
    FigureSection(
        "figure12",
        "Figure 12: accuracy under PGD",
        figure12,
        text="Of the test images that are right when clean, as the paper counts; the tables have that of all "
        "beside it. Dotted: the 50 % that the paper calls reasonable.",
        alt="Accuracy under PGD against the strength of training, a panel for each network and data set.",
    ),
    FigureSection(
        "chain",
        "Beside the paper: even singular values and concentrated margins",
        chain,
        text="The paper argues from even singular values to concentrated margins. Points are networks, "
        "numbers strengths; bars, by layer, the correlation over networks of its STD with the spread of "
        "test margins. Few networks: a correlation of a single layer says little.",
        alt="Scatter plots of networks, mean standard deviation of singular values against spread of test "
        "margins, and bars of the correlation for each convolution, by two conventions.",
    ),
    TableSection("beside", "Beside the paper: batch norm, best weights", partial(reproduce, BESIDE)),
    Claims(
        "claims",
        "Claims: what held up",
        text="Each checkable sentence of the paper. The numerals of its tables are lost in our source, so in "
        "print only appendix B.2 can be checked. A gap is compared only where the network of strength 4 fits "
        "its training images better than test images beyond chance. docs/reproduction/ar-strength.md says "
        "how the sentences are read.",
    ),
)
