"""AutoAttack in a moment."""

import pyautoattack
import pytest


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """AutoAttack with fewer steps and queries."""
    settle = pyautoattack.AutoAttack._set_version

    def set_version(self: pyautoattack.AutoAttack, version: str) -> None:
        settle(self, version)
        self.apgd.n_iter = self.apgd_targeted.n_iter = self.fab.n_iter = 6
        self.square.n_queries = 20

    monkeypatch.setattr(pyautoattack.AutoAttack, "_set_version", set_version)
