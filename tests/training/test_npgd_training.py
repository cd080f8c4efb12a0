import pytest
import torch
from small_trainings import fit, trainer

EPS = torch.finfo(torch.float32).eps
EDITS = {"epochs": 8, "optimizer": {"lr": 0.2, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("ema", [None, 0.9])
def test_head_stays_in_the_null_space_through_a_whole_training(precision, ema) -> None:
    made = trainer("npgd", generator="pgd", beta=1.5, edits=EDITS | {"ema": ema, "precision": precision})
    space, model = made.method.null_space, made.model
    start = {name: value.clone() for name, value in model.state_dict().items()}
    W = start["head.weight"].double()
    seen = []

    def watch(steps: int, text: str) -> None:
        kept = [model, made.average.model] if made.average else [model]
        for which, network in enumerate(kept):
            weight = network.head.weight.detach().double()
            # Each float32 sum of W_std and the projected offset is off by half an eps of its entries. An
            # average of such weights takes over their error and adds its own rounding, decayed, each time.
            size = max(weight.norm(dim=1).max(), (weight - W).norm(dim=1).max(), W.norm(dim=1).max())
            roundings = 1 if which == 0 else 1 + 2 / (1 - (ema or 0))
            seen.append((space.offset_in_row_space(weight, W), (roundings * EPS * size).item()))

    outcome = fit(made, progress=watch)
    assert len(seen) == made.total_steps * (2 if ema else 1)
    assert all(offset <= bound for offset, bound in seen)
    logged = [row["head_offset_in_row_space"] for row in outcome.history[1:]]
    assert max(logged) <= max(bound for _, bound in seen)
    end = model.state_dict()
    moved = space.project(end["head.weight"].double() - W).abs().max()
    assert moved > 1e4 * max(bound for _, bound in seen), "the head has to move for this to mean anything"
    assert torch.equal(end["head.bias"], start["head.bias"])
    for name, parameter in model.named_parameters():
        if not name.startswith("head"):
            assert (parameter - start[name]).abs().max() > 1e-3, name


def test_without_the_projection_the_head_leaves_the_null_space() -> None:
    npgd = trainer("npgd", generator="pgd", beta=1.5, edits=EDITS)
    space, W = npgd.method.null_space, npgd.model.head.weight.detach().double()
    npgd.method.after_step = lambda at: None
    fit(npgd)
    assert space.offset_in_row_space(npgd.model.head.weight, W) > 1e-2


def test_projecting_the_gradient_alone_would_not_do() -> None:
    made = trainer("npgd", generator="pgd", beta=1.5, edits=EDITS)
    space, weight = made.method.null_space, made.model.head.weight
    W, combine = weight.detach().double(), made.method.combine

    def projected(losses, at) -> None:  # Eq. 17 to the letter
        combine(losses, at)
        weight.grad = space.project(weight.grad)

    made.method.after_step, made.method.combine = lambda at: None, projected
    fit(made)
    assert space.offset_in_row_space(weight, W) > 1e-2, "weight decay shrinks W_std itself"


def test_free_bias_is_trained() -> None:
    made = trainer("npgd", generator="pgd", beta=1.5, bias="free", edits=EDITS)
    bias = made.model.head.bias.detach().clone()
    fit(made)
    assert (made.model.head.bias - bias).abs().max() > 1e-3
