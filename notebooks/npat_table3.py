# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # NPAT (S000), Table 3
# NPDA and NPGD with an adversarial coefficient beta from 0.5 to 5.

# %%
from pathlib import Path

from IPython.display import HTML

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.rendering import write_table
from robustfront.reporting.tables import NPAT_TABLE3, reproduce

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
table = reproduce(NPAT_TABLE3, plan, Layout(Path(results)))

# %%
stem = Path(reports) / "tables" / "npat_table3"
write_table(table, stem, NPAT_TABLE3)
HTML(f"{stem}.html")
