"""Whether networks, budgets and evaluations fit the data they get, as far as that is known by now."""

from collections.abc import Iterable, Mapping

from robustfront.config.analyses import Analysis
from robustfront.config.evaluations import SplitName, Suite
from robustfront.config.experiment import Scale
from robustfront.config.networks import NetworkConfig
from robustfront.config.schema import Config, Dataset, Training
from robustfront.errors import ConfigError
from robustfront.methods.base import Method
from robustfront.planning.datasets import Facts
from robustfront.planning.study import PlannedRun


def check_null_space(model: NetworkConfig, facts: Facts, where: str, needed_by: str) -> None:
    """ConfigError if a head of full rank on the network's features cannot have a null space."""
    classes, features = facts.classes, model.feature_count
    if features == 0:
        raise _logits_alone(model, where, needed_by)
    if classes is None or features is None or features > classes:
        return
    key, advice = f"arch = '{model.arch}'", "choose a network with more features than classes"
    if wider := model.widening(classes + 1):
        key, advice = f"{wider[0]} = {getattr(model, wider[0])}", f"use {wider[1]} or more"
    raise ConfigError(
        f"{where}: model.{key}: its head maps {features} features to {classes} classes and has no null "
        f"space, which {needed_by} needs; {advice}"
    )


def check_features(model: NetworkConfig, suites: Iterable[Suite], where: str) -> None:
    """ConfigError if a suite has an attack that needs more of the network than its logits."""
    for suite in suites if model.feature_count == 0 else ():
        for name, attack in suite.attacks.items():
            if attack.needs_features:
                raise _logits_alone(model, where, f"attack '{name}' of suite '{suite.name}'")


def _logits_alone(model: NetworkConfig, where: str, needed_by: str) -> ConfigError:
    return ConfigError(
        f"{where}: model.arch = '{model.arch}': gives logits alone, and {needed_by} needs its features; "
        "choose another network"
    )


def check_batches(training: Training, facts: Facts, where: str) -> None:
    """ConfigError if an epoch ends with a batch of a single image, or has no batch at all."""
    images, size = facts.images["train"], training.batch_size
    if images is not None and training.batches(images) == 0:
        raise ConfigError(
            f"{where}: training.batch_size = {size}: is more than the {images} training images, of which "
            "drop_last leaves none; choose a smaller one"
        )
    if images is not None and training.seen(images) % size == 1:
        raise ConfigError(
            f"{where}: training.batch_size = {size}: leaves one of the {images} training images alone in the "
            "last batch, on which batch norm cannot train; choose another size"
        )


def check_validation(method: type[Method], params: Config, dataset: Dataset, where: str) -> None:
    """ConfigError if the validation images cannot be divided between a method and the selection of models."""
    if method.learns_from_validation(params) and dataset.splits.validation < 2:
        raise ConfigError(
            f"{where}: datasets.{dataset.name}.splits.validation = {dataset.splits.validation}: the method "
            "learns from one half of the validation images, and the model is selected on the other; hold out "
            "2 or more"
        )


def check_suites(suites: Iterable[Suite], run: PlannedRun, where: str) -> None:
    """ConfigError if a run's network cannot be attacked image by image, and a suite does not allow for it."""
    for suite in suites:
        if run.config.model.looks_at_batches and not suite.whole_batches:
            raise _looks_at_batches(
                run, f"{where}.suites.{suite.name}.whole_batches = false", "set it to true for marked numbers"
            )


def check_analysis(name: str, analysis: Analysis, run: PlannedRun, where: str) -> None:
    """ConfigError if a run's network has no answer to an image alone, of which most analyses are made."""
    if run.config.model.looks_at_batches and not analysis.of_batches:
        raise _looks_at_batches(run, f"{where}.analyses.{name}.runs", "leave it out here")


def _looks_at_batches(run: PlannedRun, where: str, remedy: str) -> ConfigError:
    name = run.names[0] if run.names else run.id
    return ConfigError(
        f"{where}: the network of run '{name}' has batch norm of kind untracked, so its answer to an image "
        f"depends on the rest of the batch: {remedy}, or give it model.batch_norm of kind tracked or "
        "re-estimated"
    )


def check_attacks(suites: Iterable[Suite], name: str, facts: Facts, where: str) -> None:
    """ConfigError if an attack needs more classes, or higher images, than the data set `name` has."""
    for suite in suites:
        for key, attack in suite.attacks.items():
            norm = suite.threat.norm
            needs = (
                ("classes or more", attack.fewest_classes, facts.classes),
                (f"rows of pixels or more for {norm}", attack.fewest_rows(norm), facts.rows),
            )
            for what, fewest, found in needs:
                if found is not None and found < fewest:
                    raise ConfigError(
                        f"{where}.suites.{suite.name}.attacks.{key}: needs {fewest} {what} ({attack.words}), "
                        f"{name} has {found}; choose another attack"
                    )


def check_samples(scale: Scale, datasets: Mapping[str, Facts], where: str) -> None:
    """ConfigError if a suite asks for more images than a split has, or an analysis for one beyond."""
    wanted: list[tuple[str, int, int, SplitName]] = [
        (f"suites.{suite.name}.samples.{attack}", count, count, suite.split)
        for suite in scale.suites.values()
        for attack, count in suite.samples.items()
    ]
    wanted += [
        (f"analyses.{name}.{key}", position, position + 1, "test")
        for name, analysis in scale.analyses.items()
        for key, position in analysis.positions.items()
    ]
    for dataset, facts in datasets.items():
        for key, value, needed, split in wanted:
            images = facts.images[split]
            if images is not None and needed > images:
                raise ConfigError(
                    f"{where}.{key} = {value}: needs {needed} {split} images, {dataset} has {images}"
                )
