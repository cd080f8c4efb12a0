"""The analyses that a plan asks for, read back: what the figures of surfaces, paths and features draw."""

from dataclasses import dataclass

import numpy as np

from robustfront.analysis import records
from robustfront.artefacts import Layout
from robustfront.config.schema import Run
from robustfront.reporting import wording
from robustfront.reporting.results import Plan

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


@dataclass(frozen=True)
class Analysed:
    """One analysis of one run. `label`: the model in words; `dataset`: a name; `scale`: in words."""

    run_id: str
    method: str
    label: str
    dataset: str
    scale: str
    record: records.Record

    def array(self, name: str) -> np.ndarray:
        return self.record.arrays[name]


def analysed(plan: Plan, layout: Layout, kind: str) -> list[Analysed]:
    """All analyses of a kind, run by run in the order of params.yaml; empty if the scale asks for none.

    ArtefactError if one is missing or damaged.
    """
    found = []
    for analysis in plan.analyses.values():
        if analysis.config.kind != kind:
            continue
        for run_id in analysis.runs:
            config = plan.runs[run_id].config
            record = records.load(layout.analysis(run_id, analysis.id), run_id)
            found.append(
                Analysed(
                    run_id=run_id,
                    method=config.method,
                    label=model(config),
                    dataset=config.dataset.name,
                    scale=wording.scale_label(plan.scale),
                    record=record,
                )
            )
    return found


def model(run: Run) -> str:
    """A trained model as the paper calls it: method, generator and adversarial coefficient."""
    name = _METHODS.get(run.method, run.method)
    generator = run.params.get("generator")
    beta = run.params.get("beta")
    name += f" + {generator.upper()}" if generator not in (None, "pgd") else ""
    return name if beta is None else f"{name}, β = {beta:g}"
