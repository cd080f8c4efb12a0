"""Training dynamics: losses and accuracies of some runs side by side, epoch by epoch."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from robustfront.reporting.curves import ACCURACIES, Curves, draw
from robustfront.reporting.drawing import GREY, styled
from robustfront.reporting.results import Results
from robustfront.reporting.tables import NOT_RUN


def dynamics(results: Results, shown: Mapping[str, str], losses: Curves) -> Figure:
    """Losses, and accuracies (%) below them, after each epoch of some runs side by side.

    `shown`: name of a run -> what it is called. Two rows of panels per data set of the study, a column per
    run. Several seeds are averaged. Adversarial: under the PGD with which the run's own validation attacks.
    """
    datasets = results.datasets
    with styled():
        figure = Figure(figsize=(5.25 * len(shown), 5.4 * len(datasets)), layout="constrained")
        grid = figure.subplots(2 * len(datasets), len(shown), squeeze=False, sharex=True, sharey="row")
        for position, (dataset_id, dataset) in enumerate(datasets.items()):
            for column, (run, name) in enumerate(shown.items()):
                above, below = grid[2 * position : 2 * position + 2, column]
                planned = results.find(run, dataset_id)
                histories = [results.history(found.id) for found in planned]
                known = [history for history in histories if history is not None]
                seeds = f", mean of {len(known)} seeds" if len(known) > 1 else ""
                above.set_title(f"{name} on {dataset.name}{seeds}", loc="left")
                if known:
                    mean = pd.concat(known).groupby("epoch", as_index=False).mean()
                    draw(above, mean, losses)
                    draw(below, mean, ACCURACIES, factor=100)
                else:
                    reason = results.state(planned[0].id) if planned else NOT_RUN
                    above.text(0.5, 0.5, reason, ha="center", transform=above.transAxes, color=GREY)
            grid[2 * position, 0].set_ylabel("loss")
            grid[2 * position + 1, 0].set_ylabel("accuracy (%)")
        for axes in grid[-1]:
            axes.set_xlabel(f"epoch ({results.label})")
            axes.xaxis.get_major_locator().set_params(integer=True)
    return figure
