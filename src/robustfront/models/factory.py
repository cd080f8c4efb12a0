"""From a model's config to a network with its initial, or its saved, weights."""

from pathlib import Path

from robustfront.config.schema import Model, Normalisation
from robustfront.errors import ConfigError
from robustfront.models.batch_norm import forget_statistics
from robustfront.models.classifier import Classifier
from robustfront.models.preact_resnet import PreActResNet
from robustfront.models.pretrained import load_imagenet
from robustfront.models.weights import load_into


def build(
    model: Model, *, channels: int, classes: int, normalisation: Normalisation, weights: Path | None = None
) -> Classifier:
    """A network on the CPU, in train mode, with the statistics that it has once it is trained.

    Its weights are those of the file `weights`, if given; otherwise the initial ones: drawn from torch's
    global generator, the backbone then filled from ImageNet if the config says so.

    Raises ConfigError (normalisation of another number of channels, no such pretrained network), DataError
    (pretrained weights cannot be had), ArtefactError (`weights` is missing, damaged or of another model).
    """
    if len(normalisation.mean) != channels:
        raise ConfigError(
            f"normalisation: has {len(normalisation.mean)} channels but the images have {channels}; "
            "give one mean and one std per channel"
        )
    classifier = PreActResNet(model, channels=channels, classes=classes, normalisation=normalisation)
    if model.looks_at_batches:
        forget_statistics(classifier)
    if weights is not None:
        load_into(classifier, weights)
    elif model.pretrained == "imagenet":
        load_imagenet(classifier)
    return classifier
