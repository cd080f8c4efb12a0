"""The moment that hooks are given where a test calls them without a loop."""

from typing import Any

import torch

from robustfront.methods.moment import Moment


def moment(generator: torch.Generator | None = None, images: int = 0, **where: Any) -> Moment:
    """The first step of a training of one step, of `images` images; `where` says what differs."""
    return Moment(generator=generator or torch.Generator(), indices=torch.arange(images), **where)
