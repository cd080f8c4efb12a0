import subprocess
import sys

MODULES = (
    "analyses",
    "claims.judging",
    "claims.rendering",
    "curves",
    "drawing",
    "feature_space",
    "figures",
    "landscapes",
    "notebooks",
    "page",
    "pipeline_diagram",
    "published",
    "remark31",
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
