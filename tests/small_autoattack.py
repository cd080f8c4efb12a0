"""AutoAttack in a moment, whichever engine."""

from functools import partial

import pyautoattack
import pytest
from pyautoattack.autopgd_base import APGDAttack

from robustfront.attacks.standard import ensemble


def limit(monkeypatch: pytest.MonkeyPatch, *, steps: int, queries: int) -> None:
    """Makes every engine's attacks take so many steps and queries."""
    monkeypatch.setattr(ensemble, "apgd", partial(ensemble.apgd, steps=steps))
    monkeypatch.setattr(ensemble, "fab", partial(ensemble.fab, steps=steps))
    monkeypatch.setattr(ensemble, "square", partial(ensemble.square, queries=queries))
    settle = pyautoattack.AutoAttack._set_version

    def set_version(self: pyautoattack.AutoAttack, version: str) -> None:
        settle(self, version)
        # the authors place an attack's checkpoints when they make it
        schedule = vars(APGDAttack(None, n_iter=steps, norm=self.norm, eps=self.epsilon))
        for attack in (self.apgd, self.apgd_targeted):
            vars(attack).update(
                {name: schedule[name] for name in ("n_iter", "n_iter_2", "n_iter_min", "size_decr")}
            )
        self.fab.n_iter = steps
        self.square.n_queries = queries

    monkeypatch.setattr(pyautoattack.AutoAttack, "_set_version", set_version)
