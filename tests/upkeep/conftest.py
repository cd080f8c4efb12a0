"""A finished project of text files: what every step leaves, its records included, in no time."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from robustfront.artefacts import Layout, write_text
from robustfront.checksums import made_from, write_record
from robustfront.planning import Plan, load_plan, load_plans
from robustfront.planning.sources import source_digest
from robustfront.reporting import freshness
from robustfront.upkeep import inventory
from small_params import tree, write


@dataclass
class TextProject:
    folder: Path

    @property
    def params(self) -> Path:
        return self.folder / "params.yaml"

    @property
    def layout(self) -> Layout:
        return Layout(self.folder / "results", self.folder / "checkpoints")

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    @cached_property
    def plan(self) -> Plan:
        return load_plan(self.params)

    @property
    def plans(self) -> list[Plan]:
        return [*load_plans(self.params).values()]

    def id(self, name: str) -> str:
        (found,) = (run.id for run in self.plan.runs.values() if name in run.names)
        return found

    def edit(self, **edits: object) -> None:
        """Another params.yaml; see `small_params.tree`."""
        write(self.folder, tree(**edits))
        self.__dict__.pop("plan", None)

    def finish(self) -> None:
        """Writes every file of the plan that is missing, and a report."""
        for item in inventory.missing(self.plan, self.layout):
            *files, record = item.files
            for file in files:
                write_text(file, f"{item.kind} {item.id} {file.name}")
            write_record(record, self._facts(item), files)
        write_text(self.reports / "index.html", "a page")
        freshness.write(self.plan, self.layout, self.reports, self.folder, [self.reports / "index.html"])

    def _facts(self, item: inventory.Item) -> dict[str, object]:
        if item.kind not in ("run", "evaluation"):
            return {}
        run = self.plan.runs[item.id.split()[0]]
        folder, inputs = self.layout.run(run.id), [self.layout.dataset(run.dataset_id) / "images.safetensors"]
        if item.kind == "evaluation":
            inputs.append(folder / "model.safetensors")
            return {"run": run.id, "made_from": made_from(self.layout.results, inputs)}
        if run.config.init:
            inputs.append(self.layout.run(run.config.init) / "model.safetensors")
        return {
            "run": run.id,
            "names": run.names,
            "config": run.config.model_dump(mode="json"),
            "sources": source_digest(self.plan.methods[run.config.method]),
            "made_from": made_from(self.layout.results, inputs),
        }


@pytest.fixture
def finished_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TextProject:
    """Six runs and their evaluations, in the current folder."""
    write(tmp_path, tree())
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    project = TextProject(Path())
    project.finish()
    return project
