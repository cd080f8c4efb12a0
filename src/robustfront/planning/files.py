"""config.yaml of each run: what its id stands for, written before the run starts."""

import hashlib
from pathlib import Path

import robustfront
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


def report_stamp(plan: Plan, params: Path, results: Path) -> Path:
    """A file that changes when the report must be made anew: other params, scale, or reporting sources.

    Its content is a hash of them; it is written only when that differs, so its time is the change's.
    """
    total = hashlib.sha256(plan.scale.encode() + b"\0" + params.read_bytes())
    reporting = Path(robustfront.__file__).parent / "reporting"
    for path in sorted(path for path in reporting.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        total.update(path.relative_to(reporting).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    stamp, content = results / "report-stamp.txt", total.hexdigest() + "\n"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != content:
        write_text(stamp, content)
    return stamp


def gpus_present() -> int:
    """NVIDIA GPUs this machine shows as device files; finds none where containers hide them."""
    return len(list(Path("/dev").glob("nvidia[0-9]*")))
