# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # NPAT (S000), Remark 3.1
# How far f_adv - f_std is from what Eq. 22 says: along training, with trained and with frozen features, and
# in the models that were kept.

# %%
from pathlib import Path

from IPython.display import Image

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.analyses import analysed
from robustfront.reporting.drawing import save_figure
from robustfront.reporting.remark31 import npat_remark31
from robustfront.reporting.results import read_history

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
layout = Layout(Path(results))
found = analysed(plan, layout, "null-space")
figure = npat_remark31({item.run_id: read_history(layout, item.run_id) for item in found}, found)

# %%
stem = Path(reports) / "figures" / "npat_remark31"
save_figure(figure, stem)
Image(f"{stem}.png", alt="Drift of logits over the epochs")
