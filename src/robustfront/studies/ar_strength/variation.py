"""Figure 8 and Table 1: by how much attacks raise the loss, attack strength by strength of the defence."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from robustfront.reporting.columns import Number, Printed, Quantity
from robustfront.reporting.drawing import BLUE, GREEN, VERMILION, lacking, nothing_to_draw, styled
from robustfront.reporting.results import Analysed, Results
from robustfront.reporting.tables import TableSpec
from robustfront.studies.ar_strength.families import PGD, STRENGTHS, datasets, signed_by
from robustfront.studies.ar_strength.measures import Z
from robustfront.studies.ar_strength.tables import LABELS, SOURCE

KIND = "loss-variation"


def _of_run(results: Results, run: str) -> Analysed | None:
    return next((item for item in results.analysed(KIND) if item.run.id == run), None)


def _cell(position: int, statistic: str) -> Callable[[Results, str], Number | None]:
    """Mean or standard deviation under the attack of that position, weakest first."""

    def value(results: Results, run: str) -> Number | None:
        item = _of_run(results, run)
        if item is None:
            return None
        rises = item.array("variation")[position].astype(float)
        n, mean, std = len(rises), float(rises.mean()), float(rises.std())
        if statistic == "mean":
            half = Z * std / n**0.5
            return Number(mean, mean - half, mean + half, n)
        influence = ((rises - mean) ** 2 - std**2) / (2 * max(std, 1e-300))
        half = Z * float(influence.std()) / n**0.5
        return Number(std, std - half, std + half, n)

    return value


TABLE1 = TableSpec(
    "AR strength (S003), Table 1",
    LABELS,
    [
        Quantity(
            f"{statistic}-{strength}",
            f"attack {strength}: {statistic}",
            _cell(position, statistic),
            "test",
            metric="loss",
            unit="nats",
            printed=Printed(f"loss_variation_{statistic}", "PGD", strength),
        )
        for position, strength in enumerate(STRENGTHS)
        for statistic in ("mean", "std")
    ],
    published="table1",
    sources=SOURCE,
    notes=(
        "The largest rise of the cross entropy that PGD finds within the attack's radius, over test images, "
        "wrong ones included. Attack strengths are lost in our source; ours are those of the training.",
    ),
)


def figure8(results: Results) -> Figure:
    """Figure 8: mean and standard deviation of the loss variation."""
    shown = datasets(results, PGD)
    with styled():
        figure = Figure(figsize=(5 * max(1, len(shown)), 3.4), layout="constrained")
        if not shown:
            return nothing_to_draw(figure, "no run of Figure 8 at this scale")
        for axes, (dataset, family) in zip(
            figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True
        ):
            for position, (attack, colour) in enumerate(
                zip(STRENGTHS, (BLUE, GREEN, VERMILION), strict=True)
            ):
                x, means, stds = [], [], []
                for place, strength in enumerate(STRENGTHS):
                    for run in family.runs(results, strength, dataset)[:1]:
                        if (item := _of_run(results, run.id)) is not None:
                            x.append(place + 0.08 * (position - 1))
                            means.append(item.record.facts["mean"][position])
                            stds.append(item.record.facts["std"][position])
                if x:
                    axes.errorbar(
                        x, means, yerr=stds, color=colour, marker="o", capsize=3, label=f"attack {attack}"
                    )
            axes.set_xticks(np.arange(len(STRENGTHS)), STRENGTHS)
            axes.set_xlabel("strength of the defence")
            axes.set_ylabel("rise of the loss, mean ± std (nats)")
            axes.set_title(results.datasets[dataset].name, fontsize=9)
            if axes.get_legend_handles_labels()[0]:
                axes.legend(fontsize=7.5)
        signed_by(figure, results, lacking(results.not_analysed(KIND)))
    return figure
