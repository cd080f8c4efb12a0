from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from robustfront.artefacts import read_json, write_json
from robustfront.errors import ArtefactError
from robustfront.reporting.page import metrics, write_page
from robustfront.reporting.sections import PAPER, FigureSection

VOID = {"meta", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """Collects links, images and text; checks that tags nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.images, self.ids, self.words, self.tags = [], [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.links += [attributes[name] for name in ("href", "src") if name in attributes]
        self.images += [attributes] if tag == "img" else []
        self.ids += [attributes["id"]] if "id" in attributes else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def reported(finished):
    finished.finish()
    write_page(finished.plan, finished.layout.results, finished.reports)
    return finished


@pytest.fixture
def page(reported):
    return Page((reported.reports / "index.html").read_text(encoding="utf-8"))


def test_tags_nest_and_the_page_has_one_title(page):
    assert page.open == []
    assert page.tags.count("h1") == 1
    assert {"main", "nav", "header", "footer"} <= set(page.tags)


def test_every_link_leads_somewhere_beside_the_page(page, reported):
    assert page.links
    for link in page.links:
        assert not link.startswith(("http:", "https:", "//", "/", "data:"))
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert (reported.reports / unquote(link)).is_file(), link


def test_nothing_is_loaded_from_the_network(reported):
    text = (reported.reports / "index.html").read_text(encoding="utf-8")
    assert not any(word in text for word in ("http://", "https://", "@import", "url(", "<script"))


def test_images_have_alternative_texts(page):
    figures = [section for section in PAPER if isinstance(section, FigureSection)]
    assert len(page.images) == len(figures) + 1 + 5
    assert all(len(image["alt"]) > 20 for image in page.images)


def test_it_says_what_was_run_where_and_for_how_long(page):
    for text in (
        "Digits scale: not comparable in value. small real images & a small network",
        "5, seeds 0, 1, 2",
        "an imaginary processor, 2 thread(s)",
        "5 min 10 s of training steps, 1 min 0 s of their validation, 2 min 5 s of evaluation",
        "robustfront 0.1.0, commit 0123456789ab",
        "python 3.11.7, torch 2.15.0",
        "1,197 train, 200 validation, 400 test images; split seed 0; test images held out of the official",
        "L∞, ε = 8/255 of (x − mean)/std, clipped to valid images; attacks: pgd-20 (20 steps of 2/255, ce)",
        "5 of 6",
        "1,912",
        "512 MiB",
    ):
        assert text in page.text, text


def test_masking_verdicts_name_the_failed_check(page):
    assert page.text.count("failed: AutoAttack not above PGD") == 1
    assert page.text.count("passed, 2 checks") == 9
    assert "40 <of> 400 & more" in page.text


def test_deviations_name_the_runs_they_hold_for(page):
    assert "weights <from scratch> & not ImageNet (st, seed 0)" in page.text


@pytest.mark.parametrize(
    ("kept", "words"), [(1, "(st, seed 0)"), (4, "(all runs but pgd-at, seed 2)"), (5, "(all runs)")]
)
def test_deviations_of_most_runs_name_the_others(reported, kept, words):
    last = [run for run in reported.plan.runs if "pgd-at" in run and "s2" in run]
    runs = [run for run in reported.plan.runs if run not in last] + last
    for position, run in enumerate(runs):
        path = reported.layout.run(run) / "manifest.json"
        write_json(path, read_json(path) | {"deviations": ["half as long"] * (position < kept)})
    write_page(reported.plan, reported.layout.results, reported.reports)
    assert f"half as long {words}" in Page((reported.reports / "index.html").read_text("utf-8")).text


def test_published_and_reproduced_numbers_stand_in_one_table(page):
    assert "Published, CIFAR10 Reproduced, normalised space Reproduced, pixel space" in page.text
    assert "5.69 84.28 84.18 5.00 [1.0, 10.0] 95.00 [91.0, 100.0] 96.00 [92.0, 100.0]" in page.text


def test_the_contents_list_every_section(page, reported):
    assert [section.anchor for section in PAPER if f"#{section.anchor}" not in page.links] == []
    assert " ".join(section.short for section in PAPER) in page.text


def test_metrics_are_mean_errors_in_percent_under_stable_names(reported):
    found = read_json(reported.reports / "metrics.json")
    assert found == metrics(reported.plan, reported.layout)
    assert set(found["digits"]) == {"st", "pgd-at", "npda-pgd"}
    assert found["digits"]["npda-pgd"]["pixel-space"] == {
        "clean": 6.0,
        "pgd-20": 60.0,
        "autoattack": 62.5,
        "worst-case": 62.5,
    }
    assert found["digits"]["pgd-at"]["paper-space"]["clean"] == 11.0  # of 10, 11, 12


def test_writing_it_again_gives_the_same_bytes(reported):
    before = (reported.reports / "index.html").read_bytes()
    write_page(reported.plan, reported.layout.results, reported.reports)
    assert (reported.reports / "index.html").read_bytes() == before


def test_a_bare_manifest_is_enough(reported):
    for run in reported.plan.runs:
        write_json(reported.layout.run(run) / "manifest.json", {})
    (reported.layout.dataset("digits-11112222") / "manifest.json").unlink()
    write_page(reported.plan, reported.layout.results, reported.reports)
    page = Page((reported.reports / "index.html").read_text(encoding="utf-8"))
    assert "Device not recorded" in page.text
    assert "The runs recorded none." in page.text


def test_suites_without_checks_are_shown_as_not_checked(reported):
    for path in reported.layout.results.rglob("eval/pixel-space-99.json"):
        write_json(path, read_json(path) | {"masking": [], "checksums": {}})
    write_page(reported.plan, reported.layout.results, reported.reports)
    page = Page((reported.reports / "index.html").read_text(encoding="utf-8"))
    assert page.text.count("not checked") == 5


@pytest.mark.parametrize(
    "missing",
    ["tables/npat_table1.tex", "figures/npat_figure1.svg", "figures/training/digits-st-s0-0a1b2c3d.png"],
)
def test_a_missing_report_file_is_named(reported, missing):
    (reported.reports / missing).unlink()
    with pytest.raises(ArtefactError, match=missing):
        write_page(reported.plan, reported.layout.results, reported.reports)


def test_a_missing_manifest_is_named(reported):
    (reported.layout.run("digits-st-s0-0a1b2c3d") / "manifest.json").unlink()
    with pytest.raises(ArtefactError, match=r"digits-st-s0-0a1b2c3d/manifest\.json: missing"):
        write_page(reported.plan, reported.layout.results, reported.reports)
