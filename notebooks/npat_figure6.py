# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # NPAT (S000), Figure 6
# Loss surfaces around the same test images: standard model, PGD-AT, TRADES, NPDA and NPGD over beta.

# %%
from pathlib import Path

from IPython.display import Image

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.analyses import analysed
from robustfront.reporting.drawing import save_figure
from robustfront.reporting.landscapes import npat_figure6

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
figure = npat_figure6(analysed(plan, Layout(Path(results)), "landscape"))

# %%
stem = Path(reports) / "figures" / "npat_figure6"
save_figure(figure, stem)
Image(f"{stem}.png", alt="Loss surfaces of all models")
