"""Executes a notebook kept as a jupytext script; exports what it shows as one self-contained HTML page."""

import re
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustfront import errors
from robustfront.artefacts import write_text
from robustfront.errors import NotebookFailed

if TYPE_CHECKING:
    from robustfront.reporting.build import Built

ONE_RUN = "training/"
"""How the names of sections begin that show the curves of a single run."""


def show(built: Sequence["Built"], folder: Path) -> None:
    """Displays in a notebook what was built in `folder`: tables, bitmaps, and in red what could not be made.

    Of the curves of single runs, which may be thousands, only those that could not be made.
    """
    from IPython.display import HTML, Image, display

    for one in built:
        section, shown = one.section, folder / one.section.shown
        if one.failed:
            display(HTML(f'<p class="failed">{escape(section.title)}: {escape(one.message)}</p>'))
        elif not section.anchor.startswith(ONE_RUN):
            display(HTML(f"<h2>{escape(section.title)}</h2>"))
            display(Image(shown, alt=section.alt) if shown.suffix == ".png" else HTML(filename=shown))


def execute(notebook: Path, out_html: Path, parameters: dict[str, Any]) -> None:
    """Runs `notebook` (percent format), its cell tagged `parameters` overridden, and writes `out_html`.

    Cells are run in this process, in the current folder (`notebook_engine`). The page shows outputs and text
    without code and loads nothing. If a cell fails, NotebookFailed names it, and the notebook with its
    traceback is kept as `<out_html>.failed.ipynb` (a successful execution removes that). The traceback is
    printed, too, unless the error is one of ours, which says all there is to say.
    """
    import jupytext
    import papermill
    from papermill.engines import papermill_engines
    from papermill.exceptions import PapermillExecutionError

    from robustfront.reporting import notebook_engine

    papermill_engines.register(notebook_engine.NAME, notebook_engine.InThisProcess)
    failed = out_html.with_name(f"{out_html.stem}.failed.ipynb")
    if not notebook.is_file():
        raise NotebookFailed(f"{notebook}: there is no such notebook")
    with tempfile.TemporaryDirectory() as folder:
        source, executed = Path(folder) / "source.ipynb", Path(folder) / "executed.ipynb"
        content = jupytext.read(notebook)
        content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        jupytext.write(content, source)
        try:
            papermill.execute_notebook(
                source,
                executed,
                parameters,
                engine_name=notebook_engine.NAME,
                progress_bar=False,
            )
        except PapermillExecutionError as error:
            write_text(failed, executed.read_text(encoding="utf-8"))
            line = next(
                (line for line in error.source.splitlines() if line.strip(" ") and line[0] != "#"), ""
            )
            if hasattr(errors, error.ename):
                raise NotebookFailed(f"{notebook}: {error.evalue}") from error
            print(re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)), file=sys.stderr)
            raise NotebookFailed(
                f"{notebook}: cell {error.exec_count} (`{line}`) failed with {error.ename}: {error.evalue}; "
                f"its traceback is in {failed}"
            ) from error
        write_text(out_html, _html(executed, title=notebook.stem))
    failed.unlink(missing_ok=True)


def _html(executed: Path, *, title: str) -> str:
    """nbconvert's `basic` template gives the body alone; the full ones load scripts from the network."""
    from markupsafe import Markup
    from nbconvert import HTMLExporter

    from robustfront.reporting.markup import template

    exporter = HTMLExporter(template_name="basic", exclude_input=True, exclude_output_prompt=True)
    body, _ = exporter.from_filename(str(executed))
    return template("notebook.html.j2").render(title=title, body=Markup(body))
