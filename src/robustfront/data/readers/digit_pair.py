"""Ones and twos of MNIST or of scikit-learn's digits, at 32x32 pixels."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from robustfront.config.datasets import Dataset
from robustfront.config.datasets.digit_pair import SIZE
from robustfront.data.readers import digits, mnist
from robustfront.data.readers.base import Part, Raw


def mnist_pair(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    return _pair(mnist.read(dataset, files))


def digits_pair(dataset: Dataset, files: Mapping[str, Path]) -> Raw:
    return _pair(digits.read(dataset, files))


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 (N, C, H, W) as (N, C, size, size): bilinear, between the centres of pixels."""
    rows, columns = (_weights(length, size) for length in images.shape[-2:])
    return np.rint(rows @ images.astype(np.float64) @ columns.T).astype(np.uint8)


def _weights(before: int, after: int) -> np.ndarray:
    """(after, before), each row of sum 1: what a pixel takes of the two that are nearest to it."""
    place = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    lower = np.minimum(place.astype(int), max(before - 2, 0))
    upper = np.minimum(lower + 1, before - 1)
    weights = np.zeros((after, before))
    np.add.at(weights, (np.arange(after), lower), 1 - (place - lower))
    np.add.at(weights, (np.arange(after), upper), place - lower)
    return weights


def _pair(raw: Raw) -> Raw:
    return Raw(_of_part(raw.train), None if raw.test is None else _of_part(raw.test))


def _of_part(part: Part) -> Part:
    kept = (part.labels == 1) | (part.labels == 2)
    return Part(resized(part.images[kept], SIZE), part.labels[kept] - 1)
