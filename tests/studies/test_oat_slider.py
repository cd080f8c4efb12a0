"""The slider: a fragment whose data are those of the results, with nothing in it that ends a script."""

import base64
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from made_oat import Made

from robustfront.reporting.results import Example
from robustfront.studies.oat import slider
from robustfront.studies.oat.slider import SliderSection, models

IMAGE = np.random.default_rng(0).random((1, 8, 8)).astype(np.float32)


class Shown(Made):
    def __init__(self) -> None:
        super().__init__()
        self.datasets = {"d": SimpleNamespace(name="</script>")}

    def examples(self, run_id: str, suite: str, attack: str) -> list[Example]:
        return [Example(n, IMAGE, n, n if attack == "clean" else n + 1) for n in range(8)]


@pytest.fixture
def made() -> Any:
    return Shown()


def test_a_stop_for_each_lambda_with_accuracies_and_predictions(made: Any) -> None:
    (model,) = models(made)
    assert [stop["value"] for stop in model["stops"]] == [0.0, 1.0]
    last = model["stops"][-1]
    assert {name: found["mean"] for name, found in last["accuracies"].items()} == {
        "clean": 75.0,
        "worst case": 50.0,
        "pgd": 62.5,
    }
    assert len(last["images"]) == slider.IMAGES
    assert [one["clean"]["prediction"] for one in last["images"]] == [0, 1, 2, 3, 4, 5]
    assert [one["attacked"]["prediction"] for one in last["images"]] == [1, 2, 3, 4, 5, 6]
    address = last["images"][0]["clean"]["image"]
    pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(address.split(",")[1])), format="png")
    np.testing.assert_allclose(pixels[..., 0], IMAGE[0], atol=0.5 / 255 + 1e-6)


def test_the_fragment_holds_its_data_and_asks_nobody(made: Any, tmp_path: Path) -> None:
    section = SliderSection("slider", "Slider")
    section.make(made, tmp_path)
    text = (tmp_path / section.shown).read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    assert json.loads(found[1]) == models(made)
    assert json.loads((tmp_path / "figures/slider.json").read_text(encoding="utf-8")) == models(made)
    assert "http" not in text.replace(found[1], "")
    assert sorted(section.files) == ["figures/slider.html", "figures/slider.json"]


def test_without_a_model_that_is_told_lambda_it_is_empty(made: Any) -> None:
    made.runs = {run_id: run for run_id, run in made.runs.items() if not run_id.startswith("oat")}
    assert models(made) == []
