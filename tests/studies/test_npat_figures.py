import numpy as np
import pytest
from matplotlib.colors import to_hex

from robustfront.reporting.drawing import BLUE
from robustfront.studies.npat.figures import figure1, figure4, figure5


@pytest.fixture
def figure(finished):
    return figure1(finished.results)


def points(axes):
    """(clean accuracy, robust accuracy) -> line, of the markers drawn."""
    lines = [
        line for line in axes.get_lines() if line.get_linestyle() == "None" and len(line.get_xdata()) == 1
    ]
    return {(round(line.get_xdata()[0], 2), round(line.get_ydata()[0], 2)): line for line in lines}


def test_figure1_has_a_published_panel_and_one_per_suite(figure):
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "published: CIFAR10\nunder AutoAttack"
    assert [title.split("\n")[1] for title in titles[1:]] == ["under autoattack", "under autoattack"]
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


def test_figure1_draws_a_masked_model_hollow_wherever_it_was_checked(figure):
    _, normalised, pixel = figure.axes
    assert points(pixel)[95.0, 0.0].get_markerfacecolor() == "white"
    assert points(normalised)[95.0, 4.0].get_markerfacecolor() == "white", "the weights are the same"
    assert points(normalised)[94.0, 58.0].get_markerfacecolor() != "white"


def test_figure1_tells_rows_of_one_name_apart_by_their_start(figure):
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"NPGD + SCORE from lse st model", "NPGD + SCORE from st model", "TRADES"} <= set(words)
    assert "hollow: masking check failed" in words


def curves(axes):
    """Lines that join points, which are drawn one by one."""
    return [line for line in axes.get_lines() if line.get_linestyle() != "None"]


def test_figure5_is_table_3_as_curves(finished):
    figure = figure5(finished.results)
    published, normalised, _ = figure.axes
    npda_clean, npda_robust, npgd_clean, _ = curves(published)
    np.testing.assert_array_equal(npda_clean.get_xdata(), np.arange(0.5, 5.5, 0.5))
    assert npda_clean.get_ydata()[0] == pytest.approx(93.96)
    assert npda_robust.get_ydata()[-1] == pytest.approx(65.51)
    assert npgd_clean.get_ydata()[-1] == pytest.approx(92.15)
    reproduced = [line.get_xydata().tolist() for line in curves(normalised) if len(line.get_xdata())]
    assert reproduced == [[[1.5, 94.0]], [[1.5, 58.0]]]  # the one run of Table 3 that was trained
    assert published.get_title() == "published: CIFAR10\nunder AutoAttack"


def test_figure4_follows_both_methods_and_says_what_was_not_run(finished):
    figure = figure4(finished.results)
    npda_loss, npgd_loss, npda_accuracy, npgd_accuracy = figure.axes
    assert npda_loss.get_title("left") == "NPDA + PGD-AT on digits"
    labels = [line.get_label() for line in npda_accuracy.get_lines()]
    assert {"validation, clean", "validation, adversarial"} <= set(labels)
    starts = {line.get_label(): line.get_xdata()[0] for line in npda_accuracy.get_lines()}
    assert (starts["validation, clean"], starts["train, clean"]) == (0, 1)  # the model it starts from
    assert npda_accuracy.get_lines()[0].get_ydata()[0] == pytest.approx(30.0)
    assert [text.get_text() for text in npgd_loss.texts] == ["not run at this scale"]
    assert not npgd_accuracy.get_lines()


def test_figure4_averages_seeds(finished):
    errors = {"paper-space": (1, 2, 3), "pixel-space": (1, 2, 3)}
    for seed, accuracy in ((0, 0.5), (1, 0.7)):
        run = finished.add("npgd-pgd", errors, seed=seed)
        path = finished.layout.run(run) / "history.csv"
        history = finished.results.history(run).assign(validation_clean_accuracy=accuracy)
        path.write_text(history.to_csv(index=False))
    axes = figure4(finished.results).axes
    assert axes[1].get_title("left") == "NPGD + PGD-AT on digits, mean of 2 seeds"
    lines = {line.get_label(): line for line in axes[3].get_lines()}
    np.testing.assert_allclose(lines["validation, clean"].get_ydata(), 60.0)


def test_figure4_says_why_a_run_has_no_curves(finished):
    (finished.layout.run("digits-npda-pgd-s0-0a1b2c3d") / "manifest.json").unlink()
    (finished.layout.run("digits-npda-pgd-s0-0a1b2c3d") / "history.csv").unlink()
    assert [text.get_text() for text in figure4(finished.results).axes[0].texts] == ["not made yet"]


def test_figure1_says_where_nothing_was_evaluated(empty_project):
    figure = figure1(empty_project.results)
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert texts == [[], ["not evaluated"], ["not evaluated"]]
