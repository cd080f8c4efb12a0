# Tables, figures and the page a person opens first. Seconds each, so any edit of params.yaml refreshes them.

NOTEBOOKS = [path.stem for path in sorted(Path("notebooks").glob("*.py"))]


rule report:
    input:
        "reports/index.html",


rule notebook:
    input:
        source="notebooks/{notebook}.py",
        params=PARAMS,
        results=ancient(
            expand("results/runs/{run}/eval/{suite}.json", run=PLAN.runs, suite=PLAN.suites)
            + expand("results/runs/{run}/manifest.json", run=PLAN.runs)
        ),
    output:
        html="reports/notebooks/{notebook}.html",
    log:
        "logs/notebooks/{notebook}.log",
    threads: 1
    shell:
        "{ROBUSTFRONT} notebook {input.source} {output.html} > {log} 2>&1"


rule page:
    input:
        params=PARAMS,
        notebooks=expand("reports/notebooks/{notebook}.html", notebook=NOTEBOOKS),
    output:
        "reports/index.html",
    log:
        "logs/page.log",
    threads: 1
    shell:
        "{ROBUSTFRONT} page > {log} 2>&1"
