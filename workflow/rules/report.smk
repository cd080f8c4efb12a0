# Tables, figures and the page a person opens first. Seconds each, so any edit of params.yaml, another scale, or other
# reporting code (STAMP holds a hash of them) refreshes them.
# A notebook writes the files of its name and nothing else; all of them are outputs, so that a deleted one is remade.

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
RESULTS = ancient(
    expand("results/runs/{run}/eval/{suite}.json", run=PLAN.runs, suite=PLAN.suites)
    + expand("results/runs/{run}/manifest.json", run=PLAN.runs)
    + ANALYSES
)


REPORT = [
    "reports/index.html",
    "reports/metrics.json",
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
    *expand(
        "reports/notebooks/{name}.html", name=[*TABLES, *FIGURES, "training_curves"]
    ),
]


rule report:
    input:
        REPORT,


rule table:
    input:
        source="notebooks/{table}.py",
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
        "{ROBUSTFRONT} notebook {input.source} {output.notebook} > {log} 2>&1"


rule figure:
    input:
        source="notebooks/{figure}.py",
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
        "{ROBUSTFRONT} notebook {input.source} {output.notebook} > {log} 2>&1"


rule training_curves:
    input:
        source="notebooks/training_curves.py",
        stamp=STAMP,
        results=RESULTS,
    output:
        multiext("reports/figures/training_overview", ".svg", ".png"),
        expand(
            "reports/figures/training/{run}.{kind}", run=PLAN.runs, kind=["svg", "png"]
        ),
        notebook="reports/notebooks/training_curves.html",
    log:
        "logs/notebooks/training_curves.log",
    threads: 1
    shell:
        "{ROBUSTFRONT} notebook {input.source} {output.notebook} > {log} 2>&1"


rule page:
    input:
        stamp=STAMP,
        tables=expand(
            "reports/tables/{table}.{kind}",
            table=TABLES,
            kind=["csv", "md", "tex", "html"],
        ),
        figures=expand(
            "reports/figures/{figure}.{kind}", figure=FIGURES, kind=["svg", "png"]
        ),
        curves=rules.training_curves.output,
        notebooks=expand("reports/notebooks/{name}.html", name=[*TABLES, *FIGURES]),
    output:
        page="reports/index.html",
        metrics="reports/metrics.json",
    log:
        "logs/page.log",
    threads: 1
    shell:
        "{ROBUSTFRONT} page > {log} 2>&1"
