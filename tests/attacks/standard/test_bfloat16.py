import torch
from authors import curved, images

from robustfront.attacks.standard.bfloat16 import Bfloat16


def test_logits_are_float32_near_those_of_the_network_which_stays_as_it_was() -> None:
    model = curved()
    x, _ = images(model, 16)
    expected = model(x)
    approximate = Bfloat16(model)(x)
    assert approximate.dtype == torch.float32
    error = (approximate - expected).abs().amax() / expected.abs().amax()
    assert 1e-5 < error < 0.03
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert torch.equal(model(x), expected)
