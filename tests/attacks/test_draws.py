import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from robustfront.attacks import Ball, pgd
from robustfront.attacks.draws import BLOCK, ByPosition, PartGenerator, draw, of_another_batch, of_some
from robustfront.config.schema import Ascent, Threat
from toy_models import random_images, random_linear

IMAGES, SHAPE = 3 * BLOCK + 5, (2, 3, 3)
LIKE = torch.zeros(IMAGES, *SHAPE)


def noise(positions: Tensor, seed: int = 0, draws: int = 3) -> list[Tensor]:
    """Successive draws for the images at `positions`, in turn uniform, normal and a number per image."""
    source, like = ByPosition(seed, positions), LIKE[: len(positions)]
    kinds = [(torch.rand, ()), (torch.randn, ()), (torch.rand, (len(like), 1, 1, 1))]
    return [draw(kind, like, source, *shape) for kind, shape in kinds[:draws]]


ALL = noise(torch.arange(IMAGES))


@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_the_batch_size_changes_no_number(batch_size: int) -> None:
    batches = [noise(batch) for batch in torch.arange(IMAGES).split(batch_size)]
    for whole, *parts in zip(ALL, *batches, strict=True):
        assert torch.equal(torch.cat(parts), whole)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, IMAGES - 1), min_size=1, max_size=80))
def test_any_images_in_any_order_get_their_own_numbers(positions: list[int]) -> None:
    at = torch.tensor(positions)
    for found, whole in zip(noise(at), ALL, strict=True):
        assert torch.equal(found, whole[at])


def test_images_that_are_kept_draw_on_as_if_the_others_were_there() -> None:
    source = ByPosition(0, torch.arange(IMAGES))
    first = draw(torch.rand, LIKE, source)
    kept = torch.arange(IMAGES) % 5 == 2
    source.keep(kept)
    second = draw(torch.randn, LIKE[kept], source)
    assert torch.equal(first, ALL[0])
    assert torch.equal(second, ALL[1][kept])


def test_numbers_differ_between_images_draws_and_seeds() -> None:
    rows = ALL[0].flatten(1)
    assert len(rows.unique(dim=0)) == IMAGES
    source = ByPosition(0, torch.arange(IMAGES))
    first, second = (draw(torch.rand, LIKE, source) for _ in range(2))
    assert torch.equal(first, ALL[0])
    assert not (first == second).any()
    assert not (noise(torch.arange(IMAGES), seed=1)[0] == ALL[0]).any()


def test_numbers_are_uniform_and_normal_across_blocks() -> None:
    like = torch.zeros(40 * BLOCK, 4, 5, 5)
    source = ByPosition(3, torch.arange(len(like)))
    uniform, normal = draw(torch.rand, like, source), draw(torch.randn, like, source)
    n = like.numel()
    assert abs(uniform.mean().item() - 0.5) < 5 * (1 / 12 / n) ** 0.5
    assert abs(uniform.var().item() - 1 / 12) < 5 * (1 / 180 / n) ** 0.5
    assert abs(normal.mean().item()) < 5 * n**-0.5
    assert abs(normal.var().item() - 1) < 5 * (2 / n) ** 0.5
    across = (uniform[:-BLOCK] - 0.5) * (uniform[BLOCK:] - 0.5)  # of neighbouring blocks
    assert abs(across.mean().item()) < 5 / 12 / across.numel() ** 0.5


def test_another_batch_is_drawn_for_by_itself_within_a_step() -> None:
    generator, plain = PartGenerator().take(slice(2, 5), 8), torch.Generator().manual_seed(3)
    generator.manual_seed(3)
    with of_another_batch(generator):
        found = draw(torch.rand, torch.empty(6, 2), generator)
    assert torch.equal(found, torch.rand(6, 2, generator=plain))
    assert draw(torch.rand, torch.empty(3, 2), generator).shape == (3, 2)  # rows of the batch of 8 again
    with of_another_batch(plain):
        assert draw(torch.rand, torch.empty(4, 2), plain).shape == (4, 2)


def test_some_of_the_images_get_their_own_numbers_within_a_step() -> None:
    whole = draw(torch.rand, torch.empty(8, 2), PartGenerator().manual_seed(3))
    generator = PartGenerator().take(slice(2, 7), 8)
    generator.manual_seed(3)
    with of_some(generator, torch.tensor([0, 4, 1])):
        assert generator.is_cut
        assert torch.equal(draw(torch.rand, torch.empty(3, 2), generator), whole[[2, 6, 3]])
    assert generator.rows == slice(2, 7)
    plain = torch.Generator().manual_seed(3)
    with of_some(plain, torch.tensor([0, 4, 1])):  # it knows of no batch
        assert torch.equal(draw(torch.rand, torch.empty(3, 2), plain), whole[:3])


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("start", ["uniform", "gaussian"])
def test_pgd_with_restarts_attacks_an_image_alike_in_any_company(norm: str, start: str) -> None:
    model = random_linear(4, SHAPE, norm=2.0).eval()
    x = random_images(IMAGES, SHAPE)
    labels = model(x).argmax(1)
    ball = Ball.of(Threat.model_validate({"norm": norm, "eps": 0.1}), model.mean, model.std)
    ascent = Ascent.model_validate({"steps": 2, "step_size": 0.02, "start": start, "restarts": 3})

    def attacked(at: Tensor) -> Tensor:
        return pgd(model, x[at], labels[at], ball, ascent, generator=ByPosition(5, at))

    whole = attacked(torch.arange(IMAGES))
    some = torch.randperm(IMAGES, generator=torch.Generator().manual_seed(0))[:30]
    torch.testing.assert_close(attacked(some), whole[some])
    torch.testing.assert_close(torch.cat([attacked(one) for one in some.split(7)]), whole[some])
