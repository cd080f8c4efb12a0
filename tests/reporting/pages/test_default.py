import pytest
from matplotlib.figure import Figure
from study_project import PGD, SUITE, StudyProject

from robustfront.reporting.default import SECTIONS, front, table
from robustfront.reporting.results import Results

MNIST = {
    "source": "mnist",
    "splits": {"validation": 1000, "test": "official"},
    "normalisation": {"mean": [0.1], "std": [0.3]},
}


def results(project: StudyProject) -> Results:
    return Results(project.plan, project.layout)


def points(figure: Figure) -> list[tuple[float, float]]:
    """Of all panels, what is drawn with a marker."""
    lines = [line for axes in figure.axes for line in axes.get_lines() if line.get_linestyle() == "None"]
    return [(float(x), float(y)) for line in lines for x, y in [(line.get_xdata()[0], line.get_ydata()[0])]]


def texts(figure: Figure) -> list[str]:
    shown = [text.get_text() for axes in figure.axes for text in (*axes.texts, axes.title)]
    return shown + [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_the_table_has_all_runs_under_all_attacks_and_what_each_starts_from(mine: StudyProject) -> None:
    frame = table(results(mine)).frame
    assert list(frame["run"].unique()) == ["st", "pgd-at"]
    assert dict(zip(frame["run"], frame["start"], strict=True)) == {"st": "scratch", "pgd-at": "st"}
    assert list(frame["column"].unique()) == ["clean", "pgd", "strong"]
    found = frame.set_index(["run", "column"])["value"]
    assert (found["st", "clean"], found["st", "pgd"], found["st", "strong"]) == (5.0, 32.0, 34.0)
    assert set(frame["status"]) == {"reproduced"}


def test_the_front_is_drawn_under_the_strongest_attack_of_each_suite(empty: StudyProject) -> None:
    weak = {"threat": {"eps": 0.1}, "attacks": {"short": PGD | {"steps": 2}, "long": PGD}}
    empty.write(**{"scales/tiny/suites": {"near": SUITE, "weak": weak}})
    empty.finish()
    figure = front(results(empty))
    assert sorted(set(points(figure))) == [(95.0, 66.0)]
    assert len(figure.axes) == 2
    assert any("near" in text for text in texts(figure))
    assert any("weak" in text for text in texts(figure))


def test_several_seeds_are_one_row_and_one_point(empty: StudyProject) -> None:
    empty.write(**{"scales/tiny/seeds": [0, 1, 2]})
    empty.finish()
    frame = table(results(empty)).frame
    assert len(frame) == 6
    assert set(frame["seeds"]) == {3}
    assert len(points(front(results(empty)))) == 2


def test_several_data_sets_are_rows_of_panels(empty: StudyProject) -> None:
    empty.write(**{"datasets/mnist": MNIST, "scales/tiny/datasets": ["digits", "mnist"]})
    empty.finish()
    assert set(table(results(empty)).frame["dataset"]) == {"digits", "mnist"}
    assert len(front(results(empty)).axes) == 2


@pytest.mark.parametrize("attacks", [{}, {"pgd": PGD}])
def test_one_run_without_an_attack_has_a_report(empty: StudyProject, attacks: dict) -> None:
    suite = {"threat": {"eps": 0.1}, "attacks": attacks, "masking": False}
    empty.write(**{"runs/pgd-at": None, "scales/tiny/suites": {"only": suite}})
    empty.finish()
    for section in SECTIONS:
        section.make(results(empty), empty.page)
    assert len(points(front(results(empty)))) == len(attacks)
    assert (empty.page / "figures/front.svg").is_file()


def test_without_any_result_the_report_says_so(empty: StudyProject) -> None:
    frame = table(results(empty)).frame
    assert set(frame["status"]) == {"not made yet"}
    assert "not evaluated" in texts(front(results(empty)))


def test_a_run_whose_masking_check_failed_is_hollow(mine: StudyProject) -> None:
    run = next(iter(mine.plan.runs.values()))
    mine.evaluate(run, masked=True)
    assert "hollow: masking check failed" in texts(front(results(mine)))
    frame = table(results(mine)).frame
    assert set(frame.loc[frame["run"] == "st", "masking"]) == {"failed"}


def test_many_methods_and_runs_share_grey_and_a_short_legend(empty: StudyProject) -> None:
    runs = {"st": {"method": "standard", "loss": "ce"}}
    for method in ("pgd_at", "trades", "frl", "caat", "score", "npda"):
        runs[method.replace("_", "-")] = {"method": method, "init": "st"}
    for name in ("trades", "frl", "caat", "score", "npda"):
        runs[name]["beta"] = 1.0
    runs["npda"]["generator"] = "pgd"
    for number in range(13):
        runs[f"more-{number}"] = {"method": "trades", "init": "st", "beta": 2.0 + number}
    empty.write(**{"runs": runs})
    empty.finish()
    figure = front(results(empty))
    assert len(points(figure)) == len(runs)
    assert "other methods" in texts(figure)
    assert "trades" in texts(figure)
    assert "more-3" not in texts(figure)
    assert "caat" in texts(figure)
