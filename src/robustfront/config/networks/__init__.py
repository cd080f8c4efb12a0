"""Networks as configs, with what they cost: one file per idea. What they compute is built from `models`."""

from robustfront.config.networks.base import Model, NetworkConfig, networks
from robustfront.config.networks.preact_resnet import PreActResNet
from robustfront.config.registry import read_package

__all__ = ["Model", "NetworkConfig", "PreActResNet", "networks"]

read_package(__path__, __name__)
