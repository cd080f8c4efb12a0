import subprocess
import sys

MODULES = (
    "claims.judging",
    "claims.rendering",
    "curves",
    "drawing",
    "figures",
    "notebooks",
    "page",
    "published",
    "rendering",
    "results",
    "sections",
    "tables",
    "wording",
)


def test_reporting_imports_neither_torch_nor_pyplot():
    code = "import sys\n" + "\n".join(f"import robustfront.reporting.{name}" for name in MODULES)
    code += "\nprint({'torch', 'matplotlib.pyplot', 'papermill'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
