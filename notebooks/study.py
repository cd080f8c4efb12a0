# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # A study
# All tables and figures of a study that brings no notebook of its own. Those are made again whose results or
# code are not what they were made from.

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
study = ""  # empty: the first that params.yaml names
studies: list[str] = []  # beside which others it is shown; empty: all
results = "results"
reports = "reports"

# %%
plan = load_plan(Path(params), scale or None, studies or None)
chosen = plan.studies[study or next(iter(plan.studies))]
found = Results(chosen, Layout(Path(results)))
folder = Path(reports) / chosen.study.name

# %%
show(build(found, all_sections(found), folder), folder)
