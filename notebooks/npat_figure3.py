# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # NPAT (S000), Figure 3
# Penultimate features before and after plain and projected attacks: the paper's toy, then trained models, and
# the share of the shift that lies in the null space.

# %%
from pathlib import Path

from IPython.display import Image

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.analyses import analysed
from robustfront.reporting.drawing import save_figure
from robustfront.reporting.feature_space import npat_figure3

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
figure = npat_figure3(analysed(plan, Layout(Path(results)), "null-space"))

# %%
stem = Path(reports) / "figures" / "npat_figure3"
save_figure(figure, stem)
Image(f"{stem}.png", alt="Scatter plots of features before and after attacks")
