import dataclasses
import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

from robustfront.reporting.drawing import BLUE, VERMILION, save_figure
from robustfront.reporting.results import Analysed
from robustfront.studies.npat.diagram import figure2a
from robustfront.studies.npat.features import SHOWN, figure3
from robustfront.studies.npat.figures import figure6
from robustfront.studies.npat.models import model
from robustfront.studies.npat.paths import figure2b
from robustfront.studies.npat.remark31 import remark31
from synthetic_records import STEPS, record

ERRORS = {"paper-space": (8, 100, 120), "pixel-space": (8, 100, 120)}


def item(kind: str, method: str, *, dataset: str = "digits", size: float = 1.0, **params: object) -> Analysed:
    """An analysis with made-up numbers, of a run of which only that is known."""
    config = SimpleNamespace(method=method, params=params, dataset=SimpleNamespace(name=dataset))
    run_id = "-".join([dataset, method, *map(str, params.values()), "s0"])
    run = SimpleNamespace(id=run_id, names=[method], config=config)
    return Analysed(run, method, record(kind, run_id, size=size))


def results(*items: Analysed, histories=None, missing=None) -> SimpleNamespace:
    """What these figures ask of results."""
    return SimpleNamespace(
        label="digits scale",
        analysed=lambda kind: list(items),
        not_analysed=lambda kind: missing or {},
        history=(histories or {}).get,
    )


def history(*, drift: bool = True) -> pd.DataFrame:
    epochs = np.arange(1, 6)
    columns = {"epoch": epochs, "projected_gradient_share": np.nan, "head_offset_in_row_space": 1e-8 * epochs}
    if drift:
        columns |= {
            "logit_drift": 2.0 * epochs,
            "logit_drift_head": 0.5 * epochs,
            "logit_drift_rest": 1.5 * epochs,
        }
    return pd.DataFrame(columns)


def texts(figure) -> str:
    """All visible words of a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(Text))


# -------------------------------------------------------------------------------------------- names
@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("standard", {"loss": "ce"}, "st model"),
        ("npda", {"generator": "pgd", "beta": 0.5}, "NPDA, β = 0.5"),
        ("npgd", {"generator": "score", "beta": 1.5}, "NPGD + SCORE, β = 1.5"),
        ("my-own", {}, "my-own"),
    ],
)
def test_models_are_named_as_in_the_paper(method, params, words):
    assert model(item("path", method, **params)) == words


# --------------------------------------------------------------------------------------------- figure 6
def test_figure6_has_a_row_for_each_family_and_a_surface_per_plane_and_model():
    found = [item("landscape", "standard")] + [item("landscape", "npda", beta=beta) for beta in (1, 2)]
    figure = figure6(results(*found))
    halves = figure.subfigs
    assert [half.get_suptitle() for half in halves] == ["gradient sign × random", "random × random"]
    assert all(len(half.axes) == 3 for half in halves)
    rows = [axes.get_subplotspec().rowspan.start for axes in halves[0].axes]
    assert rows == [0, 1, 1]
    assert "mean of 3 test images; digits scale" in texts(figure)


def test_figure6_shows_the_mean_surface_in_255ths_on_one_height_scale():
    figure = figure6(results(item("landscape", "standard"), item("landscape", "npda", size=4.0)))
    small, large = figure.subfigs[0].axes
    assert small.get_zlim() == large.get_zlim() == (0.0, pytest.approx(4 * 2 * 0.02))
    assert large.xy_dataLim.extents == pytest.approx([-25.5, -25.5, 25.5, 25.5])
    assert large.zz_dataLim.xmax == pytest.approx(4 * 2 * 0.02)
    assert small.zz_dataLim.xmax == pytest.approx(2 * 0.02)
    assert "rise 0.16, slope 0.400 per 1/255" in large.get_title()


def test_figure6_scales_every_data_set_by_itself():
    figure = figure6(
        results(item("landscape", "standard"), item("landscape", "standard", dataset="svhn", size=4.0))
    )
    first, second = figure.subfigs[0].axes
    assert first.get_zlim()[1] == pytest.approx(second.get_zlim()[1] / 4)


# -------------------------------------------------------------------------------------------- figure 2b
def test_figure2b_shows_both_ways_their_losses_and_the_images():
    figure = figure2b(results(item("path", "npda", beta=1.5)))
    words = texts(figure)
    assert "NPDA, β = 1.5: test image 3 of digits; steps lie up to 0.25 off the plane" in words
    assert "image: 2, predicted 2" in words
    assert "projected, predicted 7" in words
    assert "10 % of the shift" in words
    (climbs,) = [axes for axes in figure.findobj() if getattr(axes, "get_xlabel", str)().startswith("step")]
    assert [line.get_xdata()[0] for line in climbs.get_lines()] == [-1, -1]
    assert [line.get_xdata()[-1] for line in climbs.get_lines()] == [STEPS, STEPS]


def test_figure2b_puts_rows_of_the_surface_along_the_first_axis():
    figure = figure2b(results(item("path", "npda", size=10.0)))
    (mesh,) = [
        artist
        for artist in figure.findobj()
        if type(artist).__name__ == "QuadMesh" and artist.axes.get_xlabel().startswith("plain")
    ]
    values = mesh.get_array()
    assert np.ptp(values, axis=1).max() > 5 * np.ptp(values, axis=0).max()


# --------------------------------------------------------------------------------------------- figure 3
def test_figure3_draws_the_toy_the_models_and_the_shares():
    figure = figure3(results(item("null-space", "pgd_at"), item("null-space", "npgd", size=2.0)))
    words = texts(figure)
    positions = [words.index(t) for t in ("toy (simulated, 3 features)", "PGD-AT, digits", "NPGD, digits")]
    assert positions == sorted(positions)
    assert len(figure.axes) == 4 + 4 + 4 + 1
    heights = [bar.get_height() for bar in figure.axes[-1].patches]
    assert heights == pytest.approx([30, 60, 40, 80])
    assert "over 80 test images" in texts(figure)


def test_figure3_shows_a_plain_shift_from_above_and_a_projected_one_from_the_front():
    axes = figure3(results(item("null-space", "npgd", size=2.0))).axes[4:8]
    starts, ends = [], []
    for panel in axes:
        clean, moved = (line for line in panel.get_lines() if line.get_marker() == "o")
        assert len(clean.get_xdata()) == SHOWN
        assert (to_hex(clean.get_color()).upper(), to_hex(moved.get_color()).upper()) == (BLUE, VERMILION)
        starts.append(np.stack(clean.get_data()))
        ends.append(np.stack(moved.get_data()))
    shifts = [(end - start).mean(axis=1).round(3).tolist() for start, end in zip(starts, ends, strict=True)]
    assert shifts == [[2, 0], [2, 0], [0, 0], [0, 2]]


def test_figure3_draws_both_attacks_in_one_frame():
    axes = figure3(results(item("null-space", "npgd"))).axes[4:8]
    for left, right in (axes[0::2], axes[1::2]):
        assert left.get_xlim() == right.get_xlim()
        assert left.get_ylim() == right.get_ylim()


# --------------------------------------------------------------------------------------------- remark 3.1
def test_remark31_draws_the_parts_of_every_run_that_logs_them():
    npgd, frozen, at = (item("null-space", name) for name in ("npgd", "npgd_frozen", "pgd_at"))
    histories = {npgd.run.id: history(), frozen.run.id: history(), at.run.id: history(drift=False)}
    figure = remark31(results(npgd, frozen, at, histories=histories))
    above, below = figure.axes[:2], figure.axes[2:]
    assert [axes.get_title() for axes in above] == ["NPGD, digits", "NPGD, features frozen, digits"]
    total, head, rest = (line.get_ydata() for line in above[0].get_lines())
    np.testing.assert_allclose(total, 2.0 * np.arange(1, 6))
    np.testing.assert_allclose(head + rest, total)
    assert [bar.get_width() for bar in below[-1].patches] == pytest.approx([75, 75, 75])
    offset, gradient, share, _ = below
    assert len(offset.get_lines()) == 2
    assert offset.get_yscale() == "log"
    assert "not logged" in [text.get_text() for text in gradient.texts]
    assert share.get_ylim() == (0, 1)


def test_remark31_of_runs_from_before_the_quantities_were_logged_has_the_final_models_only():
    npgd = item("null-space", "npgd", size=2.0)
    figure = remark31(results(npgd, histories={npgd.run.id: history(drift=False)}))
    assert len(figure.axes) == 4
    assert [bar.get_width() for bar in figure.axes[-1].patches] == pytest.approx([150])


# -------------------------------------------------------------------------------------------- figure 2a
@pytest.fixture
def framework(finished):
    """st, NPDA and NPGD as the planner resolves them."""
    params = {"threat": {"eps": 10 / 255}, "attack": {"steps": 10, "step_size": 2 / 255}, "generator": "pgd"}
    start = next(run for run in finished.plan.runs if "-st-" in run)
    for method, betas in (("npda", [1.5]), ("npgd", [0.5, 5.0])):
        for beta in betas:
            run_id = finished.add(f"{method}-{beta:g}", ERRORS)
            run = finished.plan.runs[run_id]
            update = {"method": method, "params": params | {"beta": beta}, "init": start, "projector": "p"}
            run.config = run.config.model_copy(update=update)
    return finished


def test_figure2a_is_drawn_from_the_plan(framework):
    words = texts(figure2a(framework.results))
    assert "NPDA\n1 run on digits" in words
    assert "NPGD\n2 runs on digits" in words
    assert "attack: 10 steps, η = 2/255, ε = 10/255" in words
    assert "β = 0.5 to 5" in words
    assert "standard training\nst\n" in words
    assert "paper-space:\nclean, pgd-20, autoattack" in words


def test_figure2a_counts_all_seeds_and_names_a_start_once(framework):
    for run in list(framework.plan.runs.values()):
        init = run.config.init and f"{run.config.init}-again"
        config = run.config.model_copy(update={"seed": 1, "init": init})
        framework.plan.runs[f"{run.id}-again"] = dataclasses.replace(run, id=f"{run.id}-again", config=config)
    words = texts(figure2a(framework.results))
    assert "NPGD\n4 runs on digits" in words
    assert "standard training\nst\nPreActResNet" in words


def test_figure2a_names_every_data_set(framework):
    (digits,) = framework.plan.datasets.values()
    framework.plan.datasets["svhn-0"] = digits.model_copy(update={"name": "svhn"})
    assert "NPDA\n1 run on each of digits, svhn" in texts(figure2a(framework.results))


def test_figure2a_tints_where_the_projector_acts(framework):
    boxes = figure2a(framework.results).axes[0].patches
    tinted = [
        box
        for box in boxes
        if to_hex(box.get_edgecolor()).upper() == VERMILION and hasattr(box, "get_height")
    ]
    assert len(tinted) == 3  # the projector itself, NPDA's attack, NPGD's update


@pytest.mark.parametrize("name", ["st", "st-with-a-name-that-is-quite-long", "a, " * 40])
def test_figure2a_boxes_hold_their_texts_and_do_not_overlap(framework, name):
    start = next(run for run in framework.plan.runs.values() if run.names == ["st"])
    framework.plan.runs[start.id] = dataclasses.replace(start, names=[name])
    figure = figure2a(framework.results)
    axes, renderer = figure.axes[0], FigureCanvasAgg(figure).get_renderer()
    boxes = [box.get_window_extent(renderer) for box in axes.patches if hasattr(box, "get_height")]
    extents = [text.get_window_extent(renderer) for text in axes.texts if text.get_text()]
    inside = [any(box.contains(*text.min) and box.contains(*text.max) for box in boxes) for text in extents]
    assert sum(inside) == len(boxes)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    canvas = figure.bbox
    assert all(canvas.contains(*text.min) and canvas.contains(*text.max) for text in extents)


def test_figure2a_leaves_out_a_method_that_the_scale_has_not(finished):
    words = texts(figure2a(finished.results))
    assert "projector" in words
    assert "NPDA" not in words


# ------------------------------------------------------------------------------------------- all of them
FIGURES = {
    "2b": lambda: figure2b(results(item("path", "npda"))),
    "3": lambda: figure3(results(item("null-space", "npgd"))),
    "6": lambda: figure6(results(item("landscape", "npda"))),
    "remark31": lambda: remark31(
        results(item("null-space", "npgd"), histories={"digits-npgd-s0": history()})
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_drawing_twice_gives_the_same_bytes(name, tmp_path):
    for stem in ("a", "b"):
        save_figure(FIGURES[name](), tmp_path / stem)
    for suffix in ("svg", "png"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (figure2b, "no attack path at this scale"),
        (figure3, "toy (simulated"),
        (figure6, "no loss surfaces at this scale"),
        (remark31, "no analysis of Remark 3.1 at this scale"),
    ],
)
def test_a_scale_without_the_analysis_has_a_figure_that_says_so(draw, words, tmp_path):
    figure = draw(results())
    assert words in texts(figure)
    save_figure(figure, tmp_path / "f")


@pytest.mark.parametrize(
    ("draw", "kind"),
    [(figure2b, "path"), (figure3, "null-space"), (figure6, "landscape"), (remark31, "null-space")],
)
def test_an_analysis_that_is_not_there_is_told(draw, kind):
    figure = draw(results(item(kind, "npgd"), missing={"npda-pgd": "failed"}))
    assert "digits scale; not there: npda-pgd (failed)" in texts(figure)
