"""What the method is for: one model, and a slider for lambda. A fragment of HTML that needs no server."""

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.image import imsave

from robustfront.artefacts import write_text
from robustfront.config.evaluations import CLEAN
from robustfront.reporting.results import Example, Results
from robustfront.reporting.sections import Section
from robustfront.studies.oat.points import WORST, Point, points, told_suites

IMAGES = 6
"""Test images that are shown."""


@dataclass(frozen=True)
class SliderSection(Section):
    """Accuracies and some test images with their predictions, by model and lambda."""

    folder: ClassVar = "figures"
    downloads: ClassVar = {"json": "JSON"}

    @property
    def files(self) -> list[str]:
        return [self.shown, *super().files]

    @property
    def shown(self) -> str:
        return f"{self.stem}.html"

    def make(self, results: Results, folder: Path) -> None:
        content = json.dumps(models(results), ensure_ascii=False)
        stem = folder / self.stem
        write_text(stem.with_suffix(".json"), content)
        # what ends a script must not stand inside of one
        write_text(
            stem.with_suffix(".html"), _template().render(content=Markup(content.replace("<", r"\u003c")))
        )

    def _content(self, folder: Path) -> Markup:
        return Markup((folder / self.shown).read_text(encoding="utf-8"))


def models(results: Results) -> list[dict[str, Any]]:
    """Each model that is told lambda: `name`, and by rising lambda what is shown of it."""
    found = []
    for dataset_id, dataset in results.datasets.items():
        for name, of_model in points(results, dataset_id).items():
            stops = [
                _stop(results, point) for point in of_model if point.family.run and CLEAN in point.fallen
            ]
            if stops:
                found.append({"name": f"{name}, {dataset.name}", "stops": stops})
    return found


def _stop(results: Results, point: Point) -> dict[str, Any]:
    suite = told_suites(results)[point.suite]
    attack = next(iter(suite.judged_at), next(iter(suite.attacks), CLEAN))
    shown = {"clean": CLEAN, "worst case": WORST, attack: attack}
    run = point.runs[0].id
    clean = {one.sample: one for one in results.examples(run, point.suite, CLEAN)}
    attacked = {one.sample: one for one in results.examples(run, point.suite, attack)}
    return {
        "value": point.value,
        "seen": point.seen,
        "accuracies": {word: _accuracy(point, key) for word, key in shown.items()},
        "attack": attack,
        "images": [
            {"clean": _shown(clean[sample]), "attacked": _shown(attacked[sample])}
            for sample in list(clean)
            if sample in attacked
        ][:IMAGES],
    }


def _accuracy(point: Point, attack: str) -> Mapping[str, float] | None:
    interval = point.accuracy(attack)
    if interval is None:
        return None
    return {name: round(100 * value, 1) for name, value in interval._asdict().items()}


def _shown(example: Example) -> dict[str, Any]:
    return {"image": _png(example.image), "label": example.label, "prediction": example.prediction}


def _png(image: np.ndarray) -> str:
    """(C, H, W) in [0, 1] as a data address."""
    pixels = np.repeat(image, 3, axis=0) if len(image) == 1 else image
    written = io.BytesIO()
    rounded = (255 * pixels.transpose(1, 2, 0)).round().astype(np.uint8)
    imsave(written, rounded, format="png", metadata={"Software": ""})  # else the version of matplotlib
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()


@cache
def _template() -> jinja2.Template:
    text = Path(__file__).with_name("slider.html.j2").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(text)
