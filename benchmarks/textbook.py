"""Adversarial training as the papers' pseudo-code has it and most published loops do: the yardstick.

float32, NCHW, gradients of the weights computed in every attack step and thrown away (PGD-AT), the clean
prediction computed anew in every attack step and three forward passes outside (TRADES).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pgd_at_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    step_size: float,
    steps: int,
) -> None:
    """Madry et al. 2018, the model in train mode throughout: 33 forward-equivalents where 23 would do."""
    model.train()
    x_adv = (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(0, 1)
    for _ in range(steps):
        x_adv = x_adv.detach().requires_grad_()
        loss = F.cross_entropy(model(x_adv), y)
        loss.backward()
        assert x_adv.grad is not None
        x_adv = x_adv.detach() + step_size * x_adv.grad.sign()
        x_adv = torch.min(torch.max(x_adv, x - eps), x + eps).clamp(0, 1)
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x_adv.detach()), y)
    loss.backward()
    optimizer.step()


def trades_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    step_size: float,
    steps: int,
    beta: float,
) -> None:
    """Zhang et al. 2019, Algorithm 1, attacked in eval mode: 39 forward-equivalents where 27 would do."""
    divergence = nn.KLDivLoss(reduction="sum")
    model.eval()
    x_adv = x + 0.001 * torch.randn_like(x)
    for _ in range(steps):
        x_adv = x_adv.detach().requires_grad_()
        loss = divergence(F.log_softmax(model(x_adv), dim=1), F.softmax(model(x), dim=1))
        (gradient,) = torch.autograd.grad(loss, [x_adv])
        x_adv = x_adv.detach() + step_size * gradient.sign()
        x_adv = torch.min(torch.max(x_adv, x - eps), x + eps).clamp(0, 1)
    model.train()
    x_adv = x_adv.detach()
    optimizer.zero_grad()
    natural = F.cross_entropy(model(x), y)
    robust = divergence(F.log_softmax(model(x_adv), dim=1), F.softmax(model(x), dim=1)) / len(x)
    (natural + beta * robust).backward()
    optimizer.step()


def pgd(model: nn.Module, x: Tensor, y: Tensor, *, eps: float, step_size: float, steps: int) -> Tensor:
    """PGD with `loss.backward()`, the gradients of the weights adding up unused; the model in eval mode."""
    x_adv = (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(0, 1)
    for _ in range(steps):
        x_adv = x_adv.detach().requires_grad_()
        F.cross_entropy(model(x_adv), y).backward()
        assert x_adv.grad is not None
        x_adv = x_adv.detach() + step_size * x_adv.grad.sign()
        x_adv = torch.min(torch.max(x_adv, x - eps), x + eps).clamp(0, 1)
    return x_adv.detach()
