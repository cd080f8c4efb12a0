import subprocess
import sys
from pathlib import Path


def test_reports_import_neither_torch_nor_pyplot(project: Path):
    source = project / "src"
    files = [
        path
        for part in ("reporting", "studies")
        for path in (source / "robustfront" / part).rglob("*.py")
        if path.stem != "notebook_engine"  # which is imported when a notebook is executed
    ]
    modules = [".".join(path.relative_to(source).with_suffix("").parts) for path in files]
    assert len(modules) > 30
    code = "import sys\n" + "\n".join(f"import {name.removesuffix('.__init__')}" for name in modules)
    code += "\nprint({'torch', 'matplotlib.pyplot', 'papermill'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
