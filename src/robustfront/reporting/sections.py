"""The paper's tables and figures on the page, in the paper's order. A new one is an entry of `PAPER`."""

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
    FigureSection(
        "figure4",
        "Figure 4: training dynamics",
        "figures/npat_figure4",
        text="Loss, and accuracy with robustness, after each epoch of NPDA + PGD-AT and NPGD + PGD-AT. The "
        "paper shows its own curves as a picture and prints no numbers.",
        alt="Line plots over the epochs of training, a column for NPDA and one for NPGD: above, clean and "
        "adversarial cross entropy; below, clean and adversarial accuracy; each on training and on "
        "validation images.",
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
    TableSection("table2", "Table 2: hidden size", "tables/npat_table2"),
    TableSection(
        "claims",
        "Claims: what held up",
        "tables/npat_claims",
        text="Each checkable sentence of the paper, first against the numbers that the paper itself prints, "
        "then against the models of this project in each space of ε. docs/reproduction/npat.md says how they "
        "are judged.",
    ),
)
