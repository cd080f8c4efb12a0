"""From a model's config to a network with its initial, or its saved, weights."""

from pathlib import Path

from robustfront.config.batch_norm import Untracked
from robustfront.config.images import Normalisation
from robustfront.config.networks import NetworkConfig
from robustfront.config.registry import resolve
from robustfront.errors import ConfigError
from robustfront.models.batch_norm import batch_statistics_layers, forget_statistics
from robustfront.models.classifier import Classifier
from robustfront.models.conditional import Conditional
from robustfront.models.weights import load_into


def build(
    model: NetworkConfig,
    *,
    channels: int,
    classes: int,
    normalisation: Normalisation,
    weights: Path | None = None,
) -> Classifier:
    """A network on the CPU, in train mode, with the statistics that it has once it is trained.

    Its weights are those of the file `weights`, if given; otherwise the initial ones: drawn from torch's
    global generator, then filled with pretrained ones as far as the config says so.

    Raises ConfigError (normalisation of another number of channels, a builder that does not exist, a network
    that is not what its config says), DataError (pretrained weights cannot be had), ArtefactError (`weights`
    is missing, damaged or of another model).
    """
    if len(normalisation.mean) != channels:
        raise ConfigError(
            f"normalisation: has {len(normalisation.mean)} channels but the images have {channels}; "
            "give one mean and one std per channel"
        )
    build_network = resolve(model.built_by, type(model))
    classifier = build_network(model, channels=channels, classes=classes, normalisation=normalisation)
    _require_as_described(classifier, model, classes)
    if isinstance(model.statistics, Untracked):
        forget_statistics(classifier, model.statistics.tracked)
    if weights is not None:
        load_into(classifier, weights)
    elif model.pretrained is not None and model.pretrained_by is not None:
        resolve(model.pretrained_by, type(model))(classifier)
    return classifier


def _require_as_described(network: object, model: NetworkConfig, classes: int) -> None:
    """ConfigError for what would else make wrong numbers: plans and evaluations go by the config alone."""
    what = f"network '{model.arch}', built by '{model.built_by}'"
    if not isinstance(network, Classifier):
        raise ConfigError(
            f"{what}: is of type {type(network).__name__}; derive it from robustfront.models.Classifier, or "
            "wrap it in robustfront.models.logits_only.LogitsOnly"
        )
    if network.classes != classes:
        raise ConfigError(f"{what}: has {network.classes} logits where there are {classes} classes")
    if layers := batch_statistics_layers(network):
        raise ConfigError(
            f"{what}: batch norm '{layers[0]}' keeps no running statistics; build it with them, and give the "
            "config a field `batch_norm`, of which kind untracked does without"
        )
    usual = network.usual if isinstance(network, Conditional) else None
    if usual != model.usual:
        raise ConfigError(
            f"{what}: takes {usual} to be the usual condition where `usual` of its config is {model.usual}; "
            "say the same in both (None: it takes no condition)"
        )
