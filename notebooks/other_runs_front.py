# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Other runs among those of Table 1
# Clean accuracy against accuracy under AutoAttack, a panel for each evaluation suite: the reproduced panels
# of NPAT's Figure 1, with the runs of params.yaml that are not in the paper. A hollow marker means that a
# gradient-masking check failed.

# %%
from pathlib import Path

from IPython.display import Image

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.drawing import save_figure
from robustfront.reporting.figures import other_runs_front
from robustfront.reporting.other_runs import compare

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
figure = other_runs_front(compare(plan, Layout(Path(results))))

# %%
stem = Path(reports) / "figures" / "other_runs_front"
save_figure(figure, stem)
Image(f"{stem}.png", alt="Scatter plots of clean accuracy against accuracy under AutoAttack")
