"""From a model's config to a network with its initial, or its saved, weights."""

from pathlib import Path

from robustfront.config.images import Normalisation
from robustfront.config.networks import NetworkConfig
from robustfront.config.registry import resolve
from robustfront.errors import ConfigError
from robustfront.models.batch_norm import forget_statistics
from robustfront.models.classifier import Classifier
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

    Raises ConfigError (normalisation of another number of channels, a builder that does not exist), DataError
    (pretrained weights cannot be had), ArtefactError (`weights` is missing, damaged or of another model).
    """
    if len(normalisation.mean) != channels:
        raise ConfigError(
            f"normalisation: has {len(normalisation.mean)} channels but the images have {channels}; "
            "give one mean and one std per channel"
        )
    build_network = resolve(model.built_by, type(model))
    classifier: Classifier = build_network(
        model, channels=channels, classes=classes, normalisation=normalisation
    )
    if model.looks_at_batches:
        forget_statistics(classifier)
    if weights is not None:
        load_into(classifier, weights)
    elif model.pretrained is not None and model.pretrained_by is not None:
        resolve(model.pretrained_by, type(model))(classifier)
    return classifier
