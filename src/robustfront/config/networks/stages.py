"""Stages of residual blocks, of which the first block of each widens, and all but the first stage halve."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

Shape = tuple[int, int, int]
"""Input channels, output channels, stride of a block."""


def block_shapes(widths: Sequence[int], blocks: Sequence[int]) -> Iterator[Shape]:
    """The blocks in order. `widths`: channels of the stem and of each stage; `blocks`: how many it has."""
    for stage, (inputs, outputs) in enumerate(pairwise(widths)):
        yield inputs, outputs, 2 if stage else 1
        for _ in range(blocks[stage] - 1):
            yield outputs, outputs, 1
