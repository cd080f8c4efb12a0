"""The paper's tables and figures on the page, in the paper's order, other runs behind what they compare with.

A new one is an entry of `PAPER`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from markupsafe import Markup

from robustfront.reporting.rendering import template


@dataclass(frozen=True)
class Section:
    """A heading of the page and what stands under it: a file in reports/ and the same in other formats.

    `stem`: path of the file in reports/, without suffix. `text`: what a reader must know to read it, shown
    above. `alt`: of a figure, what it shows, for those who do not see it.
    """

    formats: ClassVar[dict[str, str]]
    """Suffix of each format offered for download -> its name."""

    anchor: str
    title: str
    stem: str
    text: str = ""
    alt: str = ""

    @property
    def short(self) -> str:
        """`Table 1` of `Table 1: standard and robust error`."""
        return self.title.partition(":")[0]

    @property
    def files(self) -> list[str]:
        """The files it needs, by their path in reports/."""
        return [f"{self.stem}.{suffix}" for suffix in self.formats]

    def body(self, reports: Path) -> Markup:
        """HTML of the section, without its heading."""
        return Markup(template("section.html.j2").render(section=self, content=self._content(reports)))

    def _content(self, reports: Path) -> Markup | None:
        """The fragment to show in place of an image."""
        return None


class TableSection(Section):
    """A table: the fragment `stem`.html, and its other formats."""

    formats: ClassVar = {"csv": "CSV (tidy, full precision)", "md": "Markdown", "tex": "LaTeX"}

    @property
    def files(self) -> list[str]:
        return [f"{self.stem}.html", *super().files]

    def _content(self, reports: Path) -> Markup:
        return Markup((reports / f"{self.stem}.html").read_text(encoding="utf-8"))


class FigureSection(Section):
    """A figure: `stem`.svg, and a bitmap."""

    formats: ClassVar = {"svg": "SVG", "png": "PNG"}


PAPER: Sequence[Section] = (
    TableSection("table1", "Table 1: standard and robust error", "tables/npat_table1"),
    FigureSection(
        "figure1",
        "Figure 1: accuracy against robustness",
        "figures/npat_figure1",
        text="Up and right is better. Colour says what the method does, shape what generates its training "
        "samples; bars are 95 % intervals.",
        alt="Scatter plots of clean accuracy against accuracy under AutoAttack, a point per row of Table 1: "
        "the published numbers, then the reproduced ones for each evaluation suite with 95 % intervals. The "
        "numbers are those of Table 1.",
    ),
    TableSection(
        "other-runs",
        "Other runs: what the paper does not have",
        "tables/other_runs",
        text="Runs of params.yaml that no table of the paper has, methods of your own among them, above the "
        "models of Table 1 as trained here, under the same attacks.",
    ),
    FigureSection(
        "other-runs-front",
        "Other runs, drawn: accuracy against robustness",
        "figures/other_runs_front",
        text="The reproduced panels of Figure 1 with the other runs in green.",
        alt="Scatter plots of clean accuracy against accuracy under AutoAttack, a panel for each evaluation "
        "suite, a point per run with 95 % intervals. The numbers are those of the table above.",
    ),
    FigureSection(
        "figure2a",
        "Figure 2a: the framework",
        "figures/npat_figure2a",
        text="Drawn from the runs of this scale. Tinted boxes and red arrows: where the null-space "
        "projector acts.",
        alt="Diagram: from the standard model its last layer leads to the projector P and its weights to "
        "NPDA and NPGD. P acts in the attack of NPDA and in the last layer's update of NPGD; both are"
        " then evaluated.",
    ),
    FigureSection(
        "figure2b",
        "Figure 2b: plain and projected attack steps",
        "figures/npat_figure2b",
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
        "figures/npat_figure3",
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
        "figures/npat_figure4",
        text="Loss, and accuracy with robustness, after each epoch of NPDA + PGD-AT and NPGD + PGD-AT. x′: "
        "attacked, on training images by the method's own attack, on validation images by plain PGD, "
        "which is why the two part for NPDA. The paper shows its own curves as a picture and prints no "
        "numbers.",
        alt="Line plots over the epochs of training, a column for NPDA and one for NPGD: above, the clean "
        "and the adversarial part of the training loss and the cross entropy of clean and attacked "
        "validation images; below, clean and adversarial accuracy, on training and on validation images.",
    ),
    TableSection("table3", "Table 3: adversarial coefficient β", "tables/npat_table3"),
    FigureSection(
        "figure5",
        "Figure 5: accuracy and robustness against β",
        "figures/npat_figure5",
        text="Table 3 as curves. Bars are 95 % intervals; small scales have only some of the values of β.",
        alt="Line plots of clean accuracy and of accuracy under AutoAttack against the adversarial "
        "coefficient, for NPDA and NPGD: the published numbers, then the reproduced ones for each evaluation "
        "suite. The numbers are those of Table 3.",
    ),
    FigureSection(
        "figure6",
        "Figure 6: loss surfaces",
        "figures/npat_figure6",
        text="Cross entropy around the same test images for every model, along the sign of the gradient or"
        " a random sign pattern, and a second random one; points are not clipped to valid images. "
        "Rise: highest point above the centre; slope: its mean absolute value over the plane, image "
        "by image.",
        alt="Surfaces of the mean cross entropy, a pair per model: standard model, PGD-AT, TRADES, then "
        "NPDA and NPGD by β. All surfaces of a half share one height scale.",
    ),
    TableSection("table2", "Table 2: hidden size", "tables/npat_table2"),
    FigureSection(
        "remark31",
        "Remark 3.1: what is left of the theory",
        "figures/npat_remark31",
        text="Remark 3.1 says what f − f_std is, for one and the same features h. With trained features it"
        " is (W − W_std) h_std plus a rest that the remark leaves out. NPGD of the last layer alone, "
        "on frozen features, has no rest: there the remark holds to rounding.",
        alt="Line plots over the epochs: the root mean square of f − f_std, of the part that Eq. 22 names"
        " and of the rest, for NPDA, NPGD and NPGD on frozen features; the head's offset outside the "
        "null space; what the projection leaves of NPDA's gradient; the share of the feature drift in"
        " the null space; and bars of the rest in the final models.",
    ),
    TableSection(
        "claims",
        "Claims: what held up",
        "tables/npat_claims",
        text="Each checkable sentence of the paper, first against the numbers that the paper itself prints, "
        "then against the models of this project in each space of ε. docs/reproduction/npat.md says how they "
        "are judged.",
    ),
)
