"""Imports only point down the list of docs/architecture.md."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

LAYERS = [
    {"errors"},
    {"cores"},
    {"artefacts", "devices", "checksums", "jobs", "locks", "revision", "sealed"},
    {"config"},
    {"losses", "data", "models"},
    {"attacks"},
    {"methods"},
    {"planning"},
    {"training", "evaluation"},
    {"analysis"},
    {"reporting"},
    {"studies"},
    {"upkeep"},
    {"cli", "__main__"},
    {"worker"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
OF_PAPERS = {"studies", "methods", "analysis"}
"""Parts of the package that may name papers."""
REPORTING_READS_NO_MODELS = {"data", "models", "attacks", "training"}


def imports(path: Path) -> set[str]:
    """First names below `robustfront` that a file imports, in functions and for types too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "robustfront":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("robustfront."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.split(".")[1] for alias in node.names if alias.name.startswith("robustfront.")
            }
    return found & RANK.keys()


def upward(package: Path) -> list[str]:
    lines = []
    for path in sorted(package.rglob("*.py")):
        own = path.relative_to(package).parts[0].removesuffix(".py")
        if own in RANK:
            lines += [f"{path} imports {name}" for name in imports(path) if RANK[name] > RANK[own]]
    return lines


def code_lines(text: str) -> dict[int, str]:
    """Line number -> that line of a module without comments; lines of docstrings are left out."""
    kept = dict(enumerate(text.splitlines(), 1))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            line, column = token.start
            kept[line] = kept[line][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                kept.pop(line, None)
    return kept


def names_of_papers(package: Path) -> list[str]:
    """Where the core names one, in code or in templates: docstrings and comments may."""
    found = []
    for path in sorted(path for path in package.rglob("*") if path.suffix in (".py", ".j2", ".css", ".yaml")):
        if path.relative_to(package).parts[0] in OF_PAPERS:
            continue
        text = path.read_text(encoding="utf-8")
        lines = code_lines(text) if path.suffix == ".py" else dict(enumerate(text.splitlines(), 1))
        found += [
            f"{path}:{number}: {line.strip()}"
            for number, line in lines.items()
            if re.search(r"(?<![a-z])(npat|s00\d)", line, re.IGNORECASE)
        ]
    return found


def test_the_core_names_no_paper(project: Path):
    assert names_of_papers(project / "src" / "robustfront") == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('"""NPAT (S000)."""\nx = 1  # as in S000\n', 0),
        ('def f():\n    """NPAT\n\n    and more."""\n    return "NPAT"\n', 1),
        ("s000_table1 = 1\n", 1),
        ("from robustfront.studies.npat import tables\n", 1),
        ("path = root.joinpath(name)\n", 0),
    ],
)
def test_a_paper_named_in_the_core_is_found(tmp_path: Path, text: str, count: int):
    for part in ("reporting", "studies"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "module.py").write_text(text)
    assert len(names_of_papers(tmp_path)) == count


def test_no_import_runs_upwards(project: Path):
    assert upward(project / "src" / "robustfront") == []


def test_every_part_of_the_package_has_a_layer(project: Path):
    parts = {path.stem for path in (project / "src" / "robustfront").iterdir() if path.stem != "__pycache__"}
    assert parts - {"__init__"} <= RANK.keys()


def test_reporting_reads_artefacts_never_models(project: Path):
    for part in ("reporting", "studies"):
        for path in (project / "src" / "robustfront" / part).rglob("*.py"):
            assert not imports(path) & REPORTING_READS_NO_MODELS, path


@pytest.mark.parametrize(("own", "imported"), [("data", "methods"), ("config", "planning")])
def test_an_upward_import_is_found(tmp_path: Path, own: str, imported: str):
    (tmp_path / own).mkdir()
    (tmp_path / own / "module.py").write_text(f"def f():\n    from robustfront.{imported} import x\n")
    assert len(upward(tmp_path)) == 1
