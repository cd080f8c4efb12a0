import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import functional

from robustfront.config.images import CropFlip, CropFlipRotate, NoAugmentation, ResizedCrop
from robustfront.data import augment as augment_module
from robustfront.data.augment import augment, crop_and_flip, crop_flip_rotate, resized_crop, to_float

CUDA = pytest.param(
    "cuda",
    marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")],
)


def random_images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def naive(images: np.ndarray, pad: int, offsets: list[list[int]], flips: list[bool]) -> np.ndarray:
    _, channels, height, width = images.shape
    out = np.empty_like(images)
    for i, image in enumerate(images):
        padded = np.zeros((channels, height + 2 * pad, width + 2 * pad), np.uint8)
        padded[:, pad : pad + height, pad : pad + width] = image
        top, left = offsets[i]
        crop = padded[:, top : top + height, left : left + width]
        out[i] = crop[:, :, ::-1] if flips[i] else crop
    return out


@settings(deadline=None)
@given(data=st.data())
def test_crop_and_flip_equals_a_loop_over_images(data):
    count, channels = data.draw(st.integers(0, 5)), data.draw(st.integers(1, 4))
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    pad = data.draw(st.integers(0, 4))
    offset = st.lists(st.integers(0, 2 * pad), min_size=2, max_size=2)
    offsets = data.draw(st.lists(offset, min_size=count, max_size=count))
    flips = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    images = random_images(count, channels, height, width)

    result = crop_and_flip(
        images,
        pad,
        torch.tensor(offsets, dtype=torch.int64).view(count, 2),
        torch.tensor(flips, dtype=torch.bool),
    )

    assert result.dtype == torch.uint8
    assert np.array_equal(result.numpy(), naive(images.numpy(), pad, offsets, flips))


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_every_crop_and_flip_is_drawn_equally_often(device):
    pad, draws = 2, 20_000
    # Every pixel value is distinct, so an augmented image tells which crop and flip it is.
    image = torch.arange(1, 37, dtype=torch.uint8).view(1, 1, 6, 6)
    crops = {
        naive(image.numpy(), pad, [[top, left]], [flip]).tobytes(): (top, left, flip)
        for top in range(2 * pad + 1)
        for left in range(2 * pad + 1)
        for flip in (False, True)
    }
    assert len(crops) == 50

    batch = image.expand(draws, -1, -1, -1).to(device)
    out = augment(batch, CropFlip(pad=pad, flip=True), torch.Generator(device).manual_seed(3)).cpu().numpy()

    counts = dict.fromkeys(crops, 0)
    for picture in out:
        counts[picture.tobytes()] += 1
    chi_squared = sum((n - draws / 50) ** 2 / (draws / 50) for n in counts.values())
    assert chi_squared < 85.4  # 99.9 % quantile at 49 degrees of freedom


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_the_generator_alone_decides(device):
    images = random_images(64, 3, 8, 8).to(device)
    settings_ = CropFlip(pad=2, flip=True)
    generator = torch.Generator(device).manual_seed(5)
    first = augment(images, settings_, generator)
    state = generator.get_state()
    second = augment(images, settings_, generator)
    generator.set_state(state)

    assert torch.equal(augment(images, settings_, torch.Generator(device).manual_seed(5)), first)
    assert torch.equal(augment(images, settings_, generator), second)
    assert not torch.equal(first, second)


def test_without_augmentation_images_stay_as_they_are():
    images = random_images(7, 3, 5, 4)
    before = images.clone()
    assert torch.equal(augment(images, CropFlip(), torch.Generator()), before)


def test_the_store_is_not_written_to():
    images = random_images(32, 3, 8, 8)
    before = images.clone()
    augment(images, CropFlip(pad=4, flip=True), torch.Generator().manual_seed(0))
    assert torch.equal(images, before)


def test_to_float_divides_by_255_and_leaves_the_bytes_alone():
    images = torch.arange(256, dtype=torch.uint8)
    expected = (np.arange(256) / 255).astype(np.float32)
    assert np.array_equal(to_float(images).numpy(), expected)
    assert images.dtype == torch.uint8


# ------------------------------------------------------------------------------------- rotations
def rotated_by_torchvision(images, pad, offsets, flips, degrees):
    crops = naive(images.numpy(), pad, offsets.tolist(), flips.tolist())
    return torch.stack(
        [
            functional.rotate(torch.from_numpy(crop.copy()), float(angle))
            for crop, angle in zip(crops, degrees, strict=True)
        ]
    )


@pytest.mark.parametrize("shape", [(32, 32), (8, 8), (5, 7), (9, 4)])
@pytest.mark.parametrize("pad", [0, 4])
def test_crops_flips_and_rotations_are_those_of_torchvision(shape, pad):
    generator = torch.Generator().manual_seed(1)
    images = random_images(64, 3, *shape) + 1  # hardly a pixel is zero of itself
    offsets = torch.randint(2 * pad + 1, (64, 2), generator=generator)
    flips = torch.randint(2, (64,), generator=generator) == 1
    degrees = 360 * torch.rand(64, generator=generator) - 180
    ours = crop_flip_rotate(images, pad, offsets, flips, degrees)
    theirs = rotated_by_torchvision(images, pad, offsets, flips, degrees)
    assert ours.dtype == torch.uint8
    # Where a pixel comes from the middle between two, rounding decides.
    assert (ours != theirs).float().mean() < 1e-4


def test_small_rotations_leave_the_middle_and_large_ones_bring_zeros():
    images = torch.full((2, 1, 9, 9), 7, dtype=torch.uint8)
    zeros, no = torch.zeros((2, 2), dtype=torch.int64), torch.zeros(2, dtype=torch.bool)
    still, turned = crop_flip_rotate(images, 0, zeros, no, torch.tensor([0.0, 45.0]))
    assert torch.equal(still, images[0])
    assert (turned[0, 4, 4], turned[0, 0, 0]) == (7, 0)


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_angles_are_drawn_per_image_uniformly_and_after_crops_and_flips(device, monkeypatch):
    seen = []
    monkeypatch.setattr(augment_module, "crop_flip_rotate", lambda *given: seen.append(given) or given[0])
    images = random_images(20_000, 1, 2, 2).to(device)
    kind = CropFlipRotate(pad=2, flip=True, degrees=15.0)
    augment(images, kind, torch.Generator(device).manual_seed(3))
    ((_, pad, offsets, flips, degrees),) = seen
    assert pad == 2
    assert degrees.shape == (20_000,)
    assert degrees.abs().max() < 15
    assert abs(degrees.mean()) < 4 * 15 / (3 * 20_000) ** 0.5
    assert degrees.var() == pytest.approx(75, rel=0.05)
    generator = torch.Generator(device).manual_seed(3)  # crops and flips are drawn as without a rotation
    assert torch.equal(offsets, torch.randint(5, (20_000, 2), generator=generator, device=device))
    assert torch.equal(flips, torch.randint(2, (20_000,), generator=generator, device=device) == 1)


@pytest.mark.parametrize("flip", [False, True])
def test_resized_crops_are_those_of_torchvision(flip):
    images = random_images(3, 3, 16, 12)
    boxes = torch.tensor([[0, 0, 16, 12], [2, 3, 8, 6], [5, 1, 11, 4]])
    sides = torch.tensor([16.0, 12.0])
    flips = torch.full((3,), flip)
    ours = resized_crop(images, boxes[:, :2] / sides, boxes[:, 2:] / sides, flips)
    theirs = []
    for image, box in zip(images, boxes.tolist(), strict=True):
        large = functional.resized_crop(image, *box, size=[16, 12], antialias=False)
        theirs.append(large.flip(-1) if flip else large)
    middle = (slice(None), slice(None), slice(3, -3), slice(3, -3))  # at the border we see beyond the box
    assert (ours[middle].int() - torch.stack(theirs)[middle]).abs().max() <= 1
    assert ours.dtype == torch.uint8


def test_boxes_of_resized_crops_have_the_areas_and_shapes_that_are_asked(monkeypatch):
    seen = []
    monkeypatch.setattr(augment_module, "resized_crop", lambda *given: seen.append(given) or given[0])
    images = random_images(20_000, 1, 2, 2)
    augment(images, ResizedCrop(least=0.2, aspect=1.5), torch.Generator().manual_seed(3))
    ((_, corners, sizes, flips),) = seen
    area, ratio = sizes.prod(dim=1), sizes[:, 1] / sizes[:, 0]
    assert area.min() > 0.19
    assert (ratio.log().abs() <= np.log(1.5) + 1e-5).all()
    assert area.mean() == pytest.approx(0.6, abs=0.02)
    assert ((corners >= 0) & (corners + sizes <= 1 + 1e-6)).all()
    assert flips.float().mean() == pytest.approx(0.5, abs=0.02)


def test_no_augmentation_draws_nothing():
    images, generator = random_images(3, 1, 4, 4), torch.Generator().manual_seed(0)
    state = generator.get_state()
    assert torch.equal(augment(images, NoAugmentation(), generator), images)
    assert torch.equal(generator.get_state(), state)
