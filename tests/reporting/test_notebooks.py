import json
import re
import sys
from pathlib import Path

import jupytext
import pandas as pd
import pytest
import yaml

from robustfront.artefacts import Layout
from robustfront.errors import NotebookFailed
from robustfront.planning import load_plan
from robustfront.reporting.notebooks import execute
from robustfront.reporting.page import write_page


@pytest.fixture
def seeds(request):
    """Those of the plan: 0 alone unless a test asks for more."""
    return getattr(request, "param", [0])


@pytest.fixture
def real_plan(project, tmp_path, write_artefacts, seeds):
    """The digits scale of params.yaml with three of its runs, in a folder, with synthetic artefacts."""
    content = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    content["scales"]["digits"] |= {"runs": ["st", "npda-pgd", "npgd-frozen"], "seeds": seeds}
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    plan = load_plan(params, "digits")
    for run in plan.runs:
        errors = {suite.name: (8, 100, 120) for suite in plan.suites.values()}
        write_artefacts(plan, Layout(tmp_path / "results"), run, errors)
    return plan


@pytest.fixture
def parameters(real_plan, tmp_path):
    """What the cell tagged `parameters` of every notebook is replaced by."""
    paths = {"params": "params.yaml", "results": "results", "reports": "reports"}
    return {"scale": "digits"} | {name: str(tmp_path / path) for name, path in paths.items()}


def run_in_this_process(notebook, parameters):
    """Its cells one after the other, in a fraction of the time that a kernel takes to start."""
    names = {}
    for cell in jupytext.read(notebook).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, str(notebook), "exec"), names)
        if "parameters" in cell.metadata.get("tags", []):
            names.update(parameters)


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]], indirect=True)
def test_the_notebooks_make_what_the_page_shows(project, real_plan, parameters, seeds, tmp_path):
    notebooks = sorted((project / "notebooks").glob("*.py"))
    for notebook in notebooks:
        run_in_this_process(notebook, parameters)
    write_page(real_plan, tmp_path / "results", tmp_path / "reports")
    assert len(notebooks) > 3
    table = pd.read_csv(tmp_path / "reports" / "tables" / "other_runs.csv")
    assert set(table["run"]) == {"npgd-frozen", "st", "npda-pgd"}
    assert set(table["seeds"]) == {len(seeds)}


def test_an_executed_notebook_is_a_page_of_its_own(project, parameters, tmp_path):
    out = tmp_path / "reports" / "notebooks" / "npat_table1.html"
    execute(project / "notebooks" / "npat_table1.py", out, parameters)
    html = out.read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:|#|\.\./index\.html)', html), "a resource outside the page"
    assert "load_plan" not in html, "code is shown"
    assert "30.00" in html


def write(path: Path, *cells: str) -> Path:
    path.write_text("".join(f"# %%\n{cell}\n\n" for cell in cells), encoding="utf-8")
    return path


def test_parameters_replace_the_tagged_cell_and_the_kernel_is_this_interpreter(tmp_path):
    source = tmp_path / "n.py"
    source.write_text('# %% tags=["parameters"]\nx = 1\n\n# %%\nimport sys\nprint(sys.executable, x + 1)\n')
    execute(source, tmp_path / "n.html", {"x": 41})
    assert f"{sys.executable} 42" in (tmp_path / "n.html").read_text(encoding="utf-8")


def test_a_failing_cell_is_named_and_its_traceback_kept(tmp_path, capsys):
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
    printed = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in printed
    assert "\x1b" not in printed
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


def test_an_error_of_ours_in_a_cell_is_told_as_it_is(tmp_path, capsys):
    imports = "from pathlib import Path\nfrom robustfront.artefacts import read_json"
    source = write(tmp_path / "n.py", imports, "read_json(Path('absent.json'))")
    with pytest.raises(NotebookFailed) as caught:
        execute(source, tmp_path / "n.html", {})
    assert str(caught.value) == f"{source}: absent.json: missing; run `snakemake` to make it"
    assert "Traceback" not in capsys.readouterr().err


def test_a_kernel_that_dies_is_reported(tmp_path):
    source = write(tmp_path / "n.py", "import os", "os._exit(9)")
    with pytest.raises(NotebookFailed, match="kernel died"):
        execute(source, tmp_path / "n.html", {})


def test_a_missing_notebook_is_named(tmp_path):
    with pytest.raises(NotebookFailed, match=r"absent\.py: there is no such notebook"):
        execute(tmp_path / "absent.py", tmp_path / "n.html", {})
