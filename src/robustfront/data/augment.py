"""Random crops, flips, rotations and enlarged parts of a whole uint8 batch on its device; the way to floats.

One gather moves every pixel to its place: about 2 us per 32x32 colour image on one CPU core.
"""

import torch
import torch.nn.functional as F

from robustfront.config.images import Augmentation, CropFlipRotate, NoAugmentation, ResizedCrop


def augment(images: torch.Tensor, augmentation: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Randomly cropped (after zero padding), flipped and rotated versions of `images` uint8 (B, C, H, W).

    `generator` lies on the images' device; its state alone determines the draws, which are per image.
    """
    if isinstance(augmentation, NoAugmentation):
        return images
    count, device = len(images), images.device
    if isinstance(augmentation, ResizedCrop):
        drawn = torch.rand((count, 5), generator=generator, device=device)
        return resized_crop(images, *_boxes(drawn, augmentation), augmentation.flip & (drawn[:, 4] < 0.5))
    if augmentation.pad:
        offsets = torch.randint(2 * augmentation.pad + 1, (count, 2), generator=generator, device=device)
    else:
        offsets = torch.zeros((count, 2), dtype=torch.int64, device=device)
    if augmentation.flip:
        flips = torch.randint(2, (count,), generator=generator, device=device) == 1
    else:
        flips = torch.zeros(count, dtype=torch.bool, device=device)
    if isinstance(augmentation, CropFlipRotate):
        turns = 2 * torch.rand(count, generator=generator, device=device) - 1
        return crop_flip_rotate(images, augmentation.pad, offsets, flips, augmentation.degrees * turns)
    return crop_and_flip(images, augmentation.pad, offsets, flips)


def crop_and_flip(images: torch.Tensor, pad: int, offsets: torch.Tensor, flips: torch.Tensor) -> torch.Tensor:
    """Crops of the images' own size from their zero-padded versions, then mirrored left to right where asked.

    `offsets` int64 (B, 2) in 0..2 pad is each crop's (row, column) in the padded image; `flips` bool (B,).
    """
    height, width = images.shape[-2:]
    rows = torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    row_of = offsets[:, :1] + rows
    column_of = offsets[:, 1:] + torch.where(flips[:, None], columns.flip(0), columns)
    return _gathered(images, pad, row_of[:, :, None], column_of[:, None, :])


def crop_flip_rotate(
    images: torch.Tensor, pad: int, offsets: torch.Tensor, flips: torch.Tensor, degrees: torch.Tensor
) -> torch.Tensor:
    """What `crop_and_flip` makes, rotated counterclockwise about its centre by `degrees` float32 (B,).

    As torchvision's `rotate` does it by default: each pixel is the one nearest to where it comes from, zero
    where that lies outside the crop.
    """
    height, width = images.shape[-2:]
    angle = torch.deg2rad(degrees)[:, None, None]
    down = torch.arange(height, device=images.device)[:, None] - (height - 1) / 2
    right = torch.arange(width, device=images.device) - (width - 1) / 2
    row = (angle.sin() * right + angle.cos() * down + (height - 1) / 2).round().long()
    column = (angle.cos() * right - angle.sin() * down + (width - 1) / 2).round().long()
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    column = torch.where(flips[:, None, None], width - 1 - column, column)
    # One more pixel of padding, so that there is a zero to take: the corner.
    row_of = torch.where(inside, offsets[:, :1, None] + row + 1, 0)
    column_of = torch.where(inside, offsets[:, 1:, None] + column + 1, 0)
    return _gathered(images, pad + 1, row_of, column_of)


def _boxes(drawn: torch.Tensor, augmentation: ResizedCrop) -> tuple[torch.Tensor, torch.Tensor]:
    """Corners and sizes, both (B, 2) as (row, column) in sides of the image, from (B, 4 or more) in [0, 1].

    A side that does not fit is cut to the image's, where torchvision draws again, up to ten times.
    """
    area = augmentation.least + (1 - augmentation.least) * drawn[:, 0]
    ratio = augmentation.aspect ** (2 * drawn[:, 1] - 1)
    sizes = torch.stack([area / ratio, area * ratio], dim=1).sqrt().clamp(max=1)
    return drawn[:, 2:4] * (1 - sizes), sizes


def resized_crop(
    images: torch.Tensor, corners: torch.Tensor, sizes: torch.Tensor, flips: torch.Tensor
) -> torch.Tensor:
    """Boxes of the images uint8 (B, C, H, W), each drawn to the full size, mirrored where asked.

    `corners`, `sizes` (B, 2): (row, column), in sides of the image. Bilinear between the centres of pixels,
    beyond the outermost ones as they are, rounded; no smoothing before.
    """
    height, width = images.shape[-2:]
    rows = (torch.arange(height, device=images.device) + 0.5) / height
    columns = (torch.arange(width, device=images.device) + 0.5) / width
    columns = torch.where(flips[:, None], columns.flip(0), columns)
    y = 2 * (corners[:, :1] + rows * sizes[:, :1]) - 1
    x = 2 * (corners[:, 1:] + columns * sizes[:, 1:]) - 1
    grid = torch.stack([x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], dim=-1)
    found = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    return found.round().to(torch.uint8)


def _gathered(images: torch.Tensor, pad: int, row_of: torch.Tensor, column_of: torch.Tensor) -> torch.Tensor:
    """The pixels at the rows and columns, int64 that broadcast to (B, H, W), of the zero-padded images."""
    pixel_of = (row_of * (images.shape[-1] + 2 * pad) + column_of).flatten(1)
    padded = F.pad(images, (pad, pad, pad, pad)).flatten(2)
    return padded.gather(2, pixel_of[:, None].expand(-1, images.shape[1], -1)).view_as(images)


def to_float(images: torch.Tensor) -> torch.Tensor:
    """float32 pixels in [0, 1] from uint8: v / 255, correctly rounded."""
    return images.to(torch.float32).div_(255)
