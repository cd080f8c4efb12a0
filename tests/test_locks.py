import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

LOCKS = sorted(path.name for path in Path(__file__).parents[1].glob("requirements*.lock"))


def pins(path: Path) -> dict[str, set[str]]:
    """Package -> its versions: some have one for older and one for newer Pythons."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([\w.+!]+)", path.read_text(), re.M):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_exact_versions_and_hashes_and_names_no_host(project, name):
    text = (project / name).read_text()
    assert "://" not in text
    assert not re.search(r"^--?[a-z]", text, re.M), "an option, such as an index"
    for entry in re.split(r"^(?=[\w])", re.sub(r"^\s*#.*\n", "", text, flags=re.M), flags=re.M)[1:]:
        assert re.match(r"[\w.-]+==", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_executor_for_slurm_is_an_extra_that_changes_no_other_version(project):
    plain, extra = pins(project / "requirements.lock"), pins(project / "requirements-slurm.lock")
    new = extra.keys() - plain.keys()
    assert new == {"snakemake-executor-plugin-slurm", "snakemake-executor-plugin-slurm-jobstep"}
    assert {name: plain[name] for name in extra.keys() - new} == {
        name: extra[name] for name in extra.keys() - new
    }
    metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    (wanted,) = map(Requirement, metadata["optional-dependencies"]["slurm"])
    assert all(version in wanted.specifier for version in extra[wanted.name])
