import json
import os
import sys
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from robustfront.errors import NotebookFailed
from robustfront.reporting.notebooks import execute


def write(path: Path, *cells: str) -> Path:
    path.write_text("".join(f"# %%\n{cell}\n\n" for cell in cells), encoding="utf-8")
    return path


def test_parameters_replace_the_tagged_cell_and_cells_run_in_this_process(tmp_path):
    source = tmp_path / "n.py"
    source.write_text('# %% tags=["parameters"]\nx = 1\n\n# %%\nimport os\nprint(os.getpid(), x + 1)\n')
    execute(source, tmp_path / "n.html", {"x": 41})
    assert f"{os.getpid()} 42" in (tmp_path / "n.html").read_text(encoding="utf-8")


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


def test_what_cells_show_is_kept_in_order(tmp_path):
    cells = [
        "import sys\nfrom IPython.display import HTML, display",
        "print('one')\ndisplay(HTML('<b>two</b>'))\nprint('three')\nprint('four', file=sys.stderr)\n'five'",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
    ]
    execute(write(tmp_path / "n.py", *cells), tmp_path / "n.html", {})
    page = (tmp_path / "n.html").read_text(encoding="utf-8")
    places = [page.index(text) for text in ("one", "<b>two</b>", "three", "four", "five", "data:image/png")]
    assert places == sorted(places)


def test_a_notebook_leaves_the_process_as_it_was(tmp_path):
    main = sys.modules["__main__"]
    for _ in range(2):
        execute(write(tmp_path / "n.py", "x = get_ipython()"), tmp_path / "n.html", {})
    assert sys.modules["__main__"] is main
    assert not InteractiveShell.initialized()


@pytest.mark.parametrize("error", ["SystemExit(75)", "KeyboardInterrupt()"])
def test_what_stops_the_process_in_a_cell_is_no_failure_of_the_notebook(tmp_path, error):
    source = write(tmp_path / "n.py", f"raise {error}")
    with pytest.raises((SystemExit, KeyboardInterrupt)):
        execute(source, tmp_path / "n.html", {})
    assert not (tmp_path / "n.failed.ipynb").exists()


def test_a_cell_cannot_end_the_process(tmp_path):
    with pytest.raises(NotebookFailed, match="failed with SystemExit: 3"):
        execute(write(tmp_path / "n.py", "import sys", "sys.exit(3)"), tmp_path / "n.html", {})


def test_a_missing_notebook_is_named(tmp_path):
    with pytest.raises(NotebookFailed, match=r"absent\.py: there is no such notebook"):
        execute(tmp_path / "absent.py", tmp_path / "n.html", {})


def test_a_kernel_that_a_notebook_or_its_user_has_elsewhere_is_not_asked_for(tmp_path, monkeypatch):
    """Saved by a Jupyter whose environment is called otherwise; and a kernel `python3` that is broken."""
    kernel = tmp_path / "share" / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text('{"argv": ["/nowhere/python"], "display_name": "x", "language": "x"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    source = tmp_path / "n.py"
    spec = ["jupyter:", "  kernelspec:", "    name: their-env", "    display_name: R", "    language: R"]
    head = "\n".join(["# ---", *(f"# {line}" for line in spec), "# ---\n\n"])
    source.write_text(f"{head}# %%\nprint(6 * 7)\n")
    execute(source, tmp_path / "n.html", {})
    assert "42" in (tmp_path / "n.html").read_text(encoding="utf-8")
