"""The graph of thousands of runs stays small: what each further run adds to it, counted."""

import pytest
from workflow_project import Project

from tiny import tiny_params


@pytest.fixture
def edges(tmp_path):
    """Number of runs of a sweep -> edges of the graph of jobs, nothing being there yet."""

    def count(runs: int) -> int:
        params = tiny_params()
        rates = [0.1 * (1 + index) for index in range(runs)]
        params["runs"]["many"] = {
            "method": "pgd_at",
            "init": "st",
            "sweep": {"training.optimizer.lr": rates},
        }
        tiny = Project(tmp_path)
        tiny.write(params)
        output = tiny.snakemake("--dag")
        assert output.returncode == 0, output.stdout
        return output.stdout.count("->")

    return count


def test_a_run_adds_edges_for_its_own_jobs_and_its_studies_and_no_others(edges):
    few, more = edges(2), edges(42)
    # train: data, init; evaluate: model, data; `all`: two jobs' files; the study: the same two
    assert (more - few) / 40 == 8


def test_no_rule_lists_runs_among_its_outputs_or_patterns(project):
    """Snakemake tries each file on each output of each rule, so either would cost the square of the runs."""
    rules = [*(project / "workflow" / "rules").glob("*.smk")]
    assert rules
    for path in rules:
        for output in path.read_text().split("output:")[1:]:
            assert "PLAN.runs" not in output.split("log:")[0].split("shell:")[0], path
    assert '"|".join(PLAN.runs)' not in (project / "Snakefile").read_text()
