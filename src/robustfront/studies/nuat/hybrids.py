"""How often hybrids made their second step, epoch by epoch, and the paper's subscript that it adds up to."""

import math

import pandas as pd
from matplotlib.figure import Figure

from robustfront.reporting.drawing import nothing_to_draw, styled
from robustfront.reporting.results import Results
from robustfront.studies.nuat.cost import two_step_epochs

PRINTED = {"wrn-nuat-h": 5, "wrn-nuat-wa-h25": 2, "wrn-nuat-wa-h60": 6, "wrn-nuat-wa-h80": 32}


def hybrids(results: Results) -> Figure:
    """The share of each epoch's batches with two steps."""
    shown = []
    for dataset_id in list(results.datasets)[:1]:
        for name in PRINTED:
            for run in results.find(name, dataset_id)[:1]:
                history = results.history(run.id)
                if history is not None:
                    shown.append((name, history[history["epoch"] > 0]))
    with styled():
        if not shown:
            return nothing_to_draw(Figure(), "no hybrids at this scale")
        figure = Figure(figsize=(3.6 * len(shown) + 0.6, 3), layout="constrained")
        for axes, (name, history) in zip(
            figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True
        ):
            axes.bar(history["epoch"], 100 * history["two_step_share"])
            axes.set_title(_words(name, history), fontsize=9)
            axes.set_xlabel(f"epoch ({results.label})", fontsize=8)
            axes.set_ylabel("batches with two steps (%)")
            axes.set_ylim(0, 100)
            axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _words(name: str, history: pd.DataFrame) -> str:
    twice, epochs = two_step_epochs(history) or 0.0, len(history)
    if not twice:
        return f"{name}: never a second step,\nso this is NuAT, {epochs} epochs"
    return f"{name}: {epochs} + {math.ceil(twice)} epochs\n({twice:.2f}; printed + {PRINTED[name]})"
