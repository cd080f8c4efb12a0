# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # NPAT (S000), Figure 5
# Clean accuracy and accuracy under AutoAttack against the adversarial coefficient beta: Table 3 as curves.

# %%
from pathlib import Path

from IPython.display import Image

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.drawing import save_figure
from robustfront.reporting.figures import npat_figure5
from robustfront.reporting.tables import NPAT_TABLE3, reproduce

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
figure = npat_figure5(reproduce(NPAT_TABLE3, plan, Layout(Path(results))))

# %%
stem = Path(reports) / "figures" / "npat_figure5"
save_figure(figure, stem)
Image(f"{stem}.png", alt="Clean accuracy and accuracy under AutoAttack against beta")
