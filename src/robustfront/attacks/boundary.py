"""What users hand to AutoAttack, as its code assumes it: float32 images in one piece, int64 labels."""

import torch
from torch import Tensor, nn

from robustfront.errors import ArtefactError, DataError


def accepted(images: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Images float32 (B, C, H, W), contiguous, and labels int64 (B,), of whatever type they came in.

    DataError for images that are no numbers in [0, 1], and labels that are no whole ones in 0..K-1.
    """
    if images.ndim != 4 or not images.is_floating_point():
        raise DataError(
            f"images are {_kind(images)}; expected floats in [0, 1] of shape (B, C, H, W)"
            + ("" if images.dtype != torch.uint8 else ": divide them by 255")
        )
    if labels.shape != images.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
        raise DataError(f"labels are {_kind(labels)}; expected {len(images)} whole numbers")
    if not len(images):
        return images.float(), labels.long()
    low, high = images.aminmax()
    if not (low >= 0 and high <= 1):  # NaN is neither
        raise DataError(f"images have values from {low:.3g} to {high:.3g}; expected [0, 1], not normalised")
    labels = labels.long()
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"labels are {labels.min()} to {labels.max()}; the network has {classes} classes")
    return images.float().contiguous(), labels


def require_numbers(model: nn.Module) -> None:
    """ArtefactError for weights or statistics that are not finite: no attack fells what predicts NaN."""
    for name, values in model.state_dict().items():
        if values.is_floating_point() and not values.isfinite().all():
            raise ArtefactError(f"model: {name} holds values that are no finite numbers; train it again")


def _kind(values: Tensor) -> str:
    return f"{str(values.dtype).removeprefix('torch.')} {tuple(values.shape)}"
