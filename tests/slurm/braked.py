"""A method for a project of the tests: standard training, a second per step as long as a file is there."""

import os
import time
from pathlib import Path

from robustfront.methods.base import register
from robustfront.methods.standard import Standard, StandardParams


class BrakedParams(StandardParams):
    brake: str


@register("braked", source="the tests", label=lambda params: params.brake)
class Braked(Standard):
    """Notes each start, and the GPU that SLURM gave it, in starts.txt."""

    Params = BrakedParams

    def attach(self, surroundings):
        super().attach(surroundings)
        with open("starts.txt", "a") as file:
            facts = [os.environ.get(name, "-") for name in ("SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES")]
            print(self.params.brake, *facts, file=file)

    def after_step(self, at):
        super().after_step(at)
        if Path(self.params.brake).exists():
            time.sleep(1)
