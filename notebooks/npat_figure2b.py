# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # NPAT (S000), Figure 2b
# One test image under plain and under projected attack steps, on the loss surface that it climbs.

# %%
from pathlib import Path

from IPython.display import Image

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.analyses import analysed
from robustfront.reporting.drawing import save_figure
from robustfront.reporting.landscapes import npat_figure2b

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
figure = npat_figure2b(analysed(plan, Layout(Path(results)), "path"))

# %%
stem = Path(reports) / "figures" / "npat_figure2b"
save_figure(figure, stem)
Image(f"{stem}.png", alt="Loss surface with the ways of two attacks")
