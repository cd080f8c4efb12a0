# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # NPAT (S000), Figure 2a
# The training framework, drawn from the runs of this scale, and where the null-space projector acts in it.

# %%
from pathlib import Path

from IPython.display import Image

from robustfront.planning import load_plan
from robustfront.reporting.drawing import save_figure
from robustfront.reporting.pipeline_diagram import npat_figure2a

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
figure = npat_figure2a(plan)

# %%
stem = Path(reports) / "figures" / "npat_figure2a"
save_figure(figure, stem)
Image(f"{stem}.png", alt="Diagram of the training framework")
