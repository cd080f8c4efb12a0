# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # NPAT (S000), Figure 4
# Training dynamics of NPDA and NPGD: loss, and clean accuracy with robustness, after each epoch. The paper
# shows curves and prints no numbers.

# %%
from pathlib import Path

from IPython.display import Image

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.curves import npat_figure4
from robustfront.reporting.drawing import save_figure

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
figure = npat_figure4(plan, Layout(Path(results)))

# %%
stem = Path(reports) / "figures" / "npat_figure4"
save_figure(figure, stem)
Image(f"{stem}.png", alt="Loss and accuracy of NPDA and NPGD after each epoch")
