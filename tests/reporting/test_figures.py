import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from robustfront.reporting.curves import (
    npat_figure4,
    training_curves,
    training_overview,
    write_training_curves,
)
from robustfront.reporting.drawing import BLUE, save_figure
from robustfront.reporting.figures import npat_figure1, npat_figure5, other_runs_front
from robustfront.reporting.other_runs import compare
from robustfront.reporting.results import read_history
from robustfront.reporting.tables import NPAT_TABLE1, NPAT_TABLE3, reproduce


@pytest.fixture
def figure(finished):
    return npat_figure1(reproduce(NPAT_TABLE1, finished.plan, finished.layout))


def points(axes):
    """(clean accuracy, robust accuracy) -> line, of the markers drawn."""
    lines = [
        line for line in axes.get_lines() if line.get_linestyle() == "None" and len(line.get_xdata()) == 1
    ]
    return {(round(line.get_xdata()[0], 2), round(line.get_ydata()[0], 2)): line for line in lines}


def test_figure1_has_a_published_panel_and_one_per_suite(figure):
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "published: CIFAR10"
    assert [title.split("\n")[0] for title in titles[1:]] == [
        "reproduced: digits, normalised space",
        "reproduced: digits, pixel space",
    ]
    assert all(title.endswith("digits scale: not comparable in value") for title in titles[1:])
    assert all("(%)" in axes.get_xlabel() for axes in figure.axes)


def test_figure1_plots_accuracies_of_the_table(figure):
    published, normalised, _ = figure.axes
    assert len(points(published)) == 15
    assert (93.42, 60.60) in points(published)  # NPDA + PGD-AT: 6.58, 39.40
    assert set(points(normalised)) == {(95.0, 4.0), (89.0, 69.0), (94.0, 58.0)}
    assert to_hex(points(normalised)[89.0, 69.0].get_markerfacecolor()).upper() == BLUE


def test_figure1_error_bars_are_the_intervals(figure):
    bars = [c.get_segments()[0] for c in figure.axes[1].containers[0].lines[2]]
    (x_low, _), (x_high, _) = bars[0]
    (_, y_low), (_, y_high) = bars[1]
    assert (x_low, x_high) == pytest.approx((90.0, 99.0))  # st: error 5 % in [1, 10]
    assert (y_low, y_high) == pytest.approx((0.0, 8.0))  # error 96 % in [92, 100]


def test_figure1_draws_a_masked_model_hollow(figure):
    _, normalised, pixel = figure.axes
    assert points(pixel)[95.0, 0.0].get_markerfacecolor() == "white"
    assert points(normalised)[95.0, 4.0].get_markerfacecolor() != "white"


def test_other_runs_are_drawn_among_the_reproduced_ones_and_not_in_figure1(finished):
    finished.add("mine", {"paper-space": (8, 80, 100), "pixel-space": (8, 80, 100)})
    paper = npat_figure1(reproduce(NPAT_TABLE1, finished.plan, finished.layout))
    figure = other_runs_front(compare(finished.plan, finished.layout))
    assert len(figure.axes) == len(paper.axes) - 1
    assert set(points(figure.axes[0])) == {(98.0, 75.0), *points(paper.axes[1])}
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "mine" in words
    assert "TRADES" not in words
    assert (98.0, 75.0) not in points(paper.axes[1])


def test_figure5_is_table_3_as_curves(finished):
    figure = npat_figure5(reproduce(NPAT_TABLE3, finished.plan, finished.layout))
    published, normalised, _ = figure.axes
    npda_clean, npda_robust, npgd_clean, _ = published.get_lines()
    np.testing.assert_array_equal(npda_clean.get_xdata(), np.arange(0.5, 5.5, 0.5))
    assert npda_clean.get_ydata()[0] == pytest.approx(93.96)
    assert npda_robust.get_ydata()[-1] == pytest.approx(65.51)
    assert npgd_clean.get_ydata()[-1] == pytest.approx(92.15)
    reproduced = [line.get_xydata().tolist() for line in normalised.get_lines() if len(line.get_xdata())]
    assert reproduced == [[[1.5, 94.0]], [[1.5, 58.0]]]  # the one run of Table 3 that was trained
    assert published.get_title() == "published: CIFAR10"


def test_figure4_follows_both_methods_and_says_what_was_not_run(finished):
    figure = npat_figure4(finished.plan, finished.layout)
    npda_loss, npgd_loss, npda_accuracy, npgd_accuracy = figure.axes
    assert npda_loss.get_title("left") == "NPDA + PGD-AT on digits"
    labels = [line.get_label() for line in npda_accuracy.get_lines()]
    assert {"validation, clean", "validation, adversarial"} <= set(labels)
    assert npda_accuracy.get_lines()[0].get_ydata()[0] == pytest.approx(30.0)
    assert [text.get_text() for text in npgd_loss.texts] == ["not run at this scale"]
    assert not npgd_accuracy.get_lines()


def test_figure4_averages_seeds(finished):
    errors = {"paper-space": (1, 2, 3), "pixel-space": (1, 2, 3)}
    for seed, accuracy in ((0, 0.5), (1, 0.7)):
        run = finished.add("npgd-pgd", errors, seed=seed)
        path = finished.layout.run(run) / "history.csv"
        history = read_history(finished.layout, run).assign(validation_clean_accuracy=accuracy)
        path.write_text(history.to_csv(index=False))
    axes = npat_figure4(finished.plan, finished.layout).axes
    assert axes[1].get_title("left") == "NPGD + PGD-AT on digits, mean of 2 seeds"
    lines = {line.get_label(): line for line in axes[3].get_lines()}
    np.testing.assert_allclose(lines["validation, clean"].get_ydata(), 60.0)


def test_figure1_says_where_nothing_was_evaluated(empty_project):
    figure = npat_figure1(reproduce(NPAT_TABLE1, empty_project.plan, empty_project.layout))
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert texts == [[], ["not evaluated"], ["not evaluated"]]


def test_saving_twice_gives_the_same_bytes(finished, tmp_path):
    table = reproduce(NPAT_TABLE1, finished.plan, finished.layout)
    for stem in ("a", "b"):
        save_figure(npat_figure1(table), tmp_path / f"{stem}-b0.01")
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


def test_training_curves_show_what_the_method_has(finished):
    npda = training_curves(read_history(finished.layout, "digits-npda-pgd-s0-0a1b2c3d"), title="npda-pgd")
    plain = training_curves(
        read_history(finished.layout, "digits-st-s0-0a1b2c3d"), title="st", selected_epoch=5
    )
    assert npda.axes[3].get_title("left") == "null-space quantities"
    assert npda.axes[3].get_yscale() == "log"
    assert [line.get_label() for line in plain.axes[3].get_lines()[:2]] == ["clean loss", "kl"]
    assert plain.axes[2].get_xlabel() == "epoch (dotted: 5, kept)"
    dotted = plain.axes[0].get_lines()[-1]
    assert (dotted.get_linestyle(), list(dotted.get_xdata())) == (":", [5, 5])


def test_training_curves_are_percentages_and_skip_epochs_without_validation(finished):
    figure = training_curves(read_history(finished.layout, "digits-st-s0-0a1b2c3d"), title="st")
    lines = {line.get_label(): line for line in figure.axes[1].get_lines()}
    robust = lines["validation, adversarial"]
    np.testing.assert_array_equal(robust.get_xdata(), [2, 4, 6])
    np.testing.assert_allclose(robust.get_ydata(), 100 - 85 / np.array([2, 4, 6]))


def test_overview_has_a_panel_per_run(finished):
    history = read_history(finished.layout, "digits-st-s0-0a1b2c3d")
    figure = training_overview({f"run {i}": history for i in range(5)})
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title("left") for axes in shown] == [f"run {i}" for i in range(5)]


def test_titles_name_the_seed_only_where_there_are_several(empty_project):
    empty_project.add("st", {"paper-space": (1, 2, 3), "pixel-space": (1, 2, 3)})
    (overview, curves) = write_training_curves(
        empty_project.plan, empty_project.layout, empty_project.reports / "figures"
    )
    assert overview.name == "training_overview.png"
    assert curves.name == "digits-st-s0-0a1b2c3d.png"
    assert all(path.with_suffix(".svg").is_file() for path in (overview, curves))


@pytest.mark.parametrize("content", ["", "loss\n1\n", 'epoch\n"1'])
def test_a_damaged_history_is_named(finished, content):
    path = finished.layout.run("digits-st-s0-0a1b2c3d") / "history.csv"
    path.write_text(content)
    with pytest.raises(Exception, match=r"history\.csv: damaged"):
        read_history(finished.layout, "digits-st-s0-0a1b2c3d")
