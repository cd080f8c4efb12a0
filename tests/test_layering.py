"""Imports only point down the list of docs/architecture.md."""

import ast
from pathlib import Path

import pytest

LAYERS = [
    {"errors"},
    {"artefacts", "devices", "checksums", "jobs", "sealed"},
    {"config"},
    {"losses", "data", "models"},
    {"attacks"},
    {"methods"},
    {"planning"},
    {"training", "evaluation"},
    {"analysis"},
    {"reporting"},
    {"upkeep"},
    {"cli", "__main__"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
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


def test_no_import_runs_upwards(project: Path):
    assert upward(project / "src" / "robustfront") == []


def test_every_part_of_the_package_has_a_layer(project: Path):
    parts = {path.stem for path in (project / "src" / "robustfront").iterdir() if path.stem != "__pycache__"}
    assert parts - {"__init__"} <= RANK.keys()


def test_reporting_reads_artefacts_never_models(project: Path):
    for path in (project / "src" / "robustfront" / "reporting").rglob("*.py"):
        assert not imports(path) & REPORTING_READS_NO_MODELS, path


@pytest.mark.parametrize(("own", "imported"), [("data", "methods"), ("config", "planning")])
def test_an_upward_import_is_found(tmp_path: Path, own: str, imported: str):
    (tmp_path / own).mkdir()
    (tmp_path / own / "module.py").write_text(f"def f():\n    from robustfront.{imported} import x\n")
    assert len(upward(tmp_path)) == 1
