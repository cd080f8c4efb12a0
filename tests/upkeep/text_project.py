"""A finished project of text files: what every step leaves, its records included, in no time."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from robustfront.artefacts import Layout, write_text
from robustfront.checksums import made_from, write_record
from robustfront.planning import Plan, Plans, load_plan
from robustfront.planning.sources import evaluation_code, training_code
from robustfront.upkeep import inventory
from robustfront.upkeep.neighbours import register
from small_params import tree
from study_files import STUDY, split, write


@dataclass
class TextProject:
    folder: Path
    file: str = "params.yaml"

    @property
    def params(self) -> Path:
        return self.folder / self.file

    @property
    def layout(self) -> Layout:
        return Layout(self.folder / "results", self.folder / "checkpoints")

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    @property
    def page(self) -> Path:
        """The folder of its study's report."""
        return self.reports / STUDY

    @cached_property
    def plan(self) -> Plan:
        return load_plan(self.params)

    @property
    def plans(self) -> list[Plan]:
        return [*Plans(self.params).scales.values()]

    def id(self, name: str) -> str:
        """Of the run that its study, or the one named before a slash, calls so."""
        full = name if "/" in name else f"{STUDY}/{name}"
        (found,) = (run.id for run in self.plan.runs.values() if full in run.names)
        return found

    def evaluation(self, label: str, name: str = "st") -> str:
        """Id of the evaluation of a run that is labelled so: clean, pgd-3, autoattack-standard or masking."""
        (found,) = (key for key in self.plan.evaluations[self.id(name)] if key.rpartition("-")[0] == label)
        return found

    def eval(self, file: str, name: str = "st") -> Path:
        """A file of the evaluations of a run."""
        return self.layout.run(self.id(name)) / "eval" / file

    def edit(self, **edits: object) -> None:
        """Another params.yaml; see `small_params.tree`."""
        write(self.folder, tree(**edits))
        self.reread()

    def add_study(self, name: str, **edits: object) -> None:
        """One more study, that of `tree` with `edits`; data sets and scales stay."""
        _, own = split(tree(**edits), name)
        write_text(self.folder / "params" / f"{name}.yaml", json.dumps(own))
        shared = json.loads(self.params.read_text())
        shared["studies"].append(f"params/{name}.yaml")
        write_text(self.params, json.dumps(shared))
        self.reread()

    def drop_study(self, name: str) -> None:
        """No longer lists it."""
        shared = json.loads(self.params.read_text())
        shared["studies"].remove(f"params/{name}.yaml")
        write_text(self.params, json.dumps(shared))
        self.reread()

    def reread(self) -> None:
        self.__dict__.pop("plan", None)

    def finish(self) -> None:
        """Writes every file of the plan that is missing, and a report."""
        for item in inventory.missing(self.plan, self.layout):
            *files, record = item.files
            for file in files:
                write_text(file, f"{item.kind} {item.id} {file.name}")
            write_record(record, self._facts(item), files)
        for folder in (*(self.reports / name for name in self.plan.studies), self.reports):
            write_text(folder / "index.html", "a page")
            write_record(folder / "record.json", {}, [folder / "index.html"])
        register(self.plans, self.params, self.layout.results, self.reports)

    def _facts(self, item: inventory.Item) -> dict[str, object]:
        if item.kind not in ("run", "evaluation", "index"):
            return {}
        run = self.plan.runs[item.id.split()[0]]
        if item.kind == "index":
            return {"run": run.id, "evaluations": sorted(self.plan.evaluations[run.id])}
        folder, inputs = self.layout.run(run.id), [self.layout.dataset(run.dataset_id) / "images.safetensors"]
        if item.kind == "evaluation":
            inputs.append(folder / "model.safetensors")
            evaluation = self.plan.evaluations[run.id][item.id.split()[1]]
            about = {"run": run.id, "sources": evaluation_code(evaluation, run.config.model)}
            return about | {"made_from": made_from(self.layout.results, inputs)}
        if run.config.init:
            inputs.append(self.layout.run(run.config.init) / "model.safetensors")
        return {
            "run": run.id,
            "names": run.names,
            "config": run.config.model_dump(mode="json"),
            "sources": training_code(run.config, self.plan.methods),
            "made_from": made_from(self.layout.results, inputs),
        }
