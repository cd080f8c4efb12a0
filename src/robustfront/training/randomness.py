"""Random numbers as a function of the position in a training: a resume needs no generator's state."""

import hashlib

import torch

from robustfront.attacks.draws import PartGenerator


def positioned(device: torch.device, *position: object) -> PartGenerator:
    """A generator on the device, seeded from the position; torch's global ones get the same seed."""
    text = "/".join(map(str, position))
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
    reseed(device, seed)
    generator = PartGenerator(device)
    generator.manual_seed(seed)
    return generator


def reseed(device: torch.device, seed: int) -> None:
    """Seeds torch's global generators, of the CPU and of the device."""
    # torch.manual_seed would format a stack trace for each kind of device the machine does not have
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
