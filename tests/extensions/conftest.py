"""Registries as they were before, whatever files a test has read."""

from collections.abc import Iterator

import pytest

from robustfront.config.analyses import analyses
from robustfront.config.attacks import attacks
from robustfront.config.datasets import datasets
from robustfront.config.networks import networks
from robustfront.config.optimizers import optimizers
from robustfront.config.schedules import schedules


def restoring() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for registry in (analyses, attacks, datasets, networks, optimizers, schedules):
            patch.setattr(registry, "entries", dict(registry.entries))
        yield


restored_registries = pytest.fixture(restoring, scope="module", autouse=True)
restored_registries_of_a_test = pytest.fixture(restoring, autouse=True)
