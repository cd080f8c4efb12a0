# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # NPAT (S000), Figure 1
# Clean accuracy against accuracy under AutoAttack: the published points, then the reproduced ones with 95 %
# intervals, a panel for each evaluation suite. A hollow marker means that a gradient-masking check failed.

# %%
from pathlib import Path

from IPython.display import Image

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.drawing import save_figure
from robustfront.reporting.figures import npat_figure1
from robustfront.reporting.tables import NPAT_TABLE1, reproduce

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
figure = npat_figure1(reproduce(NPAT_TABLE1, plan, Layout(Path(results))))

# %%
stem = Path(reports) / "figures" / "npat_figure1"
save_figure(figure, stem)
Image(f"{stem}.png", alt="Scatter plots of clean accuracy against accuracy under AutoAttack")
