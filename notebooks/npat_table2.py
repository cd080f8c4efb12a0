# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # NPAT (S000), Table 2
# The size of the null space: NPDA and NPGD with an extra linear layer of growing width before the head. The
# standard models that they start from have that layer too.

# %%
from pathlib import Path

from IPython.display import HTML

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.rendering import write_table
from robustfront.reporting.tables import NPAT_TABLE2, reproduce

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
table = reproduce(NPAT_TABLE2, plan, Layout(Path(results)))

# %%
stem = Path(reports) / "tables" / "npat_table2"
write_table(table, stem, NPAT_TABLE2)
HTML(f"{stem}.html")
