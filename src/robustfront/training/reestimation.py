"""Running statistics for a network that was trained without: a step after training, and before the file."""

from collections.abc import Iterator, Mapping
from itertools import count

import torch
from torch import Tensor

from robustfront.config.batch_norm import Reestimated
from robustfront.config.schema import Run
from robustfront.data.augment import to_float
from robustfront.data.store import Split, Store
from robustfront.models import build
from robustfront.models.batch_norm import reestimate
from robustfront.training.randomness import positioned


def with_statistics(
    run: Run, settings: Reestimated, weights: Mapping[str, Tensor], store: Store
) -> dict[str, Tensor]:
    """The state of the trained network: `weights` as they are, and statistics of training images.

    On the device of the store, in float32 and in whole batches of training.batch_size. The images are drawn
    without repetition until all have been, by the run's seed.
    """
    device = store.train.images.device
    network = build(
        run.model,
        channels=store.train.images.shape[1],
        classes=store.classes,
        normalisation=run.dataset.normalisation,
    )
    network.load_state_dict(weights, strict=False)  # what it lacks is made here
    network.to(device).to(memory_format=torch.channels_last)
    size = min(run.training.batch_size, len(store.train))
    reestimate(network, _batches(store.train, size, settings.batches, run.seed))
    return network.state_dict()


def _batches(train: Split, size: int, batches: int, seed: int) -> Iterator[Tensor]:
    device, done = train.images.device, 0
    for turn in count():
        order = torch.randperm(
            len(train), generator=positioned(device, seed, "re-estimation", turn), device=device
        )
        for start in range(0, len(train) - size + 1, size):
            if done == batches:
                return
            images = to_float(train.images[order[start : start + size]])
            yield images.contiguous(memory_format=torch.channels_last)
            done += 1
