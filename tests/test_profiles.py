import re

import pytest
import yaml
from snakemake.profiles import ProfileConfigFileParser

from robustfront import cores


@pytest.fixture
def gpu_rules(project) -> set[str]:
    """Rules that ask for a GPU."""
    text = "".join(path.read_text() for path in sorted((project / "workflow" / "rules").glob("*.smk")))
    found = {block.split(":")[0] for block in re.split(r"^rule ", text, flags=re.M)[1:] if "gpu=" in block}
    assert "train" in found
    return found


@pytest.mark.parametrize("name", ["default", "gpu"])
def test_on_one_machine_snakemake_starts_no_more_gpu_jobs_than_there_are_gpus(project, name):
    profile = yaml.safe_load((project / "profiles" / name / "config.yaml").read_text())
    assert profile["resources"]["gpu"] >= 1, "without a number here, Snakemake starts all jobs at once"
    assert profile["resources"]["gpu"] == 1 or name != "default"


def test_on_a_cluster_each_of_these_jobs_asks_for_a_gpu_and_a_time(project, gpu_rules):
    profile = yaml.safe_load((project / "profiles" / "slurm" / "config.yaml").read_text())
    assert profile["set-resources"].keys() == gpu_rules
    for asked in profile["set-resources"].values():
        assert asked["gpu"] == 1
        assert "runtime" in asked


def test_what_needs_no_gpu_stays_on_the_login_node(project, gpu_rules):
    sources = [project / "Snakefile", *(project / "workflow" / "rules").glob("*.smk")]
    text = "\n".join(path.read_text() for path in sources)
    rules = set(re.findall(r"^rule (\w+):", text, re.M))
    (local,) = re.findall(r"^localrules:\n((?:    \w+,\n)+)", text, re.M)
    assert set(re.findall(r"\w+", local)) == rules - gpu_rules


def test_bare_snakemake_runs_no_more_jobs_than_it_was_given_cores(project, monkeypatch):
    monkeypatch.setattr(cores, "available", lambda: 3)
    with (project / "profiles" / "default" / "config.yaml").open() as file:
        assert ProfileConfigFileParser().parse(file)["cores"] == "3"
