# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # NPAT (S000), claims
# Each checkable sentence of the paper: does it hold in the paper's own numbers, and in the models of this
# project, in each space of epsilon?

# %%
from pathlib import Path

from IPython.display import HTML

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.claims.judging import judge
from robustfront.reporting.claims.language import load_claims
from robustfront.reporting.claims.rendering import write_claims

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None)
table = judge(load_claims(), plan, Layout(Path(results)))

# %%
stem = Path(reports) / "tables" / "npat_claims"
write_claims(table, stem)
HTML(f"{stem}.html")
