# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Other runs, beside those of Table 1
# The runs of params.yaml that no table of the paper has: methods of your own and controls, under the same
# attacks as the paper's.

# %%
from pathlib import Path

from IPython.display import HTML

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.other_runs import compare, heading
from robustfront.reporting.rendering import write_table

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
table = compare(plan, Layout(Path(results)))

# %%
stem = Path(reports) / "tables" / "other_runs"
write_table(table, stem, heading(table))
HTML(f"{stem}.html")
