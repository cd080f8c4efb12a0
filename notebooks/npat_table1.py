# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # NPAT (S000), Table 1
# Standard and robust error of 15 models: what the paper prints, beside the models of this project.

# %%
from pathlib import Path

from IPython.display import HTML

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.rendering import write_table
from robustfront.reporting.tables import NPAT_TABLE1, reproduce

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
table = reproduce(NPAT_TABLE1, plan, Layout(Path(results)))

# %%
stem = Path(reports) / "tables" / "npat_table1"
write_table(table, stem, NPAT_TABLE1)
HTML(f"{stem}.html")
