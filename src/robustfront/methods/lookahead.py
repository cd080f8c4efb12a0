"""Gradients through one step of the optimiser, by `torch.func`: what a meta-learner needs.

The step is taken virtually, on a copy: theta'(m) = step(theta, d training_loss(theta, m) / d theta). Then the
gradient of a validation loss of theta' is pulled back through it to the meta-parameters m, exactly, second
derivatives included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from robustfront.methods.base import Optimizer
    from robustfront.models import Classifier

Weights = dict[str, "Tensor"]
Forward = Callable[["Tensor"], "Tensor"]


def gradient_through_step(
    learner: Classifier,
    meta: Weights,
    training_loss: Callable[[Forward, Weights], Tensor],
    step: Callable[[Weights], Weights],
    validation_loss: Callable[[Classifier], Callable[[Forward], Tensor]],
) -> Weights:
    """d validation_loss / d meta.

    `learner` is a copy of the model in the mode in which the step is taken; it ends with the weights theta'.
    `training_loss(forward, meta)` is the loss of the step, `forward` mapping images to logits; `step` maps
    its gradient to theta'. `validation_loss(learner)` is called when the learner has the weights theta'; it
    may attack it and set its mode, and returns the loss to be differentiated. The two losses leave running
    statistics as they are.
    """
    import torch
    from torch.func import functional_call, grad, vjp

    weights = {name: value.detach().clone() for name, value in learner.named_parameters()}
    buffers = dict(learner.named_buffers())

    def forward_with(weights: Weights) -> Forward:
        def forward(x: Tensor) -> Tensor:
            # batch norm writes running statistics: into clones, made where torch.func allows writing
            scratch = {name: value.clone() for name, value in buffers.items()}
            return functional_call(learner, weights | scratch, (x,))

        return forward

    def virtual_step(meta: Weights) -> Weights:
        return step(grad(lambda weights: training_loss(forward_with(weights), meta))(weights))

    stepped, pull_back = vjp(virtual_step, meta)  # type: ignore[misc]  # a triple only with has_aux
    with torch.no_grad():
        for name, parameter in learner.named_parameters():
            parameter.copy_(stepped[name])
    loss = validation_loss(learner)
    return pull_back(grad(lambda weights: loss(forward_with(weights)))(stepped))[0]


def step_of(optimizer: Optimizer, model: Classifier) -> Callable[[Weights], Weights]:
    """Maps gradients of the model's weights, by name, to the weights after `optimizer.step()` with them.

    Rate, momentum and decay are the optimiser's present ones. The map is differentiable; neither optimiser
    nor model changes.
    """
    settings = {parameter: group for group in optimizer.param_groups for parameter in group["params"]}

    def step(gradients: Weights) -> Weights:
        stepped = {}
        for name, parameter in model.named_parameters():
            group = settings[parameter]
            direction = gradients[name] + group["weight_decay"] * parameter.detach()
            buffer = optimizer.state[parameter].get("momentum_buffer")
            velocity = direction if buffer is None else direction + group["momentum"] * buffer
            if group["nesterov"]:
                velocity = direction + group["momentum"] * velocity
            stepped[name] = parameter.detach() - group["lr"] * velocity
        return stepped

    return step
