# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Training curves
# Validation accuracy of all runs at a glance, then loss, accuracy, learning rate and null-space quantities of
# each.

# %%
from pathlib import Path

from IPython.display import Image, display

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.curves import write_training_curves

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
images = write_training_curves(plan, Layout(Path(results)), Path(reports) / "figures")

# %%
display(*(Image(image, alt=f"Training curves: {image.stem}") for image in images))
