# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # NPAT (S000)
# Every table and figure of the paper: what it prints, beside the models of this project. Those are made again
# whose results or code are not what they were made from.

# %%
from pathlib import Path

from robustfront.artefacts import Layout
from robustfront.planning import load_plan
from robustfront.reporting.build import build
from robustfront.reporting.notebooks import show
from robustfront.reporting.results import Results
from robustfront.reporting.study_report import all_sections

# %% tags=["parameters"]
params = "params.yaml"
scale = ""  # empty: the one that params.yaml selects
study = "npat"
studies: list[str] = []  # beside which others it is shown; empty: all
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None, studies or None).studies[study]
found = Results(plan, Layout(Path(results)))
folder = Path(reports) / study

# %%
show(build(found, all_sections(found), folder), folder)
