"""Files as a plan knows them: config.yaml of each run, what evaluations leave, and which of that is lost."""

import os
from pathlib import Path

from robustfront.artefacts import Layout, write_text
from robustfront.config.evaluations import Evaluation
from robustfront.config.yaml_loader import dump_yaml
from robustfront.planning.plan import Plan

TRAINED = ("model.safetensors", "history.csv", "manifest.json")
"""What a training leaves in the folder of its run; its record last."""


def write_configs(plan: Plan, results: Path) -> None:
    """Writes results/runs/<id>/config.yaml for every planned run that has none yet."""
    layout = Layout(results)
    layout.projector("").mkdir(parents=True, exist_ok=True)  # a scale may have none; DVC expects the folder
    for run in plan.runs.values():
        path = layout.run(run.id) / "config.yaml"
        if not path.exists():
            config = run.config.model_dump(mode="json")
            write_text(path, dump_yaml({"id": run.id, "dataset_id": run.dataset_id, "run": config}))


def evaluation_files(layout: Layout, run_id: str, evaluation_id: str, evaluation: Evaluation) -> list[Path]:
    """What an evaluation of a run leaves; its record last."""
    stem = layout.evaluation(run_id, evaluation_id)
    return [stem.with_name(f"{stem.name}.{suffix}") for suffix in evaluation.suffixes]


def incomplete(plan: Plan, layout: Layout) -> set[str]:
    """The planned runs with an index that vouches for more than is there: a file of an evaluation was lost.

    The graph knows nothing of these files: with all attacks of all runs in it, it would be too large.
    """
    found = set()
    for run, wanted in plan.evaluations.items():
        index = layout.evaluation(run, plan.index(run)).with_suffix(".json")
        try:
            there = set(os.listdir(index.parent))
        except OSError:
            continue
        files = (file for key, each in wanted.items() for file in evaluation_files(layout, run, key, each))
        if index.name in there and not all(file.name in there for file in files):
            found.add(run)
    return found


def is_trained(layout: Layout, run_id: str) -> bool:
    return all((layout.run(run_id) / name).is_file() for name in TRAINED)


def to_train(plan: Plan, layout: Layout) -> set[str]:
    """The planned runs of which a file is not there, and those that start from them."""
    found: set[str] = set()
    for run, planned in plan.runs.items():  # parents first
        if planned.config.init in found or not is_trained(layout, run):
            found.add(run)
    return found


def gpus_present() -> int:
    """NVIDIA GPUs this machine shows as device files; finds none where containers hide them."""
    return len(list(Path("/dev").glob("nvidia[0-9]*")))
