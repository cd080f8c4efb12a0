"""The training loop: one method, one model, one data store; resumable at any step.

Randomness: before every step the generator (and torch's global one) is seeded from (seed, epoch, step). So
what a step draws depends on its position alone, and a resumed training repeats an undisturbed one exactly.
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

from robustfront.attacks.draws import PartGenerator
from robustfront.config.schema import Augmentation, Training
from robustfront.data.augment import augment, to_float
from robustfront.data.store import Store
from robustfront.errors import ConfigError, Interrupted, TrainingDiverged
from robustfront.methods.base import Method, Surroundings
from robustfront.models import Classifier
from robustfront.training.average import WeightAverage
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.gradients import Gradients
from robustfront.training.history import EpochSums, not_finite
from robustfront.training.judge import judge
from robustfront.training.schedules import learning_rate
from robustfront.training.sgd import SGD
from robustfront.training.world import ALONE, World

FINITE_CHECK_STEPS = 50
"""Steps between looks at the loss: each look waits for the device."""


@dataclass
class Outcome:
    """What a finished training leaves: the selected weights, their epoch, and a row per epoch."""

    weights: dict[str, Tensor]
    selected_epoch: int
    history: list[dict[str, Any]]


@dataclass
class Watcher:
    """What the loop reports to and asks of its caller. `progress` gets the steps done and a line of text."""

    save: Callable[[Checkpoint], None]
    stop_requested: Callable[[], bool] = lambda: False
    progress: Callable[[int, str], None] = lambda steps, text: None
    checkpoint_seconds: float = 300.0


class Trainer:
    """Trains `model` by `method` on `store.train`, judged on `store.validation`; all on one device.

    The model holds its initial weights, in train mode. In a `world` of several processes each of them has
    such a trainer, made alike. ConfigError if the last batch is a single image, or has none for some process.
    """

    def __init__(
        self,
        run_id: str,
        *,
        model: Classifier,
        method: Method,
        store: Store,
        training: Training,
        augmentation: Augmentation,
        seed: int,
        world: World = ALONE,
    ) -> None:
        self.run_id, self.model, self.method, self.store = run_id, model, method, store
        self.training, self.augmentation, self.seed, self.world = training, augmentation, seed, world
        self.device = model.mean.device
        self.images = len(store.train)
        self.steps_per_epoch = math.ceil(self.images / training.batch_size)
        last_batch = self.images - (self.steps_per_epoch - 1) * training.batch_size
        if last_batch < world.size:
            raise ConfigError(
                f"training.batch_size: {training.batch_size} leaves {last_batch} of the {self.images} "
                f"training images for the last batch, too few for {world.size} devices; choose another size, "
                "or fewer devices"
            )
        if last_batch == 1:
            raise ConfigError(
                f"training.batch_size: {training.batch_size} leaves one of the {self.images} training images "
                "alone in the last batch, on which batch norm cannot train; choose another size"
            )
        # Of several processes one alone must not change its ways: the others would wait for it for ever.
        self.gradients = Gradients(model, method, precision=training.precision, thrifty=world.size == 1)
        self.optimizer = SGD(model, training.optimizer)
        self.average = WeightAverage(model, training.ema) if training.ema else None
        self.sums = EpochSums()
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] | None = None
        self.best_score: list[float] | None = None
        self.best_epoch: int | None = None
        self.epoch, self.step = 0, 0
        self._epoch_started = time.monotonic()
        method.attach(Surroundings(self.optimizer, training, augmentation, store.train, store.validation))

    @property
    def total_steps(self) -> int:
        return self.training.epochs * self.steps_per_epoch

    @property
    def steps_done(self) -> int:
        return self.epoch * self.steps_per_epoch + self.step

    # ------------------------------------------------------------------------------------ the loop
    def fit(self, watcher: Watcher) -> Outcome:
        """Runs to the end.

        Raises Interrupted, having saved, when asked to stop; TrainingDiverged, having left the last good
        checkpoint alone, when the loss or a weight is NaN or infinite.
        """
        saved = time.monotonic()
        while self.epoch < self.training.epochs:
            order = self._order()
            if self.step == 0:
                self._epoch_started = time.monotonic()
                generator = self._generator("epoch", self.epoch)
                self.method.start_epoch(self.epoch, self.store.validation, generator)
            while self.step < self.steps_per_epoch:
                self._step(order)
                self.step += 1
                watcher.progress(self.steps_done, self._summary())
                if self.step % FINITE_CHECK_STEPS == 0:
                    self._check_loss()
                overdue = time.monotonic() - saved > watcher.checkpoint_seconds
                stop, save = self.world.any(watcher.stop_requested(), overdue)
                if stop:
                    self._save(watcher)
                    raise Interrupted(
                        f"{self.run_id}: stopped at epoch {self.epoch + 1}, step {self.step}; the state is "
                        "saved: run the same command again to go on"
                    )
                if save:
                    self._save(watcher)
                    saved = time.monotonic()
            self._end_epoch()
            self._save(watcher)
            saved = time.monotonic()
        return self._outcome()

    def _step(self, order: Tensor) -> None:
        generator = self._generator("step", self.epoch, self.step)
        batch = order[self.step * self.training.batch_size : (self.step + 1) * self.training.batch_size]
        images = augment(self.store.train.images[batch], self.augmentation, generator)
        rows = self.world.rows(len(batch))
        generator.take(rows, len(batch))
        x, y = to_float(images[rows]), self.store.train.labels[batch[rows]]
        x = x.contiguous(memory_format=torch.channels_last)
        self.optimizer.set_rate(self._learning_rate(self.step))
        losses = self.gradients.write(x, y, generator, len(y) / len(batch))
        self.world.add(p.grad for p in self.model.parameters() if p.grad is not None)
        self.optimizer.step()
        self.method.after_step()
        if self.average:
            self.average.update(self.model)
        self.sums.add(losses, y)

    def _end_epoch(self) -> None:
        self._check_loss()  # also waits for the device, so that the time is that of finished work
        seconds = time.monotonic() - self._epoch_started
        row: dict[str, Any] = {
            "epoch": self.epoch + 1,
            "lr": self._learning_rate(self.steps_per_epoch - 1),
            "seconds": seconds,
            "images_per_second": self.images / max(seconds, 1e-9),
        }
        self.world.add(self._sums())
        row |= self.sums.means(self.images) | self.method.diagnostics()
        last = self.epoch + 1 == self.training.epochs
        if last or (self.epoch + 1) % self.training.validation.every == 0:
            began = time.monotonic()
            row |= self._judge()
            row["validation_seconds"] = time.monotonic() - began
        if bad := not_finite(row):
            raise self._diverged(f"{', '.join(bad)} of epoch {self.epoch + 1}")
        self.history.append(row)
        self.epoch, self.step = self.epoch + 1, 0
        self.sums = EpochSums()

    def _judge(self) -> dict[str, float]:
        """Validation columns of the weights that would be kept, which are noted if they are the best so far.

        Best: highest adversarial accuracy where the validation has an attack; of equals, the highest clean
        accuracy; of equals, the first.
        """
        judged = self.average.model if self.average else self.model
        generator = self._generator("validation")  # the same noise each time: epochs differ by weights alone
        row = judge(judged, self.store.validation, self.training.validation, generator, self.world)
        score = [row.get("validation_adversarial_accuracy", 0.0), row["validation_clean_accuracy"]]
        if self.best_score is None or score > self.best_score:
            self.best_score, self.best_epoch = score, self.epoch + 1
            self.best = {name: value.detach().clone() for name, value in judged.state_dict().items()}
        return row

    def _outcome(self) -> Outcome:
        if self.training.select == "best":
            assert self.best is not None, "the last epoch is always judged"
            assert self.best_epoch is not None
            return Outcome(self.best, self.best_epoch, self.history)
        kept = self.average.model if self.average else self.model
        return Outcome(kept.state_dict(), self.training.epochs, self.history)

    # ------------------------------------------------------------------------------- state and resume
    def checkpoint(self) -> Checkpoint:
        """Everything `restore` needs to go on as if nothing had happened; complete in the first process."""
        self.world.collect(self._sums())
        groups = {
            "model": self.model.state_dict(),
            "momentum": self._momentum(),
            "average": self.average.model.state_dict() if self.average else {},
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
            seconds=time.monotonic() - self._epoch_started,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Takes up the state of a checkpoint of the same run, on a trainer made as the first one was.

        KeyError or RuntimeError if its tensors are not those of this trainer, as when the code has changed.
        """
        groups = {
            group: {name: value.to(self.device) for name, value in values.items()}
            for group, values in checkpoint.groups.items()
        }
        self.model.load_state_dict(groups["model"])
        for name, buffer in self._momentum().items():
            buffer.copy_(groups["momentum"][name])
        if self.average:
            self.average.model.load_state_dict(groups["average"])
        self.best = groups.get("best")
        self.sums.values = groups.get("sums", {})
        self.method.load_state(groups.get("method", {}))
        self.world.keep_in_first(self._sums())
        self.history = checkpoint.history
        self.best_score, self.best_epoch = checkpoint.best_score, checkpoint.best_epoch
        self.epoch, self.step = checkpoint.epoch, checkpoint.step
        self._epoch_started = time.monotonic() - checkpoint.seconds

    def _momentum(self) -> dict[str, Tensor]:
        state = self.optimizer.state
        return {name: state[value]["momentum_buffer"] for name, value in self.model.named_parameters()}

    def _sums(self) -> list[Tensor]:
        """What is added up over the images of the epoch, in an order that all processes have alike."""
        return [*(self.sums.values[name] for name in sorted(self.sums.values)), *self.method.sums()]

    def _save(self, watcher: Watcher) -> None:
        self._check_loss()
        tensors = [value for value in self.model.state_dict().values() if value.is_floating_point()]
        if not torch.stack([value.isfinite().all() for value in tensors]).all():
            raise self._diverged(f"a weight after {self.steps_done} of {self.total_steps} steps")
        watcher.save(self.checkpoint())

    # --------------------------------------------------------------------------------------- details
    def _generator(self, purpose: str, epoch: int = 0, step: int = 0) -> PartGenerator:
        """A generator on the device, seeded from the position; torch's global ones get the same seed."""
        text = f"{self.seed}/{purpose}/{epoch}/{step}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
        # torch.manual_seed would format a stack trace for each kind of device the machine does not have
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        generator = PartGenerator(self.device)
        generator.manual_seed(seed)
        return generator

    def _order(self) -> Tensor:
        return torch.randperm(self.images, generator=self._generator("order", self.epoch), device=self.device)

    def _learning_rate(self, step: int) -> float:
        position = self.epoch * self.steps_per_epoch + step
        return learning_rate(self.training.schedule, self.training.optimizer.lr, position, self.total_steps)

    def _check_loss(self) -> None:
        loss = self.sums.values.get("train_loss")
        if loss is None:
            return
        total = loss.clone()
        self.world.add([total])
        if not total.isfinite():
            raise self._diverged(f"the loss by epoch {self.epoch + 1}, step {self.step}")

    def _diverged(self, what: str) -> TrainingDiverged:
        return TrainingDiverged(
            f"{self.run_id}: {what} is no finite number; lower training.optimizer.lr, or set "
            "training.precision: fp32, for this run in params.yaml (its last good state, if any, is in "
            f"checkpoints/{self.run_id})"
        )

    def _summary(self) -> str:
        """Where the training stands, for the progress bar."""
        latest = self.history[-1] if self.history else {}
        shown = {"clean": "validation_clean_accuracy", "robust": "validation_adversarial_accuracy"}
        accuracies = [f"{key} {latest[name]:.3f}" for key, name in shown.items() if name in latest]
        return " ".join([f"epoch {self.epoch + 1}/{self.training.epochs}", *accuracies])
