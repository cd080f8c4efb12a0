from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor


@pytest.fixture
def in_float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All that is float32 by default, or made so by `.float()`, is float64; random numbers stay the same."""

    def widened(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda *shape, **settings: draw(*shape, dtype=torch.float32, **settings).double()

    monkeypatch.setattr(Tensor, "float", Tensor.double)
    monkeypatch.setattr(torch, "rand", widened(torch.rand))
    monkeypatch.setattr(torch, "randn", widened(torch.randn))
    torch.set_default_dtype(torch.float64)
    with torch.random.fork_rng():
        yield
    torch.set_default_dtype(torch.float32)
