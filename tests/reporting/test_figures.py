import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure

from finished_study import FinishedStudy
from robustfront.errors import ArtefactError
from robustfront.reporting.columns import Column
from robustfront.reporting.curves import of_run, overview, training_curves, training_overview
from robustfront.reporting.drawing import BLUE, GREEN, lacking, save_figure
from robustfront.reporting.fronts import Family, front, marked
from robustfront.reporting.published import Row
from robustfront.reporting.sweeps import Look, sweep
from robustfront.reporting.tables import Table, TableSpec, reproduce
from robustfront.studies.npat.figures import figure1

ST, NPDA = "digits-st-s0-0a1b2c3d", "digits-npda-pgd-s0-0a1b2c3d"


def table(project: FinishedStudy, *runs: str, metric: str = "error", unit: str = "percent") -> Table:
    """Runs as rows, of which the number is the number of the row."""
    columns = [Column(name, name, name, metric=metric, unit=unit) for name in ("clean", "pgd", "autoattack")]
    rows = [Row(str(i), run, {"name": run, "number": str(i)}) for i, run in enumerate(runs, 1)]
    spec = TableSpec("T", {"name": "Run", "number": "Number"}, columns, rows=rows)
    return reproduce(spec, project.results)


def points(axes):
    """(x, y) -> line, of the markers drawn."""
    lines = [
        line for line in axes.get_lines() if line.get_linestyle() == "None" and len(line.get_xdata()) == 1
    ]
    return {(round(line.get_xdata()[0], 2), round(line.get_ydata()[0], 2)): line for line in lines}


# ------------------------------------------------------------------------------------------- fronts
@pytest.mark.parametrize(("metric", "unit"), [("error", "percent"), ("accuracy", "fraction")])
def test_a_front_is_of_accuracies_in_percent_whatever_the_table_has(finished, metric, unit):
    made = table(finished, "st", "npda-pgd", "absent", metric=metric, unit=unit)
    families = [Family("mine", GREEN, marked(["st", "npda-pgd", "absent"]))]
    figure = front(made, families, attack="pgd")
    normalised, pixel = figure.axes
    assert set(points(normalised)) == {(95.0, 5.0), (94.0, 60.0)}
    assert normalised.get_ylabel() == "robust accuracy (%)"
    assert normalised.get_title().split("\n")[1] == "under pgd-20"
    down, up = (bar.get_segments()[0] for bar in normalised.containers[1].lines[2])
    assert [down[0][0], down[1][0]] == pytest.approx([89.0, 98.0])  # error 6 % in [2, 11]
    assert [up[0][1], up[1][1]] == pytest.approx([55.0, 64.0])  # error 40 % in [36, 45]
    assert points(pixel)[95.0, 1.0].get_markerfacecolor() == "white"  # masked in pixel space
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"mine", "st", "npda-pgd"} <= set(words)


def test_markers_differ_as_long_as_there_are_any():
    found = marked(f"r{i}" for i in range(9))
    assert list(found.values())[:8] == list("os^DvPXp")
    assert found["r8"] == "o"


def test_a_front_of_no_rows_says_so(finished):
    figure = front(table(finished), [], attack="pgd")
    assert [text.get_text() for text in figure.texts] == ["no rows at this scale"]


# ------------------------------------------------------------------------------------------- sweeps
def test_a_sweep_is_a_curve_along_the_numbers_of_a_label(finished):
    made = table(finished, "st", "npda-pgd")
    looks = {"clean": Look("clean", "o", "-"), "pgd": Look("under PGD", "s", "--")}
    figure = sweep(made, along="number", by="name", colours={"st": BLUE}, looks=looks, xlabel="number")
    drawn = [line for line in figure.axes[0].get_lines() if len(line.get_xdata())]
    curves = [line.get_xydata().tolist() for line in drawn if line.get_linestyle() != "None"]
    points = [line.get_xydata().tolist() for line in drawn if line.get_linestyle() == "None"]
    assert curves == points == [[[1, 95]], [[1, 5]]]
    figure = sweep(made, along="number", by="number", colours={"7": BLUE}, looks=looks, xlabel="number")
    assert [text.get_text() for text in figure.axes[0].texts] == ["not evaluated"]


# ------------------------------------------------------------------------------------------- curves
def test_training_curves_show_what_the_method_has(finished):
    npda = training_curves(finished.results.history(NPDA), title="npda-pgd")
    plain = training_curves(finished.results.history(ST), title="st", selected_epoch=5)
    assert npda.axes[3].get_title("left") == "null-space quantities"
    assert npda.axes[3].get_yscale() == "log"
    assert [line.get_label() for line in plain.axes[3].get_lines()[:2]] == ["clean loss", "kl"]
    assert plain.axes[2].get_xlabel() == "epoch (dotted: 5, kept)"
    dotted = plain.axes[0].get_lines()[-1]
    assert (dotted.get_linestyle(), list(dotted.get_xdata())) == (":", [5, 5])


def test_training_curves_are_percentages_and_skip_epochs_without_validation(finished):
    figure = training_curves(finished.results.history(ST), title="st")
    lines = {line.get_label(): line for line in figure.axes[1].get_lines()}
    robust = lines["validation, adversarial"]
    np.testing.assert_array_equal(robust.get_xdata(), [0, 2, 4, 6])
    np.testing.assert_allclose(robust.get_ydata(), [5, *(100 - 85 / np.array([2, 4, 6]))])
    np.testing.assert_array_equal(lines["train, clean"].get_xdata(), [1, 2, 3, 4, 5, 6])


def test_overview_has_a_panel_per_run(finished):
    history = finished.results.history(ST)
    figure = training_overview({f"run {i}": history for i in range(5)})
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title("left") for axes in shown] == [f"run {i}" for i in range(5)]


def test_the_overview_is_of_the_runs_that_have_a_history(finished):
    (finished.layout.run(ST) / "history.csv").unlink()
    shown = [axes.get_title("left") for axes in overview(finished.results).axes if axes.get_visible()]
    assert shown == ["pgd-at, seed 0", "pgd-at, seed 1", "pgd-at, seed 2", "npda-pgd, seed 0"]
    with pytest.raises(ArtefactError, match=f"run {ST}: its history"):
        of_run(finished.results, run_id=ST, title="st")
    assert of_run(finished.results, run_id=NPDA, title="mine").get_suptitle() == "mine"


def test_an_overview_of_nothing_says_so(empty_project):
    assert "no run is trained yet" in [text.get_text() for text in overview(empty_project.results).texts]


# ------------------------------------------------------------------------------------------- saving
def test_what_is_not_there_is_said_in_a_figure():
    assert lacking({}) == ""
    assert (
        lacking({"st, seed 0": "diverged", "at": "failed"})
        == "; not there: st, seed 0 (diverged), at (failed)"
    )


def test_saving_twice_gives_the_same_bytes(finished, tmp_path):
    for stem in ("a", "b"):
        save_figure(figure1(finished.results), tmp_path / f"{stem}-b0.01")
    for suffix in ("svg", "png"):
        first, second = ((tmp_path / f"{stem}-b0.01.{suffix}").read_bytes() for stem in ("a", "b"))
        assert first == second
    ET.parse(tmp_path / "a-b0.01.svg")
    assert b"dc:date" not in (tmp_path / "a-b0.01.svg").read_bytes()


def test_a_figure_that_cannot_be_drawn_leaves_the_old_files(tmp_path):
    figure = Figure()
    save_figure(figure, tmp_path / "f")
    before = (tmp_path / "f.svg").read_bytes()
    figure.suptitle("$\\broken$")
    with pytest.raises(ValueError, match="broken"):
        save_figure(figure, tmp_path / "f")
    assert (tmp_path / "f.svg").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.png", "f.svg"]
