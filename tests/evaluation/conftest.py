import pytest

from small_autoattack import limit


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """AutoAttack with fewer steps and queries."""
    limit(monkeypatch, steps=6, queries=20)
