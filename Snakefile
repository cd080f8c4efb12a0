# What is made, and in which order. Every rule calls one verb of the `robustfront` command; numbers are in params.yaml.
#
#   snakemake            everything of the scale that params.yaml selects, up to reports/index.html
#   snakemake -n         what would be done, and nothing else
#   snakemake data|runs|report        one stage and what it needs
#   snakemake --config scale=mnist    another scale, without editing params.yaml

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from robustfront.errors import RobustfrontError
from robustfront.planning import load_plan
from robustfront.planning.files import gpus_present

PARAMS = config.get("params", "params.yaml")
try:
    PLAN = load_plan(Path(PARAMS), config.get("scale"))
except RobustfrontError as error:
    raise WorkflowError(str(error)) from None
ANALYSES = [
    f"results/runs/{run}/analysis/{analysis}.json"
    for run, analysis in PLAN.analysis_jobs
]
# Every file of every run: one that is asked for by nobody is not made again when it is lost.
RESULT_FILES = [
    *expand(
        "results/runs/{run}/{file}",
        run=PLAN.runs,
        file=["model.safetensors", "history.csv", "manifest.json"],
    ),
    *expand(
        "results/runs/{run}/eval/{suite}.{kind}",
        run=PLAN.runs,
        suite=PLAN.suites,
        kind=["parquet", "json"],
    ),
    *ANALYSES,
    *(path.removesuffix(".json") + ".safetensors" for path in ANALYSES),
]
# How many GPUs a training, evaluation or analysis asks for; a cluster's profile says it for the nodes.
GPU = int(gpus_present() > 0)
# To how many devices of a machine a training is shared out (docs/performance.md).
DEVICES = int(config.get("devices", 1))
# The command that every rule calls; tests of the engines put a quick stand-in in its place.
COMMAND = config.get("command", f"{sys.executable} -m robustfront")
ROBUSTFRONT = f"{COMMAND} --params {PARAMS} --scale {PLAN.scale}"


# On a cluster these stay on the login node: it has the internet, and they take seconds.
localrules:
    all,
    data,
    dataset,
    projector,
    runs,
    results,
    report,
    table,
    figure,
    training_curves,
    page,


# Which ids there are says the plan: a pattern that lists thousands of them is slow to match.
wildcard_constraints:
    run="[^/]+",
    suite="[^/]+",
    analysis="[^/]+",


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/analyse.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        RESULT_FILES,
        REPORT,


onstart:
    shell("{ROBUSTFRONT} prepare")
