"""Threat models, attacks and quantities in words, the same in every table, figure and page."""

from robustfront.config.attacks import EvaluationAttack
from robustfront.config.batch_norm import BatchNorm, Reestimated, Untracked
from robustfront.config.evaluations import Suite, other_conditions
from robustfront.config.images import Normalisation
from robustfront.config.quantities import length
from robustfront.config.schema import Threat

WHOLE = "‡"
"""Marks numbers of networks that look at their batch."""

FAILED, REFUTED = "†", "§"
"""Mark robust numbers of models that failed a masking check, and those that another attack refutes."""

NORMS = {"linf": "L∞", "l2": "L2"}


def threat(model: Threat, normalisation: Normalisation | None = None) -> str:
    """One line: norm, radius, the space it is measured in, and the box that is clipped to.

    With a data set's `normalisation`, a radius of the normalised space is also given in pixels.
    """
    unit = "of (x − mean)/std" if model.space == "normalised" else "of pixels in [0, 1]"
    box = "valid images" if model.clip == "image" else "[0, 1] after normalisation"
    radius = f"ε = {length(model.eps)} {unit}{_in_pixels(model, normalisation)}"
    return f"{NORMS[model.norm]}, {radius}, clipped to {box}"


def _in_pixels(model: Threat, normalisation: Normalisation | None) -> str:
    """` (about 2.0/255 in pixels)`; nothing where the radius is one in pixels already, or an L2 one."""
    if normalisation is None or model.space == "pixel" or model.norm != "linf":
        return ""
    radii = [255 * model.eps * std for std in normalisation.std]
    low, high = (f"{radius:.1f}" for radius in (min(radii), max(radii)))
    return f" (about {low if low == high else f'{low} to {high}'}/255 in pixels)"


def attack(name: str, settings: EvaluationAttack) -> str:
    """One phrase: the attack's name and what it does."""
    return f"{name} ({settings.words})"


def suite(model: Suite) -> str:
    """One sentence: the threat model, the attacks in order, and on what they are made."""
    attacks = ", ".join(attack(name, settings) for name, settings in model.attacks.items())
    parts = [threat(model.threat), f"attacks: {attacks}"]
    parts += [f"{model.split} images"] if model.split != "test" else []
    parts += [f"conditional networks are told {model.condition:.12g}"] if model.condition is not None else []
    parts += [f"{shown}: judged at {condition:.12g}" for shown, condition in other_conditions(model).items()]
    if model.whole_batches:
        parts.append(f"networks that normalise by the batch: in whole batches of {model.batch_size}")
    return "; ".join(parts)


def batch_norm(settings: BatchNorm) -> str:
    """One phrase: what the network's batch norms normalise by at test time."""
    match settings:
        case Reestimated(batches=batches):
            return f"statistics of {batches} training batches, after training"
        case Untracked(tracked=tracked):
            but = f"; running statistics in {', '.join(tracked)}" if tracked else ""
            return f"the batch, at test time too{but}"
    return "running statistics"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(count: float) -> str:
    """A number of bytes: `12 KiB`, `812 MiB`, `1.4 GiB`."""
    if count < 2**20:
        return f"{count / 1024:.0f} KiB"
    mebibytes = count / 2**20
    return f"{mebibytes:.0f} MiB" if mebibytes < 1024 else f"{mebibytes / 1024:.1f} GiB"
