"""The examples of the documentation, as files of a project."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def write_examples(page: str, folder: Path) -> list[Path]:
    """Writes the Python files that a page shows whole, each under the name that the text before it gives."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)```", text, re.S)
    assert found, page
    for name, content in found:
        (folder / name).write_text(content, encoding="utf-8")
    return [folder / name for name, _ in found]
