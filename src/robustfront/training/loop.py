"""The training loop: one method, one model, one data store; resumable at any step.

Randomness: before every step the generator (and torch's global one) is seeded from (seed, epoch, step). So
what a step draws depends on its position alone, and a resumed training repeats an undisturbed one exactly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robustfront.attacks.draws import PartGenerator
from robustfront.config.images import Augmentation
from robustfront.config.schedules import Position
from robustfront.config.schema import Precision, Training
from robustfront.data.augment import augment, to_float
from robustfront.data.store import Store
from robustfront.errors import ConfigError, Interrupted, TrainingDiverged
from robustfront.methods.base import Average, Method, Surroundings
from robustfront.methods.moment import Moment
from robustfront.models import Classifier
from robustfront.training.average import WeightAverage
from robustfront.training.checkpoint import Checkpoint
from robustfront.training.gradients import Gradients
from robustfront.training.history import EpochSums, not_finite
from robustfront.training.judge import judge
from robustfront.training.optimizers import optimizer_of
from robustfront.training.randomness import positioned
from robustfront.training.spectral_limit import SpectralLimiter
from robustfront.training.world import ALONE, World

FINITE_CHECK_STEPS = 50
"""Steps between looks at the loss: each look waits for the device."""


@dataclass
class Outcome:
    """What a finished training leaves: the selected weights, their epoch, and a row per epoch, 0 first."""

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

    A method that learns from validation images gets one half of them, and the other half judges.
    The model holds its initial weights, in train mode. In a `world` of several processes each of them has
    such a trainer, made alike. `precision`: in what it is computed, if not what the config says. ConfigError
    if the last batch is a single image, or has none for some process.
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
        precision: Precision | None = None,
    ) -> None:
        self.run_id, self.model, self.method, self.store = run_id, model, method, store
        self.training, self.augmentation, self.seed, self.world = training, augmentation, seed, world
        self.device = model.mean.device
        self.images = len(store.train)
        self.replays = method.replays(method.params)
        batches = training.batches(self.images)
        self.steps_per_epoch = batches * self.replays
        if batches == 0:
            raise ConfigError(
                f"training.batch_size: {training.batch_size} is more than the {self.images} training images, "
                "of which drop_last leaves none; choose a smaller one"
            )
        last_batch = training.seen(self.images) - (batches - 1) * training.batch_size
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
        self.precision = precision or training.precision
        self.gradients = Gradients(model, method, precision=self.precision, world=world)
        self.optimizer = optimizer_of(model, training.optimizer)
        wanted = {"ema": Average.of(training.ema)} if training.ema else {}
        declared = dict(method.averages(method.params))
        if "ema" in declared:
            raise ConfigError("an average of a method cannot be called 'ema', which is that of training.ema")
        self.limiter = SpectralLimiter.of(model, training, store.train.images)
        self.averages = {name: WeightAverage(model, kind) for name, kind in (wanted | declared).items()}
        self.average = self.averages.get("ema")
        self.sums = EpochSums()
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] | None = None
        self.best_score: list[float] | None = None
        self.best_epoch: int | None = None
        self.epoch, self.step = 0, 0
        self._epoch_started = time.monotonic()
        self.for_method = self.for_selection = store.validation
        if method.learns_from_validation(method.params):
            self.for_method, self.for_selection = store.validation.halves()
        method.attach(Surroundings(self.optimizer, training, augmentation, store.train, self.for_method))

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
        checkpoint alone, when a loss or a weight is NaN or infinite.
        """
        if self.steps_done == 0:
            self.history.append({"epoch": 0} | self._judged())
        saved = time.monotonic()
        while self.epoch < self.training.epochs and not self.method.finished():
            order = self._order()
            if self.step == 0:
                self._epoch_started = time.monotonic()
                self.method.start_epoch(self.for_method, self._moment("epoch"))
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
        index, replay = divmod(self.step, self.replays)
        batch = order[index * self.training.batch_size : (index + 1) * self.training.batch_size]
        generator = self._generator("step", self.epoch, index)
        images = augment(self.store.train.images[batch], self.augmentation, generator)
        if replay:
            generator = self._generator("replay", self.epoch, self.step)
        rows = self.world.rows(len(batch))
        generator.take(rows, len(batch))
        x, y = to_float(images[rows]), self.store.train.labels[batch[rows]]
        x = x.contiguous(memory_format=torch.channels_last)
        at = self._at(generator, batch[rows], replay)
        self.optimizer.set_rate(*self._rates(self.step))
        losses = self.gradients.write(x, y, at, len(y) / len(batch))
        if self.training.clip_gradients is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip_gradients)
        self.optimizer.step()
        self.method.after_step(at)
        for average in self.averages.values():
            average.update(self.model, self.epoch, self.steps_per_epoch, self.step)
        self.sums.add(losses, y)

    def _end_epoch(self) -> None:
        at = self._moment("end of epoch")
        self.method.end_epoch(at)
        self._check_loss()  # also waits for the device, so that the time is that of finished work
        limited = self._limited()
        seconds = time.monotonic() - self._epoch_started
        lr, momentum = self._rates(self.steps_per_epoch - 1)
        images = self.training.seen(self.images) * self.replays
        row: dict[str, Any] = {
            "epoch": self.epoch + 1,
            "lr": lr,
            "seconds": seconds,
            "images_per_second": images / max(seconds, 1e-9),
        } | limited
        if momentum is not None:
            row["momentum"] = momentum
        self.world.add(self._sums())
        found, logged = self.sums.means(images), self.method.diagnostics(at)
        logged = {name: float(value) for name, value in logged.items()}
        last = self.epoch + 1 == self.training.epochs or self.method.finished()
        if last or (self.epoch + 1) % self.training.validation.every == 0:
            found |= self._judged()
            self._note_best(found)
        if bad := not_finite(found):  # what a method logs may have no value
            raise self._diverged(f"{', '.join(bad)} of epoch {self.epoch + 1}")
        if taken := (row.keys() | found.keys()) & logged.keys():
            names = ", ".join(sorted(taken))
            raise ConfigError(f"{type(self.method).__name__}.diagnostics has columns of the loop: {names}")
        self.history.append(row | found | logged)
        self.epoch, self.step = self.epoch + 1, 0
        self.sums = EpochSums()

    def _limited(self) -> dict[str, float]:
        """Columns of the limit that the weights are held to; none if there is none."""
        if self.limiter is None:
            return {}
        self._check_weights()  # infinite ones have no singular values
        return self.limiter(self.model)

    @property
    def _kept(self) -> Classifier:
        """The network whose weights would be kept now."""
        return self.average.model if self.average else self.model

    def _judged(self) -> dict[str, float]:
        """Validation columns of the weights that would be kept, and the seconds that it took."""
        began = time.monotonic()
        generator = self._generator("validation")  # the same noise each time: epochs differ by weights alone
        row = judge(self._kept, self.for_selection, self.training.validation, generator, self.world)
        return row | {"validation_seconds": time.monotonic() - began}

    def _note_best(self, row: Mapping[str, float]) -> None:
        """Notes the weights that would be kept if they are the best so far, by their validation columns.

        Best: highest adversarial accuracy where the validation has an attack; of equals, the highest clean
        accuracy; of equals, the first.
        """
        score = [row.get("validation_adversarial_accuracy", 0.0), row["validation_clean_accuracy"]]
        if self.best_score is None or score > self.best_score:
            self.best_score, self.best_epoch = score, self.epoch + 1
            self.best = {name: value.detach().clone() for name, value in self._kept.state_dict().items()}

    def _outcome(self) -> Outcome:
        if self.training.select == "best":
            assert self.best is not None, "the last epoch is always judged"
            assert self.best_epoch is not None
            return Outcome(self.best, self.best_epoch, self.history)
        return Outcome(self._kept.state_dict(), self.epoch, self.history)

    # ------------------------------------------------------------------------------- state and resume
    def checkpoint(self) -> Checkpoint:
        """Everything `restore` needs to go on as if nothing had happened; complete in the first process."""
        self.world.collect(self._sums())
        groups = {
            "model": self.model.state_dict(),
            **self.optimizer.tensors(self.model),
            **{_group(name): average.model.state_dict() for name, average in self.averages.items()},
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
        for group, tensors in self.optimizer.tensors(self.model).items():
            for name, tensor in tensors.items():
                tensor.copy_(groups[group][name])
        for name, average in self.averages.items():
            average.model.load_state_dict(groups[_group(name)])
        self.best = groups.get("best")
        self.sums.values = groups.get("sums", {})
        self.method.load_state(groups.get("method", {}))
        self.world.keep_in_first(self._sums())
        self.history = checkpoint.history
        self.best_score, self.best_epoch = checkpoint.best_score, checkpoint.best_epoch
        self.epoch, self.step = checkpoint.epoch, checkpoint.step
        self._epoch_started = time.monotonic() - checkpoint.seconds

    def _sums(self) -> list[Tensor]:
        """What is added up over the images of the epoch, in an order that all processes have alike."""
        return [*(self.sums.values[name] for name in sorted(self.sums.values)), *self.method.sums()]

    def _save(self, watcher: Watcher) -> None:
        self._check_loss()
        self._check_weights()
        watcher.save(self.checkpoint())

    # --------------------------------------------------------------------------------------- details
    def _generator(self, purpose: str, epoch: int = 0, step: int = 0) -> PartGenerator:
        return positioned(self.device, self.seed, purpose, epoch, step)

    def _moment(self, purpose: str) -> Moment:
        """For a hook that is called between steps."""
        nothing = torch.empty(0, dtype=torch.int64, device=self.device)
        return self._at(self._generator(purpose, self.epoch), nothing)

    def _at(self, generator: PartGenerator, indices: Tensor, replay: int = 0) -> Moment:
        return Moment(
            generator=generator,
            indices=indices,
            epoch=self.epoch,
            epochs=self.training.epochs,
            step=self.step,
            steps_per_epoch=self.steps_per_epoch,
            replay=replay,
            averages={name: average.model for name, average in self.averages.items()},
            passes=self.gradients,
        )

    def _order(self) -> Tensor:
        return torch.randperm(self.images, generator=self._generator("order", self.epoch), device=self.device)

    def _rates(self, step: int) -> tuple[float, float | None]:
        """Learning rate and, where the schedule moves it, momentum of a step of this epoch."""
        done = self.epoch * self.steps_per_epoch + step
        schedule, at = self.training.schedule, Position(done, self.total_steps, self.steps_per_epoch)
        return schedule.rate_at(self.training.optimizer.lr, at), schedule.momentum_at(at)

    def _check_loss(self) -> None:
        loss = self.sums.values.get("train_loss")
        if loss is None:
            return
        total = loss.clone()
        self.world.add([total])
        if not total.isfinite():
            raise self._diverged(f"the loss by epoch {self.epoch + 1}, step {self.step}")

    def _check_weights(self) -> None:
        tensors = [value for value in self.model.state_dict().values() if value.is_floating_point()]
        if not torch.stack([value.isfinite().all() for value in tensors]).all():
            raise self._diverged(f"a weight after {self.steps_done} of {self.total_steps} steps")

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


def _group(average: str) -> str:
    """The group of a checkpoint that holds an average."""
    return "average" if average == "ema" else f"average.{average}"
