"""Table 1 of the shipped scales."""

from pathlib import Path

import pytest

from robustfront.artefacts import Layout
from robustfront.planning import Plans
from robustfront.reporting.results import Results
from robustfront.reporting.tables import reproduce
from robustfront.studies.npat.tables import TABLE1


@pytest.mark.parametrize("scale", ["digits", "paper"])
def test_start_models_from_scratch_are_called_so(scale: str, project: Path, tmp_path: Path) -> None:
    plan = Plans(project / "params.yaml").of(scale).studies["npat"]
    frame = reproduce(TABLE1, Results(plan, Layout(tmp_path))).frame
    starts = frame.drop_duplicates(["dataset", "run"]).set_index(["dataset", "run"])["pretrained"]
    for dataset in frame["dataset"].unique():
        assert starts[dataset]["st"] == starts[dataset]["lse-st"] == "ImageNet; here: from scratch"
        assert starts[dataset]["pgd-at"] == "st model"
