"""Stands for Snakemake: starts a worker, prints the name of its socket, and ends when its input does."""

import os
import sys

from robustfront.worker import starting
from robustfront.worker.client import VARIABLE

starting.start()
print(os.environ[VARIABLE], flush=True)
sys.stdin.read()
