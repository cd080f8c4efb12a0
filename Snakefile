# What is made, and in which order. Every rule calls one verb of the `robustfront` command; numbers are in params.yaml and
# the files of the studies that it names.
#
#   snakemake            everything of the scale that params.yaml selects, up to reports/index.html
#   snakemake -n         what would be done, and nothing else
#   snakemake npat       one study: its runs and its page
#   snakemake data|runs|report        one stage and what it needs
#   snakemake --config scale=mnist studies=npat    another scale, some of the studies, without editing params.yaml

import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from robustfront.artefacts import Layout
from robustfront.errors import RobustfrontError
from robustfront.planning import Plans, ascents
from robustfront.planning.files import (
    TRAINED as FILES_OF_A_RUN,
    gpus_present,
    incomplete,
    to_train,
)
from robustfront.upkeep.inventory import edited_since
from robustfront.worker import starting as worker

PARAMS = str(config.get("params", "params.yaml"))
STUDIES = config.get("studies") or []
if isinstance(STUDIES, str):
    STUDIES = STUDIES.replace(",", " ").split()
LAYOUT = Layout()
if not os.access(".snakemake" if os.path.exists(".snakemake") else ".", os.W_OK):
    # It would die of it in a traceback.
    raise WorkflowError(
        "this folder cannot be written to, and Snakemake keeps its state here, that of a dry run too; "
        "`robustfront status` says what is missing, `robustfront plan` what there is to do"
    )
try:
    PLANS = Plans(Path(PARAMS), LAYOUT.results)
    PLANS.try_all()  # a mistake in a scale that is not used today is still a mistake
    PLAN = PLANS.of(config.get("scale"), STUDIES)
    # The page of contents lists all studies, whichever are made now.
    WHOLE = PLANS.of(config.get("scale"))
except RobustfrontError as error:
    raise WorkflowError(str(error)) from None
AS_READ = {path: path.read_bytes() for path in PLANS.files}
if workflow.is_main_process:  # jobs on a cluster read this file, too
    for warning in ascents.warnings(PLAN):
        print(f"warning: {warning}", file=sys.stderr)
# Original images that were edited in place: the old numbers are not theirs.
for dataset in PLAN.datasets:
    manifest = LAYOUT.dataset(dataset) / "manifest.json"
    if edited := edited_since(manifest):
        raise WorkflowError(
            f"{', '.join(edited)}: not what {manifest} was made from; put the old file back, give the new "
            "one another name in params, or let `robustfront prune --stale --yes` remove all that was made "
            "of the old one"
        )
TRAINED = {
    run: [f"results/runs/{run}/{file}" for file in FILES_OF_A_RUN] for run in PLAN.runs
}
EVALUATED = {
    run: f"results/runs/{run}/eval/{PLAN.index(run)}.json" for run in PLAN.runs
}
# What is there and does not fit what it stands for: that is known when the Snakefile is read, and no time tells it. It is
# made again because it has one more input, a flag that no job has made yet: file -> flag. A dry run writes nothing.
AGAIN = {}


def make_again(paths):
    """Each file that is there gets a flag with its time in the name, a reason to make it anew once."""
    for path in filter(os.path.exists, paths):
        AGAIN[path] = f"logs/again/{path}-{os.stat(path).st_mtime_ns}"


make_again(EVALUATED[run] for run in incomplete(PLAN, LAYOUT))
# Images and projectors that were lost are made again, and nothing of them that is there: they are inputs of those jobs
# alone that are to be done, as Snakemake would do the others, too.
TO_TRAIN = to_train(PLAN, LAYOUT)


def for_what_is_to_do(run, outputs, **files):
    """Inputs of a job on a run by name; none if the job is done."""
    done = all(os.path.exists(path) and path not in AGAIN for path in outputs)
    return {} if done and run not in TO_TRAIN else files


ANALYSES = [
    f"results/runs/{run}/analysis/{analysis}.json"
    for run, analysis in PLAN.analysis_jobs
]
DATASETS = [
    f"results/datasets/{dataset}/{file}"
    for dataset in PLAN.datasets
    for file in ("images.safetensors", "manifest.json")
]
PROJECTORS = [
    f"results/projectors/{projector}/projector.{suffix}"
    for projector in PLAN.projectors
    for suffix in ("safetensors", "json")
]
# Every file of everything: one that is asked for by nobody is not made again when it is lost.
RESULT_FILES = [
    *DATASETS,
    *PROJECTORS,
    *(file for files in TRAINED.values() for file in files),
    *EVALUATED.values(),
    *ANALYSES,
    *(path.removesuffix(".json") + ".safetensors" for path in ANALYSES),
]
# How many GPUs a training, evaluation or analysis asks for; a cluster's profile says it for the nodes.
GPU = int(gpus_present() > 0)
# To how many devices of a machine a training is shared out (docs/performance.md).
DEVICES = int(config.get("devices", 1))
# The command that every rule calls; tests of the engines put a quick stand-in in its place.
COMMAND = config.get("command", worker.COMMAND)
ROBUSTFRONT = " ".join(
    [
        COMMAND,
        shlex.join(["--params", PARAMS, "--scale", PLAN.scale]),
        *(shlex.join(["--study", study]) for study in STUDIES),
    ]
)


# On a cluster these stay on the login node: it has the internet, and they take seconds.
localrules:
    all,
    again,
    data,
    dataset,
    projector,
    runs,
    report,
    study,
    contents,


# Which ids there are says the plan: a pattern that lists thousands of them is slow to match.
wildcard_constraints:
    run="[^/]+",
    index="index-[0-9a-f]+",
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
        AGAIN.values(),


rule again:
    output:
        touch("logs/again/{flag}"),
    wildcard_constraints:
        flag=".+",


# Jobs of this machine are forked from one process that has imported what they need, and that ends with this one.
onstart:
    if workflow.local_exec:
        worker.start()
    shell("{ROBUSTFRONT} prepare")


onsuccess:
    shell("rm -rf logs/again")
    # DVC reads them when we are done: it would take what was made for what they say now.
    for path, content in AS_READ.items():
        if not path.exists() or path.read_bytes() != content:
            raise WorkflowError(
                f"{path}: edited while Snakemake ran, so what it says now may not be there; start again"
            )


# A job that fails takes what needs it along, the report too. What is there is reported all the same, and what is not.
onerror:
    said = [
        Path(path).read_text(encoding="utf-8", errors="replace") for path in log
    ]
    if any("Error in rule" in text for text in said):
        shell("{ROBUSTFRONT} report --partial || true")
