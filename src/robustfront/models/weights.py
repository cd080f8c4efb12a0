"""Weight files: safetensors only, written atomically, refused with a reason when they do not fit."""

from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from robustfront import sealed
from robustfront.errors import ArtefactError
from robustfront.models.classifier import Classifier


def save_weights(source: nn.Module | Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Writes a module's state, or a state dict, to `path`; equal contents give equal bytes.

    Tensors are stored contiguously from wherever they lie. `metadata` goes into the file's header, with a
    checksum (`sealed`).
    """
    state = source.state_dict() if isinstance(source, nn.Module) else source
    # A copy each: safetensors refuses channels-last tensors and tensors that share their memory.
    tensors = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in state.items()
    }
    sealed.write(path, safetensors.torch.save(tensors, metadata=sealed.metadata(metadata)))


def load_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU. ArtefactError if it is missing or damaged."""
    try:
        return safetensors.torch.load(sealed.read(path))
    except FileNotFoundError:
        raise ArtefactError(f"{path}: missing; run `snakemake` to make it") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtefactError(f"{path}: damaged ({error}); delete it and run `snakemake` again") from None


def load_into(model: Classifier, path: Path) -> None:
    """Fills `model` in place, keeping its device and memory format.

    ArtefactError, before anything is changed, if a tensor is missing, unknown or of another shape, or if the
    weights were trained behind another normalisation.
    """
    state = load_weights(path)
    misfits = _misfits(model, state)
    if misfits:
        listed = "; ".join(misfits[:8]) + (f"; and {len(misfits) - 8} more" if len(misfits) > 8 else "")
        raise ArtefactError(
            f"{path}: holds the weights of another model than the config describes ({listed}); "
            "use the model and normalisation sections they were trained with, or train again"
        )
    model.load_state_dict(state)


def _misfits(model: Classifier, state: Mapping[str, Tensor]) -> list[str]:
    own = model.state_dict()
    found = [f"{name} is missing" for name in own if name not in state]
    found += [f"{name} is unknown to the model" for name in state if name not in own]
    both = [name for name in own if name in state]
    found += [
        f"{name} has shape {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in both
        if state[name].shape != own[name].shape
    ]
    found += [
        f"{name} is {state[name].flatten().tolist()} instead of {own[name].flatten().tolist()}"
        for name in both
        if name in {"mean", "std"}
        and state[name].shape == own[name].shape
        and not torch.equal(state[name], own[name].cpu())
    ]
    return found
