"""The parts of a study's page: tables, figures, claims. Each knows its files and makes them from `Results`.

A study's report.py lists them, in the order of its page, as `SECTIONS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from robustfront.errors import ConfigError
from robustfront.reporting.claims.judging import judge
from robustfront.reporting.claims.language import load_claims
from robustfront.reporting.claims.rendering import count_verdicts, write_claims
from robustfront.reporting.drawing import save_figure
from robustfront.reporting.markup import template
from robustfront.reporting.rendering import View, write_table, write_views
from robustfront.reporting.results import Results
from robustfront.reporting.tables import Table

CLAIMS = "claims.yaml"


@dataclass(frozen=True)
class Section:
    """A heading of the page and what stands under it.

    `anchor`: its name, in links and of its files. `text`: what a reader must know to read it, shown above.
    `alt`: of a figure, what it shows, for those who do not see it.
    """

    folder: ClassVar[str]
    """Below the study's folder in reports/."""
    downloads: ClassVar[dict[str, str]]
    """Suffix of each format offered for download -> its name."""

    anchor: str
    title: str
    text: str = field(default="", kw_only=True)
    alt: str = field(default="", kw_only=True)

    @property
    def short(self) -> str:
        """`Table 1` of `Table 1: standard and robust error`."""
        return self.title.partition(":")[0]

    @property
    def stem(self) -> str:
        """Path of its files in the study's folder, without suffix."""
        return f"{self.folder}/{self.anchor}"

    @property
    def files(self) -> list[str]:
        """Paths of its files in the study's folder."""
        return [f"{self.stem}.{suffix}" for suffix in self.downloads]

    @property
    def shown(self) -> str:
        """The file that shows it: a fragment of HTML, or a bitmap."""
        raise NotImplementedError

    def make(self, results: Results, folder: Path) -> None:
        """Writes its files; whatever it raises marks the section as failed and stops no other one."""
        raise NotImplementedError

    def body(self, folder: Path) -> Markup:
        """HTML of the section as made in `folder`, without its heading; links are relative to `folder`."""
        return Markup(template("section.html.j2").render(section=self, content=self._content(folder)))

    def _content(self, folder: Path) -> Markup | None:
        """The fragment to show in place of an image."""
        return None


@dataclass(frozen=True)
class _Tabular(Section):
    """Something whose fragment of HTML is `stem`.html."""

    folder: ClassVar = "tables"
    downloads: ClassVar = {"csv": "CSV (tidy, full precision)", "md": "Markdown", "tex": "LaTeX"}

    @property
    def files(self) -> list[str]:
        return [self.shown, *super().files]

    @property
    def shown(self) -> str:
        return f"{self.stem}.html"

    def _content(self, folder: Path) -> Markup:
        return Markup((folder / self.shown).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class TableSection(_Tabular):
    """A table of published and reproduced numbers."""

    table: Callable[[Results], Table]

    def make(self, results: Results, folder: Path) -> None:
        write_table(self.table(results), folder / self.stem)


@dataclass(frozen=True)
class ViewSection(_Tabular):
    """A table of a study's own making: its numbers, tidy, and how they print."""

    views: Callable[[Results], tuple[pd.DataFrame, Sequence[View]]]

    def make(self, results: Results, folder: Path) -> None:
        frame, views = self.views(results)
        write_views(views, frame, folder / self.stem)


@dataclass(frozen=True)
class FigureSection(Section):
    """A figure, as vectors and as a bitmap."""

    folder: ClassVar = "figures"
    downloads: ClassVar = {"svg": "SVG", "png": "PNG"}

    draw: Callable[[Results], Figure]

    @property
    def shown(self) -> str:
        return f"{self.stem}.png"

    def make(self, results: Results, folder: Path) -> None:
        save_figure(self.draw(results), folder / self.stem)


@dataclass(frozen=True)
class ClaimsSection(_Tabular):
    """The verdicts on the claims of the study's claims.yaml."""

    def make(self, results: Results, folder: Path) -> None:
        path = results.study_file(CLAIMS)
        if path is None:
            raise ConfigError(
                f"{results.study.folder}: there is no {CLAIMS}; write it, or leave this section out"
            )
        table = judge(load_claims(path), results)
        write_claims(table, folder / self.stem, f"{results.study.facts.title}: claims")

    def counts(self, folder: Path) -> list[str]:
        """How many verdicts of each kind, as made in `folder`: `In print: 20 holds`, a line per source."""
        return count_verdicts(pd.read_csv(folder / f"{self.stem}.csv", keep_default_na=False))
