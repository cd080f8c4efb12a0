import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from robustfront.artefacts import Layout
from robustfront.errors import NotebookFailed
from robustfront.planning import load_plan
from robustfront.reporting.notebooks import execute
from robustfront.reporting.page import write_page

NOTEBOOKS = ("npat_figure1", "npat_table1", "training_curves")


@pytest.fixture
def real_plan(project, tmp_path, write_artefacts):
    """The digits scale of params.yaml with two of its runs, in a folder, with synthetic artefacts."""
    content = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    content["scales"]["digits"]["runs"] = ["st", "npda-pgd"]
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    plan = load_plan(params, "digits")
    for run in plan.runs:
        errors = {suite.name: (8, 100, 120) for suite in plan.suites.values()}
        write_artefacts(plan, Layout(tmp_path / "results"), run, errors)
    return plan


def test_the_notebooks_make_what_the_page_shows(project, real_plan, tmp_path):
    reports = tmp_path / "reports"
    paths = {"params": "params.yaml", "results": "results", "reports": "reports"}
    parameters = {"scale": "digits"} | {name: str(tmp_path / path) for name, path in paths.items()}
    for name in NOTEBOOKS:
        execute(project / "notebooks" / f"{name}.py", reports / "notebooks" / f"{name}.html", parameters)
    write_page(real_plan, tmp_path / "results", reports)
    for name in NOTEBOOKS:
        html = (reports / "notebooks" / f"{name}.html").read_text(encoding="utf-8")
        assert not re.search(r'(src|href)="(?!data:|#|\.\./index\.html)', html), "a resource outside the page"
        assert "load_plan" not in html, "code is shown"
    assert "30.00" in (reports / "notebooks" / "npat_table1.html").read_text(encoding="utf-8")
    assert "data:image/png;base64" in (reports / "notebooks" / "training_curves.html").read_text(
        encoding="utf-8"
    )


def test_every_notebook_of_the_project_is_tested(project):
    assert tuple(sorted(path.stem for path in (project / "notebooks").glob("*.py"))) == NOTEBOOKS


def write(path: Path, *cells: str) -> Path:
    path.write_text("".join(f"# %%\n{cell}\n\n" for cell in cells), encoding="utf-8")
    return path


def test_parameters_replace_the_tagged_cell_and_the_kernel_is_this_interpreter(tmp_path):
    source = tmp_path / "n.py"
    source.write_text('# %% tags=["parameters"]\nx = 1\n\n# %%\nimport sys\nprint(sys.executable, x + 1)\n')
    execute(source, tmp_path / "n.html", {"x": 41})
    assert f"{sys.executable} 42" in (tmp_path / "n.html").read_text(encoding="utf-8")


def test_a_failing_cell_is_named_and_its_traceback_kept(tmp_path):
    source = write(tmp_path / "n.py", "x = 1", "# a comment\nprint(1 / (x - 1))")
    out = tmp_path / "n.html"
    out.write_text("older")
    with pytest.raises(NotebookFailed) as caught:
        execute(source, out, {})
    message = str(caught.value)
    assert (
        f"{source}: cell 2 (`print(1 / (x - 1))`) failed with ZeroDivisionError: division by zero" in message
    )
    assert str(tmp_path / "n.failed.ipynb") in message
    outputs = [
        output
        for cell in json.loads((tmp_path / "n.failed.ipynb").read_text())["cells"]
        for output in cell.get("outputs", [])
    ]
    assert any("ZeroDivisionError" in line for output in outputs for line in output.get("traceback", []))
    assert out.read_text() == "older"

    write(source, "x = 1")
    execute(source, out, {})
    assert not (tmp_path / "n.failed.ipynb").exists()


def test_a_kernel_that_dies_is_reported(tmp_path):
    source = write(tmp_path / "n.py", "import os", "os._exit(9)")
    with pytest.raises(NotebookFailed, match="kernel died"):
        execute(source, tmp_path / "n.html", {})


def test_a_missing_notebook_is_named(tmp_path):
    with pytest.raises(NotebookFailed, match=r"absent\.py: there is no such notebook"):
        execute(tmp_path / "absent.py", tmp_path / "n.html", {})
