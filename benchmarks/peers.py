"""PGD of other libraries, each called as its documentation says, on the same model and threat."""

import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor, nn

Attack = Callable[[Tensor, Tensor], Tensor]
"""(x (B, C, H, W) in [0, 1], labels) -> x'."""

PACKAGES = {"torchattacks": "torchattacks", "foolbox": "foolbox", "ART": "art"}


def installed() -> list[str]:
    """Names of the peers that can be imported here."""
    return [name for name, package in PACKAGES.items() if importlib.util.find_spec(package)]


def pgd(name: str, model: nn.Module, *, classes: int, eps: float, step_size: float, steps: int) -> Attack:
    """PGD in linf from a uniform start by the peer `name`. `model` is in eval mode and the peer's alone."""
    return {"torchattacks": _torchattacks, "foolbox": _foolbox, "ART": _art}[name](
        model, classes, eps, step_size, steps
    )


def _torchattacks(model: nn.Module, classes: int, eps: float, step_size: float, steps: int) -> Attack:
    import torchattacks

    attack: Attack = torchattacks.PGD(model, eps=eps, alpha=step_size, steps=steps, random_start=True)
    return attack


def _foolbox(model: nn.Module, classes: int, eps: float, step_size: float, steps: int) -> Attack:
    import foolbox

    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device=next(model.parameters()).device)
    attack = foolbox.attacks.LinfPGD(abs_stepsize=step_size, steps=steps, random_start=True)
    return lambda x, y: attack(wrapped, x, y, epsilons=eps)[1]


def _art(model: nn.Module, classes: int, eps: float, step_size: float, steps: int) -> Attack:
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    device = next(model.parameters()).device

    def attack(x: Tensor, y: Tensor) -> Tensor:
        estimator = PyTorchClassifier(
            model,
            loss=nn.CrossEntropyLoss(),
            input_shape=tuple(x.shape[1:]),
            nb_classes=classes,
            clip_values=(0, 1),
            device_type="gpu" if device.type == "cuda" else "cpu",
        )
        method = ProjectedGradientDescentPyTorch(
            estimator,
            eps=eps,
            eps_step=step_size,
            max_iter=steps,
            num_random_init=1,
            batch_size=len(x),
            verbose=False,
        )
        found = method.generate(x.cpu().numpy(), y.cpu().numpy())
        return torch.from_numpy(found).to(x)

    return attack
