"""config.yaml of each run: what its id stands for, written before the run starts."""

from pathlib import Path

from robustfront.artefacts import Layout, write_text
from robustfront.config.yaml_loader import dump_yaml
from robustfront.planning.plan import Plan


def write_configs(plan: Plan, results: Path) -> None:
    """Writes results/runs/<id>/config.yaml for every planned run that has none yet."""
    layout = Layout(results)
    layout.projector("").mkdir(parents=True, exist_ok=True)  # a scale may have none; DVC expects the folder
    for run in plan.runs.values():
        path = layout.run(run.id) / "config.yaml"
        if not path.exists():
            config = run.config.model_dump(mode="json")
            write_text(path, dump_yaml({"id": run.id, "dataset_id": run.dataset_id, "run": config}))


def gpus_present() -> int:
    """NVIDIA GPUs this machine shows as device files; finds none where containers hide them."""
    return len(list(Path("/dev").glob("nvidia[0-9]*")))
