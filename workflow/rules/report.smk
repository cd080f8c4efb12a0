# A study's tables, figures and page, and the page a person opens first. One job per study makes what is not current, each
# table and figure by itself, and leaves a record of what all of it was made from and consists of. That a record does not
# fit what is there any more (other runs, results, reporting code; a deleted figure) is found when the Snakefile is read;
# while it fits, times mean nothing. A failed table or figure is shown as such, and its study gets no record.

from robustfront.reporting import freshness

RECORDS = {name: f"reports/{name}/record.json" for name in PLAN.studies}
CURRENT = {
    name: freshness.is_current(study, LAYOUT, Path("reports") / name)
    for name, study in PLAN.studies.items()
}
CONTENTS = "reports/record.json"
make_again(RECORDS[name] for name, current in CURRENT.items() if not current)
if not freshness.contents_are_current(WHOLE, Path("reports")):
    make_again([CONTENTS])
REPORT = [*RECORDS.values(), CONTENTS]


rule report:
    input:
        REPORT,
        AGAIN.values(),


for name in PLAN.studies:

    rule:
        name:
            name
        input:
            RECORDS[name],
            AGAIN.get(RECORDS[name], []),
            [
                AGAIN[EVALUATED[run]]
                for run in PLAN.studies[name].runs
                if EVALUATED[run] in AGAIN
            ],
        localrule: True


def study_inputs(wildcards):
    """The last file of each step of the study's runs."""
    planned = PLAN.studies[wildcards.study]
    return [
        *(ancient(TRAINED[run][-1]) for run in planned.runs),
        *(ancient(EVALUATED[run]) for run in planned.runs),
        *(
            ancient(f"results/runs/{run}/analysis/{analysis.id}.json")
            for analysis in planned.analyses.values()
            for run in analysis.runs
        ),
    ]


rule study:
    input:
        study_inputs,
        lambda wildcards: AGAIN.get(RECORDS[wildcards.study], []),
    output:
        "reports/{study}/record.json",
    log:
        "logs/report/{study}.log",
    threads: 1
    shell:
        "{ROBUSTFRONT} report {wildcards.study} > {log} 2>&1"


rule contents:
    input:
        [ancient(path) if CURRENT[name] else path for name, path in RECORDS.items()],
        AGAIN.get(CONTENTS, []),
    output:
        CONTENTS,
    log:
        "logs/report.log",
    threads: 1
    shell:
        "{ROBUSTFRONT} contents > {log} 2>&1"
