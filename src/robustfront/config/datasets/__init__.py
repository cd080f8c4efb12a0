"""Data sets as configs, by where the images come from: one file per source. `data` reads them."""

from robustfront.config.datasets.base import Dataset, datasets
from robustfront.config.registry import read_package

__all__ = ["Dataset", "datasets"]

read_package(__path__, __name__)
