"""The training loop: one method, one model, one data store; resumable at any step.

Randomness: before every step the generator (and torch's global one) is seeded from (seed, epoch, step). What a step
draws depends on its position alone, so a killed and resumed training repeats an undisturbed one bit for bit.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robustfront import attacks, losses
from robustfront.config.schema import SGD, Training, Validation
from robustfront.data.augment import augment, to_float
from robustfront.data.store import Split, Store
from robustfront.errors import Interrupted, TrainingDiverged
from robustfront.methods.base import Losses, Method
from robustfront.models import Classifier
from robustfront.training.average import WeightAverage
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.history import EpochSums, finite
from robustfront.training.schedules import learning_rate

VALIDATION_BATCH = 500
FINITE_CHECK_STEPS = 50
"""Steps between looks at the loss: each look waits for the device."""


@dataclass
class Outcome:
    """What a finished training leaves: the selected weights, their epoch, and a row per epoch."""

    weights: dict[str, Tensor]
    selected_epoch: int
    history: list[dict[str, Any]]
    seconds: float


@dataclass
class Watcher:
    """What the loop reports to and asks of its surroundings."""

    save: Callable[[Checkpoint], None]
    stop_requested: Callable[[], bool] = lambda: False
    progress: Callable[[int, int, str], None] = lambda done, total, text: None
    checkpoint_seconds: float = 300.0


class Trainer:
    """Trains `model` by `method` on `store.train`, judged on `store.validation`. All tensors on `model`'s device."""

    def __init__(
        self,
        run_id: str,
        *,
        model: Classifier,
        method: Method,
        store: Store,
        training: Training,
        augmentation: Any,
        seed: int,
    ) -> None:
        self.run_id, self.model, self.method, self.store = run_id, model, method, store
        self.training, self.augmentation, self.seed = training, augmentation, seed
        self.device = model.mean.device
        self.optimizer = _optimizer(model, training.optimizer)
        self.average = WeightAverage(model, training.ema) if training.ema else None
        self.sums = EpochSums(self.device)
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] | None = None
        self.best_score: list[float] | None = None
        self.best_epoch: int | None = None
        self.epoch, self.step, self.seconds = 0, 0, 0.0
        self.steps_per_epoch = math.ceil(len(store.train.labels) / training.batch_size)

    # ------------------------------------------------------------------------------------ the loop
    def fit(self, watcher: Watcher) -> Outcome:
        """Runs to the end. Raises Interrupted after saving when asked to stop, TrainingDiverged on a NaN or infinite loss."""
        saved = time.monotonic()
        while self.epoch < self.training.epochs:
            order = self._order()
            started = time.monotonic() - self.seconds
            if self.step == 0:
                self.method.start_epoch(
                    self.epoch, self.store.validation, self._generator("epoch", self.epoch, 0)
                )
            while self.step < self.steps_per_epoch:
                self._step(order)
                self.step += 1
                self.seconds = time.monotonic() - started
                self._report(watcher)
                if self.step % FINITE_CHECK_STEPS == 0:
                    self._check_finite()
                if watcher.stop_requested():
                    self._check_finite()
                    watcher.save(self.checkpoint())
                    raise Interrupted(
                        f"{self.run_id}: stopped at epoch {self.epoch + 1}, step {self.step}; the state is saved: "
                        "run the same command again to go on"
                    )
                if time.monotonic() - saved > watcher.checkpoint_seconds:
                    self._check_finite()
                    watcher.save(self.checkpoint())
                    saved = time.monotonic()
            self._end_epoch()
            watcher.save(self.checkpoint())
            saved = time.monotonic()
        weights, epoch = self._selected()
        total = sum(row["seconds"] for row in self.history)
        return Outcome(weights, epoch, self.history, total)

    def _step(self, order: Tensor) -> None:
        generator = self._generator("step", self.epoch, self.step)
        batch = order[self.step * self.training.batch_size : (self.step + 1) * self.training.batch_size]
        images, y = self.store.train.images[batch], self.store.train.labels[batch]
        x = to_float(augment(images, self.augmentation, generator)).contiguous(
            memory_format=torch.channels_last
        )
        rate = self._learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with self._autocast():
            x_adv = self.method.craft(x, y, generator)
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            outcome: Losses = self.method.losses(x, x_adv, y)
        self.method.combine(outcome)
        self.optimizer.step()
        self.method.after_step()
        if self.average:
            self.average.update(self.model)
        self.sums.add(outcome, y)

    def _end_epoch(self) -> None:
        self._check_finite()
        row: dict[str, Any] = {"epoch": self.epoch + 1, "lr": self._learning_rate(self.steps_per_epoch - 1)}
        row |= {
            "seconds": self.seconds,
            "images_per_second": len(self.store.train.labels) / max(self.seconds, 1e-9),
        }
        row |= self.sums.means() | self.method.diagnostics()
        last = self.epoch + 1 == self.training.epochs
        if last or (self.epoch + 1) % self.training.validation.every == 0:
            row |= self._judge()
        if not finite(row):
            raise self._diverged(f"epoch {self.epoch + 1}: {row}")
        self.history.append(row)
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.sums = EpochSums(self.device)

    def _judge(self) -> dict[str, float]:
        """Validation accuracies of the weights that would be kept, and whether they are the best so far.

        Best: highest adversarial accuracy where the validation has an attack, else clean; clean accuracy breaks ties.
        """
        current = self._clone(self.model.state_dict())
        if self.average:
            self.model.load_state_dict(self.average.values)
        generator = self._generator(
            "validation", 0, 0
        )  # the same noise each epoch: epochs differ by weights alone
        row = judge(self.model, self.store.validation, self.training.validation, generator)
        score = [row.get("validation_adversarial_accuracy", 0.0), row["validation_clean_accuracy"]]
        if self.best_score is None or score > self.best_score:
            self.best, self.best_score, self.best_epoch = (
                self._clone(self.model.state_dict()),
                score,
                self.epoch + 1,
            )
        if self.average:
            self.model.load_state_dict(current)
        return row

    def _selected(self) -> tuple[dict[str, Tensor], int]:
        if self.training.select == "best":
            assert self.best is not None and self.best_epoch is not None
            return self.best, self.best_epoch
        last = self.average.values if self.average else self._clone(self.model.state_dict())
        return last, self.training.epochs

    # ------------------------------------------------------------------------------- state and resume
    def checkpoint(self) -> Checkpoint:
        """Everything `restore` needs to go on as if nothing had happened."""
        named = {parameter: name for name, parameter in self.model.named_parameters()}
        momentum = {
            named[parameter]: state["momentum_buffer"]
            for parameter, state in self.optimizer.state.items()
            if state.get("momentum_buffer") is not None
        }
        groups = {
            "model": self.model.state_dict(),
            "momentum": momentum,
            "average": self.average.values if self.average else {},
            "best": self.best or {},
            "sums": self.sums.values,
            "method": self.method.state(),
        }
        return Checkpoint(
            run_id=self.run_id,
            epoch=self.epoch,
            step=self.step,
            groups=groups,
            history=self.history,
            best_score=self.best_score,
            best_epoch=self.best_epoch,
            seconds=self.seconds,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Takes up the state of a checkpoint of the same run."""
        groups = {
            group: {name: value.to(self.device) for name, value in values.items()}
            for group, values in checkpoint.groups.items()
        }
        self.model.load_state_dict(groups["model"])
        named = dict(self.model.named_parameters())
        for name, buffer in groups.get("momentum", {}).items():
            memory = torch.empty_like(named[name])  # keeps the memory format of the parameter
            self.optimizer.state[named[name]]["momentum_buffer"] = memory.copy_(buffer)
        if self.average:
            self.average.values = groups["average"]
        self.best = groups.get("best")
        self.sums.values = groups.get("sums", {})
        self.method.load_state(groups.get("method", {}))
        self.history = checkpoint.history
        self.best_score, self.best_epoch = checkpoint.best_score, checkpoint.best_epoch
        self.epoch, self.step, self.seconds = checkpoint.epoch, checkpoint.step, checkpoint.seconds

    # --------------------------------------------------------------------------------------- details
    def _generator(self, purpose: str, epoch: int, step: int) -> torch.Generator:
        """A generator on the device, seeded from the position; torch's global one gets the same seed."""
        text = f"{self.seed}/{purpose}/{epoch}/{step}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
        torch.manual_seed(seed)
        return torch.Generator(device=self.device).manual_seed(seed)

    def _order(self) -> Tensor:
        count = len(self.store.train.labels)
        return torch.randperm(count, generator=self._generator("order", self.epoch, 0), device=self.device)

    def _learning_rate(self, step: int | None = None) -> float:
        position = self.epoch * self.steps_per_epoch + (self.step if step is None else step)
        total = self.training.epochs * self.steps_per_epoch
        return learning_rate(self.training.schedule, self.training.optimizer.lr, position, total)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.training.precision == "bf16")

    def _check_finite(self) -> None:
        if not bool(torch.isfinite(self.sums.values["train_loss"])):
            raise self._diverged(f"epoch {self.epoch + 1}, by step {self.step}")

    def _diverged(self, where: str) -> TrainingDiverged:
        return TrainingDiverged(
            f"{self.run_id}: the loss is no longer a finite number ({where}); the last good state is kept in "
            "checkpoints/. Lower training.optimizer.lr, or set precision: fp32, for this run in params.yaml"
        )

    def _report(self, watcher: Watcher) -> None:
        done, total = (
            self.epoch * self.steps_per_epoch + self.step,
            self.training.epochs * self.steps_per_epoch,
        )
        latest = self.history[-1] if self.history else {}
        shown = {"clean": "validation_clean_accuracy", "robust": "validation_adversarial_accuracy"}
        text = " ".join(
            f"{key} {latest[name]:.3f}" for key, name in shown.items() if latest.get(name) is not None
        )
        watcher.progress(done, total, f"epoch {self.epoch + 1}/{self.training.epochs} {text}")

    @staticmethod
    def _clone(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in state.items()}


def judge(
    model: Classifier, split: Split, validation: Validation, generator: torch.Generator
) -> dict[str, float]:
    """Clean and (where the validation has an attack) adversarial loss and accuracy on `split`, in eval mode and fp32."""
    was_training = model.training
    model.eval()
    ball = None
    if validation.attack is not None and validation.threat is not None:
        ball = attacks.Ball.of(validation.threat, model.mean, model.std)
    sums: dict[str, Tensor] = {}
    for start in range(0, len(split.labels), VALIDATION_BATCH):
        y = split.labels[start : start + VALIDATION_BATCH]
        x = to_float(split.images[start : start + VALIDATION_BATCH]).contiguous(
            memory_format=torch.channels_last
        )
        views = {"clean": x}
        if ball is not None and validation.attack is not None:
            views["adversarial"] = attacks.pgd(model, x, y, ball, validation.attack, generator=generator)
        for name, view in views.items():
            with torch.no_grad():
                logits = model(view)
            for key, value in (
                ("loss", losses.cross_entropy(logits, y).double().sum()),
                ("accuracy", (logits.argmax(dim=1) == y).double().sum()),
            ):
                sums[f"validation_{name}_{key}"] = sums.get(f"validation_{name}_{key}", 0) + value
    model.train(was_training)
    return {name: float(value) / len(split.labels) for name, value in sums.items()}


def _optimizer(model: Classifier, settings: SGD) -> torch.optim.SGD:
    decayed = [p for p in model.parameters() if p.ndim > 1 or settings.decay_norm_and_bias]
    other = [p for p in model.parameters() if not (p.ndim > 1 or settings.decay_norm_and_bias)]
    groups: list[dict[str, Any]] = [{"params": decayed, "weight_decay": settings.weight_decay}]
    if other:
        groups.append({"params": other, "weight_decay": 0.0})
    return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.nesterov)
