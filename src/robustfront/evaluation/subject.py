"""What is evaluated: a model, and the images of one split."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from robustfront.config.evaluations import Evaluation
from robustfront.data.augment import to_float
from robustfront.data.splits import stratified_order
from robustfront.data.store import Split
from robustfront.errors import ArtefactError
from robustfront.evaluation.batches import judge
from robustfront.evaluation.room import Room
from robustfront.models.batch_norm import filled

if TYPE_CHECKING:
    from robustfront.models import Classifier

SHOWN = 8
"""Images of which every evaluation keeps x'."""


@dataclass(frozen=True)
class Clean:
    """What the images as they are give: predictions int64 (N,), losses float32 (N,), in which batches.

    `room`: for attacks on the same model.
    """

    prediction: Tensor
    loss: Tensor
    batch_size: int
    whole: bool

    @property
    def room(self) -> Room:
        return Room(self.batch_size, self.whole)


@dataclass(frozen=True)
class Subject:
    """A model in eval mode with images x (N, C, H, W), floats in [0, 1], and labels y (N,), on one device."""

    model: Classifier
    x: Tensor
    y: Tensor
    _clean: dict[tuple[int, int | None], Clean] = field(default_factory=dict)
    _told: dict[float, Subject] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Classifier, split: Split, device: torch.device | str) -> Subject:
        """`model` is moved to the device, into eval mode and into the fast memory format."""
        model = model.to(device).to(memory_format=torch.channels_last).eval()
        return cls(model, to_float(split.images.to(device)), split.labels.to(device))

    def order(self, seed: int) -> Tensor:
        """The positions of all images: every part from the beginning has the shares of their classes."""
        return torch.from_numpy(stratified_order(self.y.cpu().numpy(), seed)).to(self.y.device)

    def shown(self, seed: int) -> Tensor:
        """The positions of the images to keep x' of: the first that an attack with this seed is given."""
        return self.order(seed)[:SHOWN]

    def given(self, condition: float | None) -> Subject:
        """The same images for the model told `condition`; None: told nothing."""
        if condition is None:
            return self
        if condition not in self._told:
            self._told[condition] = Subject(self.model.given(condition), self.x, self.y)
        return self._told[condition]

    def clean(self, evaluation: Evaluation) -> Clean:
        """The model's answers to the images, in batches as of the evaluation; computed once.

        ArtefactError if its logits are not finite.
        """
        key = evaluation.batch_size, evaluation.seed if evaluation.whole_batches else None
        if key not in self._clean:
            if evaluation.whole_batches:
                order = self.order(evaluation.seed)
                seen, size = filled(order, evaluation.batch_size)
                room = Room(size, whole=True)
                found = judge(self.model, self.x[seen], self.y[seen], room)
                back = order.argsort()
                prediction, loss = (values[: len(order)][back] for values in found)
            else:
                room = Room(evaluation.batch_size)
                prediction, loss = judge(self.model, self.x, self.y, room)
            if broken := int((~loss.isfinite()).sum()):
                raise ArtefactError(
                    f"model: its logits are not finite on {broken} of {len(loss)} clean images; "
                    "delete the run and train it again"
                )
            self._clean[key] = Clean(prediction, loss, room.size, evaluation.whole_batches)
        return self._clean[key]
