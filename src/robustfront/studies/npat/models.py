"""What the paper calls its models."""

from robustfront.reporting.results import Analysed

_METHODS = {
    "standard": "st model",
    "pgd_at": "PGD-AT",
    "trades": "TRADES",
    "score": "SCORE",
    "frl": "FRL",
    "caat": "CAAT",
    "npda": "NPDA",
    "npgd": "NPGD",
    "npgd_frozen": "NPGD, features frozen",
}


def model(item: Analysed) -> str:
    """A trained model as the paper calls it: method, generator and adversarial coefficient."""
    run = item.run.config
    name = _METHODS.get(run.method, run.method)
    generator = run.params.get("generator")
    beta = run.params.get("beta")
    name += f" + {generator.upper()}" if generator not in (None, "pgd") else ""
    return name if beta is None else f"{name}, β = {beta:g}"
