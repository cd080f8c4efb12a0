from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path)
    yield made
    if made.process.poll() is None:
        made.end()
