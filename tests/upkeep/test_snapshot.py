"""When a snapshot is refused; that DVC is clean after one is shown by the walk of tests/walk."""

import pytest
from test_status import look

from robustfront.errors import ArtefactError
from robustfront.upkeep.snapshot import snapshot


def taken(project, selected: str = "tiny") -> str:
    reports = project.folder / "reports"
    return snapshot(project.plan, look(project), selected, project.layout, reports)


pytestmark = pytest.mark.usefixtures("old_pages")


@pytest.mark.parametrize("variable", ["DVC_ROOT", "DVC_STAGE"])
def test_not_from_inside_dvc(finished_project, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "x")
    with pytest.raises(ArtefactError, match=rf"DVC runs us \({variable} is set\)"):
        taken(finished_project)


def test_not_of_a_scale_that_params_does_not_select(finished_project) -> None:
    with pytest.raises(ArtefactError, match=r"selects scale 'wide'; write `scale: tiny` there"):
        taken(finished_project, "wide")


def test_not_of_unfinished_work(finished_project, old_pages: set[str]) -> None:
    (finished_project.layout.run(finished_project.id("at")) / "model.safetensors").unlink()
    with pytest.raises(ArtefactError, match=r"snapshot: 1 item\(s\) are missing; run `snakemake`"):
        taken(finished_project)
    finished_project.finish()
    old_pages.update({"small", "contents"})
    told = r"snapshot: the report is not made of what is there \(small, contents\); run"
    with pytest.raises(ArtefactError, match=told):
        taken(finished_project)


def test_what_dvc_complains_about_is_told(finished_project) -> None:
    with pytest.raises(
        ArtefactError, match=r"`dvc commit --force --no-relink` failed: .*not inside of a DVC"
    ):
        taken(finished_project)
