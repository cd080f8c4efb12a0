import json
import sys
from pathlib import Path

import pytest

from robustfront.errors import NotebookFailed
from robustfront.reporting.notebooks import execute


def write(path: Path, *cells: str) -> Path:
    path.write_text("".join(f"# %%\n{cell}\n\n" for cell in cells), encoding="utf-8")
    return path


def test_parameters_replace_the_tagged_cell_and_the_kernel_is_this_interpreter(tmp_path):
    source = tmp_path / "n.py"
    source.write_text('# %% tags=["parameters"]\nx = 1\n\n# %%\nimport sys\nprint(sys.executable, x + 1)\n')
    execute(source, tmp_path / "n.html", {"x": 41})
    assert f"{sys.executable} 42" in (tmp_path / "n.html").read_text(encoding="utf-8")


def test_a_last_cell_may_follow_those_of_the_notebook(tmp_path):
    source = write(tmp_path / "n.py", "x = 1")
    execute(source, tmp_path / "n.html", {}, "print('the sum is', x + 1)")
    assert "the sum is 2" in (tmp_path / "n.html").read_text(encoding="utf-8")


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
