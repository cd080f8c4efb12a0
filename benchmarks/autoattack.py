"""AutoAttack by our engines and by pyautoattack on trained models: the verdict on every image, and the time.

    python -m benchmarks.autoattack RESULTS ID --suite pixel-space --images 64 [--runs PATTERN ...]

RESULTS is a folder of results: its runs are attacked in the threat model of their evaluation ID, by
pyautoattack as one uses it (weights not frozen, NCHW) and by each engine, in turn, one batch and one thread.
A row per run goes to docs/benchmarks/autoattack.csv, and docs/benchmarks/autoattack.md is written anew from
it. Times are CPU seconds of the process on a CPU, which other jobs disturb less, and seconds on a GPU.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyautoattack
import torch
import yaml
from torch import Tensor

from robustfront.attacks import Ball
from robustfront.attacks.autoattack import NORMS, autoattack
from robustfront.attacks.unit_box import Scaled
from robustfront.config.attacks.autoattack import AutoAttackEvaluation
from robustfront.config.identity import restored
from robustfront.config.schema import Run, Threat
from robustfront.data.augment import to_float
from robustfront.data.store import load
from robustfront.devices import choose_device
from robustfront.evaluation import outcomes
from robustfront.models import build
from robustfront.models.classifier import Classifier

DOCS = Path(__file__).parents[1] / "docs" / "benchmarks"
FIELDS = (
    "run",
    "suite",
    "device",
    "engine",
    "attacked",
    "fell_reference",
    "fell",
    "agree",
    "t_reference",
    "t",
)
HEAD = """# AutoAttack: our engines against pyautoattack

`python -m benchmarks.autoattack` on trained models: both attack the same correctly classified test images in
one batch, one thread, in turn. *agree*: images with the same verdict. Times in seconds (CPU: of the process),
*ratio*: pyautoattack's over ours. docs/reproduction/autoattack.md explains the engines.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("evaluation", help="id of an evaluation that the runs have")
    parser.add_argument("--suite", required=True, help="what to call it in the table")
    parser.add_argument("--images", type=int, required=True, help="so many test images from the first")
    parser.add_argument("--runs", nargs="+", default=["*"], help="patterns of run ids")
    parser.add_argument("--engines", nargs="+", default=["fast", "fast-bf16"])
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = choose_device(options.device)
    folders = sorted({run for pattern in options.runs for run in options.results.glob(f"runs/{pattern}")})
    for folder in folders:
        rows = compare(folder, options.evaluation, options.suite, options.images, options.engines, device)
        _append(rows)
        print(*rows, sep="\n", flush=True)
    (DOCS / "autoattack.md").write_text(page(pd.read_csv(DOCS / "autoattack.csv")))


def compare(
    folder: Path, evaluation_id: str, suite: str, images: int, engines: list[str], device: torch.device
) -> list[dict[str, object]]:
    """A row per engine for one run."""
    config = restored(Run, yaml.safe_load((folder / "config.yaml").read_text())["run"])
    evaluated = outcomes.record(folder / "eval" / evaluation_id)["evaluation"]
    threat, seed = Threat.model_validate(evaluated["threat"]), evaluated["seed"]
    data = next(folder.parents[1].glob(f"datasets/{config.dataset.name}-*"))
    store = load(data, device, ("test",))
    model = build(
        config.model,
        channels=store.test.images.shape[1],
        classes=store.classes,
        normalisation=config.dataset.normalisation,
        weights=folder / "model.safetensors",
    )
    model = model.to(device).eval()
    x, y = to_float(store.test.images[:images]), store.test.labels[:images]
    with torch.no_grad():
        correct = model(x).argmax(1) == y
    x, y = x[correct], y[correct]
    ball = Ball.of(threat, model.mean, model.std)
    x_adv, t_reference = _timed(lambda: _as_is(model, x, y, ball, seed), device)
    fell_reference = _fell(model, x_adv, y)
    rows = []
    for engine in engines:
        attack = AutoAttackEvaluation.model_validate({"engine": engine})
        x_adv, t = _timed(
            lambda attack=attack: autoattack(model, x, y, ball, attack=attack, seed=seed, batch_size=len(x)),
            device,
        )
        fell = _fell(model, x_adv, y)
        assert ball.contains(x_adv, x).all()
        counts = (len(x), fell_reference.sum(), fell.sum(), (fell == fell_reference).sum())
        values = (*map(int, counts), round(t_reference, 2), round(t, 2))
        kind = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
        rows.append(dict(zip(FIELDS, (folder.name, suite, kind, engine, *values), strict=True)))
    return rows


def _as_is(model: Classifier, x: Tensor, y: Tensor, ball: Ball, seed: int) -> Tensor:
    a = ball.scale.min() / ball.scale
    network = model if bool((a == 1).all()) else Scaled(model, a).eval()
    eps = ball.threat.eps * ball.scale.min().item()
    attack = pyautoattack.AutoAttack(
        network, norm=NORMS[ball.threat.norm], eps=eps, seed=seed, version="standard", device=x.device
    )
    attack.verbose = False
    attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = min(9, model.classes - 1)
    z_adv, _ = attack.run_standard_evaluation(a * x, y, batch_size=len(x))
    model.zero_grad()
    return ball.project(z_adv / a, x)


def _timed(run: Callable[[], Tensor], device: torch.device) -> tuple[Tensor, float]:
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    began = clock()
    result = run().detach()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return result, clock() - began


@torch.no_grad()
def _fell(model: Classifier, x_adv: Tensor, y: Tensor) -> Tensor:
    return model(x_adv).argmax(1) != y


def _append(rows: list[dict[str, object]]) -> None:
    path = DOCS / "autoattack.csv"
    path.parent.mkdir(exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def page(rows: pd.DataFrame) -> str:
    """Markdown: totals per data set, suite and engine, then every row."""
    rows = rows.assign(
        data=rows["run"].str.extract(r"^(.*?)-(?:standard|pgd|trades|score|np|caat|frl)", expand=False)
    )
    counts = ["attacked", "fell_reference", "fell", "agree", "t_reference", "t"]
    by = ["data", "suite", "device", "engine"]
    totals = rows.groupby(by, sort=False).agg(models=("run", "nunique"), **{c: (c, "sum") for c in counts})
    tables = [totals.reset_index(), rows[["run", "suite", "device", "engine", *counts]]]
    text = HEAD
    for title, table in zip(("In all", "Model by model"), tables, strict=True):
        shown = table.assign(ratio=(table["t_reference"] / table["t"]).round(2))
        shown = shown.round({"t_reference": 1, "t": 1})
        shown = shown.rename(columns={"t_reference": "pyautoattack, s", "t": "ours, s"})
        lines = [shown.columns, ["---"] * len(shown.columns), *shown.itertuples(index=False)]
        text += f"## {title}\n\n" + "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines) + "\n"
    return text.rstrip() + "\n"


if __name__ == "__main__":
    main()
