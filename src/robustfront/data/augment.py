"""Random crops and flips of a whole uint8 batch on its device, and the way to floats.

One gather moves every pixel to its place: about 2 us per 32x32 colour image on one CPU core.
"""

import torch
import torch.nn.functional as F

from robustfront.config.schema import Augmentation


def augment(images: torch.Tensor, augmentation: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Randomly cropped (after zero padding) and flipped copies of `images` uint8 (B, C, H, W).

    `generator` lies on the images' device; its state alone determines the draws, which are per image.
    """
    count, device = len(images), images.device
    if augmentation.pad:
        offsets = torch.randint(2 * augmentation.pad + 1, (count, 2), generator=generator, device=device)
    else:
        offsets = torch.zeros((count, 2), dtype=torch.int64, device=device)
    if augmentation.flip:
        flips = torch.randint(2, (count,), generator=generator, device=device) == 1
    else:
        flips = torch.zeros(count, dtype=torch.bool, device=device)
    return crop_and_flip(images, augmentation.pad, offsets, flips)


def crop_and_flip(images: torch.Tensor, pad: int, offsets: torch.Tensor, flips: torch.Tensor) -> torch.Tensor:
    """Crops of the images' own size from their zero-padded versions, then mirrored left to right where asked.

    `offsets` int64 (B, 2) in 0..2 pad is each crop's (row, column) in the padded image; `flips` bool (B,).
    """
    height, width = images.shape[-2:]
    rows = torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    padded_width = width + 2 * pad
    row_of = offsets[:, :1] + rows
    column_of = offsets[:, 1:] + torch.where(flips[:, None], columns.flip(0), columns)
    pixel_of = (row_of[:, :, None] * padded_width + column_of[:, None, :]).flatten(1)
    padded = F.pad(images, (pad, pad, pad, pad)).flatten(2)
    return padded.gather(2, pixel_of[:, None].expand(-1, images.shape[1], -1)).view_as(images)


def to_float(images: torch.Tensor) -> torch.Tensor:
    """float32 pixels in [0, 1] from uint8: v / 255, correctly rounded."""
    return images.to(torch.float32).div_(255)
