"""CAAT: combining adversaries with anti-adversaries (Zhou et al. 2023).

FRL (`class_balance`) with two images made of each one: an adversary x', which ascends the KL divergence from
the clean prediction, and an anti-adversary x", which descends the cross entropy. A small network g
(`weighting`) decides how much of either each image is trained on:

    (u, v) = softmax(g(six features of the image) / temperature)
    loss = sum(w0 u CE(x)) / sum(w0) + beta sum(w1 u KL(p(x) || p(x'))) / sum(w1) + mean(v CE(x"))

with w0, w1 the class weights of clean and boundary error. g learns by looking ahead: every `meta_every`
steps the optimiser's step is taken virtually, and g descends, through that step, the same loss of validation
images with u and v set to 1 (`lookahead`).

In five points the published code departs from this, by mistake as we see it. `faithful: true` follows it:

1. the loss of validation images weighs them, and bounds their radii, by the classes of *training* images;
2. validation images are augmented like training images, also where class errors are measured on them;
3. the feature "mean cross entropy of the class in the last epoch" stays at its initial value, 5;
4. the attack leaves batch norm in eval mode: only the first clean pass of an epoch uses batch statistics;
5. the virtual step, unlike the real one, differentiates u and v with respect to the weights of the model.

The default is `false`: a baseline should not be handicapped by slips of its code. docs/reproduction/caat.md
says more, and what neither setting reproduces.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from robustfront import attacks, losses
from robustfront.config.quantities import Count, Flag, NonNegative, Positive
from robustfront.config.schema import Config
from robustfront.errors import ConfigError
from robustfront.methods import parts
from robustfront.methods.base import Losses, Setting, Surroundings, register
from robustfront.methods.class_balance import BalanceParams, ClassBalanced, weighted_mean
from robustfront.methods.lookahead import Forward, Weights, gradient_through_step, step_of
from robustfront.methods.moment import Moment
from robustfront.methods.weighting import image_features, weighting_network

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor

    from robustfront.data.store import Split
    from robustfront.models import Classifier

INITIAL_CLASS_LOSS = 5.0
"""Mean cross entropy of each class before there was an epoch to measure it in."""


class CAATParams(BalanceParams):
    faithful: Flag = Field(
        False, description="reproduce the mistakes of the published code; false: what the paper describes"
    )
    meta_every: Count = Field(
        50, description="training steps, counted over all epochs, between updates of the weighting network"
    )
    meta_lr: Positive = Field(1e-4, description="learning rate of its Adam optimiser")
    meta_weight_decay: NonNegative = Field(5e-4, description="L2 penalty in that optimiser")
    hidden: Count = Field(100, description="hidden units of the weighting network")
    temperature: Positive = Field(0.001, description="of its softmax: near 0, u and v are 0 or 1")


@register(
    "caat",
    source="Zhou et al. 2023, AAAI 37(9), 11435-11442",
    label=lambda p: f"caat{'-faithful' if p.faithful else ''}-b{p.beta:g}",
)
class CAAT(ClassBalanced):
    """CAAT: FRL on adversaries and anti-adversaries, mixed image by image by a meta-learned network."""

    Params: ClassVar[type[Config]] = CAATParams
    params: CAATParams
    surroundings: Surroundings
    class_shares: Tensor

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__(params, setting)
        import torch

        mean, classes = self.model.mean, self.model.classes
        self.network = weighting_network(params.hidden).to(mean)
        self.adam = torch.optim.Adam(
            self.network.parameters(), lr=params.meta_lr, weight_decay=params.meta_weight_decay
        )
        self.class_losses = mean.new_full((classes,), INITIAL_CLASS_LOSS)
        self.class_sums = mean.new_zeros(2, classes).double()  # of this epoch: cross entropies, images
        self.mixture_sums = mean.new_zeros(2).double()  # of this epoch: u, v

    @classmethod
    def units(cls, params: Any) -> float:
        """Two attacks with one clean pass, and three passes to train on.

        An update of g adds a virtual step, its differentiation (measured: three times that), both attacks and
        three passes.
        """
        generation, outer = 4 * params.attack.steps + 1, 9
        return generation + outer + (4 * outer + generation + outer) / params.meta_every

    def attach(self, surroundings: Surroundings) -> None:
        if (kind := surroundings.training.optimizer.kind) != "sgd":
            raise ConfigError(f"method 'caat' looks ahead by a step of SGD; its optimizer cannot be '{kind}'")
        super().attach(surroundings)
        self.surroundings = surroundings
        labels = surroundings.train.labels
        self.class_shares = (labels.bincount(minlength=self.model.classes) / len(labels)).to(self.model.mean)

    def start_epoch(self, validation: Split, at: Moment) -> None:
        if self.params.faithful:
            validation = replace(validation, images=self._augmented(validation.images, at.generator))
        else:
            sums, images = self.class_sums
            means = (sums / images).to(self.class_losses)
            self.class_losses = means.where(images > 0, self.class_losses)
        self.class_sums.zero_()
        super().start_epoch(validation, at)

    def craft(self, x: Tensor, y: Tensor, at: Moment) -> Tensor:
        """The adversaries and, after them, the anti-adversaries: (2 B, C, H, W)."""
        pair = self.adversaries(self.model, x, y, y, at.generator)
        if (at.steps_done + 1) % self.params.meta_every == 0:
            self._update_network(x, pair, y, at.generator)
        return pair

    def losses(self, x: Tensor, x_adv: Tensor | None, y: Tensor, at: Moment) -> Losses:
        import torch

        assert x_adv is not None
        if self.params.faithful:
            self.model.train(at.step == 0)
        clean = self.model(x)
        if self.params.faithful:
            self.model.eval()
        logits = [clean, *(self.model(view) for view in x_adv.chunk(2))]
        with torch.no_grad():
            mixture = self.mixture(self.network, clean, y)
            self.mixture_sums += mixture.sum(dim=0)
            member = (y == torch.arange(self.model.classes, device=y.device)[:, None]).double()
            sums = (member * losses.cross_entropy(clean, y)).sum(dim=1)
            self.class_sums += torch.stack([sums, member.sum(dim=1)])
        return Losses(self.terms(logits, y, y, mixture), clean_logits=clean, adversarial_logits=logits[1])

    # ---------------------------------------------------------------------------- the two images and the loss
    def adversaries(
        self, model: Classifier, x: Tensor, y: Tensor, classes: Tensor, generator: torch.Generator
    ) -> Tensor:
        """`craft` on any model, left in train mode; image i stays within the radius of class `classes[i]`."""
        import torch

        ball = self.ball.scaled(self.eps_factors[classes])
        ascent, mode = self.params.attack, self.params.attack_mode
        x_adv = parts.generate(
            "trades", model, x, y, ball=ball, ascent=ascent, mode=mode, generator=generator
        )
        # of several restarts an attack keeps the worst for the model, which here would be the wrong one
        once = ascent.model_copy(update={"restarts": 1})
        model.train(mode == "train")
        attacked = attacks.stand_in(model, x)
        x_anti = attacks.pgd(attacked, x, y, ball, once, objective=_minus_cross_entropy, generator=generator)
        model.train()
        return torch.cat([x_adv, x_anti])

    def terms(self, logits: list[Tensor], y: Tensor, classes: Tensor, mixture: Tensor) -> dict[str, Tensor]:
        """The parts of the loss from the logits (B, C) of clean images, adversaries and anti-adversaries.

        `classes` (B,) are those whose class weights are used; `mixture` (B, 2) holds u and v.
        """
        clean, adversarial, anti = logits
        u, v = mixture.unbind(dim=1)
        cross_entropy = losses.cross_entropy(clean, y)
        divergence = losses.kl_divergence(clean, adversarial)
        return {
            "clean_loss": weighted_mean(u * cross_entropy, self.clean_weights[classes]),
            "adversarial_loss": self.params.beta
            * weighted_mean(u * divergence, self.boundary_weights[classes]),
            "anti_adversarial_loss": (v * losses.cross_entropy(anti, y)).mean(),
        }

    def mixture(self, network: Forward, logits: Tensor, y: Tensor) -> Tensor:
        """u and v of images with these clean logits: (B, 2), rows summing to 1."""
        import torch

        features = image_features(logits, y, self.class_losses, self.class_shares)
        # the temperature makes rounding to bfloat16 visible
        with torch.autocast(logits.device.type, enabled=False):
            return (network(features) / self.params.temperature).softmax(dim=1)

    # ----------------------------------------------------------------------------------------- meta-learning
    def _update_network(self, x: Tensor, pair: Tensor, y: Tensor, generator: torch.Generator) -> None:
        import torch

        with torch.autocast(x.device.type, enabled=False):
            gradient = self.meta_gradient(x, pair, y, generator)
        for name, parameter in self.network.named_parameters():
            parameter.grad = gradient[name]
        self.adam.step()

    def meta_gradient(self, x: Tensor, pair: Tensor, y: Tensor, generator: torch.Generator) -> Weights:
        """Gradient, by g's weights, of the loss of validation images after a virtual step on this batch.

        `pair` is what `craft` makes of the training images `x`. The virtual step does not move running
        statistics, with which (eval mode) the validation images are judged. Model and g stay as they are.
        """
        from torch.func import functional_call

        from robustfront.attacks.draws import of_another_batch

        def training_loss(forward: Forward, network: Weights) -> Tensor:
            logits = [forward(view) for view in (x, *pair.chunk(2))]
            source = logits[0] if self.params.faithful else logits[0].detach()
            mixture = self.mixture(lambda f: functional_call(self.network, network, (f,)), source, y)
            return Losses(self.terms(logits, y, y, mixture)).total

        def validation_loss(stepped: Classifier) -> Callable[[Forward], Tensor]:
            x_meta, y_meta = self._validation_batch(len(y), generator)
            classes = y[: len(y_meta)] if self.params.faithful else y_meta
            with of_another_batch(generator):  # there may be fewer of them
                crafted = self.adversaries(stepped, x_meta, y_meta, classes, generator)
            views = (x_meta, *crafted.chunk(2))
            both = x_meta.new_ones(len(y_meta), 2)
            stepped.eval()

            def loss(forward: Forward) -> Tensor:
                return Losses(self.terms([forward(view) for view in views], y_meta, classes, both)).total

            return loss

        learner = copy.deepcopy(self.model).train(not self.params.faithful)
        network = {name: value.detach() for name, value in self.network.named_parameters()}
        step = step_of(self.surroundings.optimizer, self.model)
        return gradient_through_step(learner, network, training_loss, step, validation_loss)

    def _validation_batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """At most `size` validation images (float, [0, 1]) and labels, drawn without replacement."""
        import torch

        from robustfront.data.augment import to_float

        validation = self.surroundings.validation
        chosen = torch.randperm(len(validation), generator=generator, device=validation.labels.device)[:size]
        images = validation.images[chosen]
        if self.params.faithful:
            images = self._augmented(images, generator)
        x = to_float(images).to(self.model.mean).contiguous(memory_format=torch.channels_last)
        return x, validation.labels[chosen]

    def _augmented(self, images: Tensor, generator: torch.Generator) -> Tensor:
        from robustfront.data.augment import augment

        return augment(images, self.surroundings.augmentation, generator)

    # -------------------------------------------------------------------------------- diagnostics and state
    def diagnostics(self, at: Moment) -> dict[str, float]:
        """`anti_adversary_share`: the epoch's mean v."""
        share = float(self.mixture_sums[1] / self.mixture_sums.sum().clamp_min(1))
        self.mixture_sums.zero_()
        return super().diagnostics(at) | {"anti_adversary_share": share}

    def state(self) -> dict[str, Tensor]:
        adam = {
            f"adam.{name}.{key}": value
            for name, parameter in self.network.named_parameters()
            for key, value in self.adam.state[parameter].items()
        }
        network = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        sums = {
            "class_losses": self.class_losses,
            "class_sums": self.class_sums,
            "mixture_sums": self.mixture_sums,
        }
        return super().state() | sums | network | adam

    def load_state(self, state: dict[str, Tensor]) -> None:
        super().load_state(state)
        for name, parameter in self.network.named_parameters():
            parameter.data.copy_(state[f"network.{name}"])
            prefix = f"adam.{name}."
            moments = {
                key.removeprefix(prefix): state[key].clone() for key in state if key.startswith(prefix)
            }
            if moments:  # none before the first update
                self.adam.state[parameter] = moments | {"step": moments["step"].cpu()}
        for name in ("class_losses", "class_sums", "mixture_sums"):
            getattr(self, name).copy_(state[name])


def _minus_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """What an anti-adversary ascends."""
    return -losses.cross_entropy(logits, labels)
