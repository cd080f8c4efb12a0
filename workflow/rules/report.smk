# Tables, figures and the page a person opens first. Seconds each, so other runs, another scale, other results, or other
# reporting code refresh all of them: the page leaves a digest of what the report was made from, and while that is not
# what is there now, STAMP is newer than the report. While it is, times mean nothing and every input is `ancient`.
# A notebook writes the files of its name and nothing else; all of them are outputs, so that a deleted one is remade.

from robustfront.artefacts import Layout
from robustfront.reporting import freshness

TABLES = ["npat_table1", "npat_table2", "npat_table3", "npat_claims", "other_runs"]
FIGURES = [
    "npat_figure1",
    "npat_figure2a",
    "npat_figure2b",
    "npat_figure3",
    "npat_figure4",
    "npat_figure5",
    "npat_figure6",
    "npat_remark31",
    "other_runs_front",
]
PLAN_DIGEST = freshness.plan_digest(PLAN)
CURRENT = freshness.is_current(
    PLAN, Layout(Path("results")), Path("reports"), Path("notebooks")
)
try:
    STAMP = [] if CURRENT else str(freshness.stamp(Path("results"), Path("reports")))
except RobustfrontError as error:
    raise WorkflowError(str(error)) from None
# Stands for all results: named as inputs of every notebook, thousands of runs would take Snakemake minutes.
RESULTS = ancient("results/complete")


def of_report(paths):
    """Inputs that are files of the report: while it is current, those that are there are no reason for anything."""
    return [
        ancient(path) if CURRENT and Path(path).exists() else path for path in paths
    ]


PARTS = [
    *expand(
        "reports/tables/{table}.{kind}",
        table=TABLES,
        kind=["csv", "md", "tex", "html"],
    ),
    *expand(
        "reports/figures/{figure}.{kind}",
        figure=[*FIGURES, "training_overview"],
        kind=["svg", "png"],
    ),
    "reports/figures/training",
    *expand(
        "reports/notebooks/{name}.html", name=[*TABLES, *FIGURES, "training_curves"]
    ),
]
REPORT = ["reports/index.html", "reports/metrics.json", "reports/record.json", *PARTS]


rule report:
    input:
        REPORT,


rule results:
    input:
        ancient(
            expand(
                "results/runs/{run}/eval/{suite}.json",
                run=PLAN.runs,
                suite=PLAN.suites,
            )
        ),
        ancient(expand("results/runs/{run}/manifest.json", run=PLAN.runs)),
        ancient(ANALYSES),
    output:
        touch("results/complete"),  # stays, so that a deleted table is made again alone


rule table:
    input:
        source=ancient("notebooks/{table}.py"),
        stamp=STAMP,
        results=RESULTS,
    output:
        multiext("reports/tables/{table}", ".csv", ".md", ".tex", ".html"),
        notebook="reports/notebooks/{table}.html",
    log:
        "logs/notebooks/{table}.log",
    wildcard_constraints:
        table="|".join(TABLES),
    threads: 1
    shell:
        "{ROBUSTFRONT} notebook --plan {PLAN_DIGEST} {input.source} {output.notebook} > {log} 2>&1"


rule figure:
    input:
        source=ancient("notebooks/{figure}.py"),
        stamp=STAMP,
        results=RESULTS,
    output:
        multiext("reports/figures/{figure}", ".svg", ".png"),
        notebook="reports/notebooks/{figure}.html",
    log:
        "logs/notebooks/{figure}.log",
    wildcard_constraints:
        figure="|".join(FIGURES),
    threads: 1
    shell:
        "{ROBUSTFRONT} notebook --plan {PLAN_DIGEST} {input.source} {output.notebook} > {log} 2>&1"


rule training_curves:
    input:
        source=ancient("notebooks/training_curves.py"),
        stamp=STAMP,
        results=RESULTS,
    output:
        multiext("reports/figures/training_overview", ".svg", ".png"),
        directory("reports/figures/training"),  # of each run, too many to name
        notebook="reports/notebooks/training_curves.html",
    log:
        "logs/notebooks/training_curves.log",
    threads: 1
    shell:
        "{ROBUSTFRONT} notebook --plan {PLAN_DIGEST} {input.source} {output.notebook} > {log} 2>&1"


rule page:
    input:
        stamp=STAMP,
        parts=of_report(PARTS),
    output:
        "reports/record.json",
        "reports/metrics.json",
        page="reports/index.html",
    log:
        "logs/page.log",
    threads: 1
    shell:
        "{ROBUSTFRONT} page --plan {PLAN_DIGEST} > {log} 2>&1"
