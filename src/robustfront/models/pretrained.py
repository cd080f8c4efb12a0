"""Initial weights from ImageNet: timm's pre-activation ResNet-18.

NPAT starts its standard models from ImageNet and names no source; timm's `resnetv2_18` is the public network
of the same blocks. Its four stages and last batch norm are taken over one to one (the last batch norm only if
the model has a `final_norm`). Not taken over: its 7x7 stem of stride 2 with max-pooling, which would leave
8x8 of a 32x32 image (the 3x3 stem starts from scratch), and its 1000-class head. The batch-norm statistics
that come along belong to ImageNet behind that other stem; training re-estimates them.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from robustfront.errors import DataError
from robustfront.models.batch_norm import STATISTICS, batch_statistics_layers
from robustfront.models.preact_resnet import PreActResNet

IMAGENET = "resnetv2_18.ra4_e3600_r224_in1k"
"""Name of the weights in timm; on the hub, `timm/<name>`."""

FROM_SCRATCH = ("mean", "std", "stem.", "hidden.", "head.")


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of timm's resnetv2_18 -> the part of it that our network takes over, under our names."""
    return {
        name.replace(".blocks.", ".").replace(".downsample.conv.", ".shortcut."): tensor
        for name, tensor in state.items()
        if not name.startswith(FROM_SCRATCH)
    }


def load_imagenet(network: PreActResNet) -> None:
    """Fills the backbone of `network`, of depth 18 and width 64, in place.

    Raises DataError if the weights are neither in the hub cache nor can be downloaded, or are not the
    expected network's.
    """
    state = translate(_download())
    if network.norm is None:
        state = {name: tensor for name, tensor in state.items() if not name.startswith("norm.")}
    if batch_statistics_layers(network):
        state = {name: tensor for name, tensor in state.items() if not name.endswith(STATISTICS)}
    wanted = {name for name in network.state_dict() if not name.startswith(FROM_SCRATCH)}
    if state.keys() != wanted:
        raise DataError(
            f"model.pretrained: timm's {IMAGENET} is not the network this version of robustfront expects; "
            "install the timm of requirements.lock or set `pretrained: null`"
        )
    network.load_state_dict(state, strict=False)


def _download() -> Mapping[str, Tensor]:
    import timm  # takes seconds, and most runs do not need it

    try:
        # timm first draws weights that it then overwrites: keep those draws out of the run's random numbers.
        with torch.random.fork_rng(devices=[]):
            # The file is named because timm would fall back on the pickled one.
            overlay = {"hf_hub_filename": "model.safetensors"}
            source = timm.create_model(IMAGENET, pretrained=True, pretrained_cfg_overlay=overlay)
    except Exception as error:  # whatever the hub's client, its network stack or the file reader raise
        raise DataError(
            f"model.pretrained: the ImageNet weights timm/{IMAGENET} are not in the Hugging Face cache and "
            f"cannot be downloaded ({type(error).__name__}: {error}); run once with internet access and copy "
            "that cache (folder $HF_HOME) here, or set `pretrained: null`"
        ) from error
    state: Mapping[str, Tensor] = source.state_dict()
    return state
