"""Which numbers are marked as doubtful, by what, and wherever they are shown."""

import pytest
import torch
from matplotlib.figure import Figure

import finished_study
from finished_study import NPAT, FinishedStudy
from robustfront.artefacts import read_json
from robustfront.config.attacks.autoattack import AutoAttackEvaluation
from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.config.evaluations import MASKING, WORST_CASE, Suite, of_suite
from robustfront.config.networks import PreActResNet
from robustfront.config.schema import Threat
from robustfront.data.store import Split
from robustfront.evaluation.evaluate import evaluate
from robustfront.evaluation.subject import Subject
from robustfront.evaluation.verdicts import judged
from robustfront.reporting import default, page, rendering
from robustfront.reporting.claims.judging import judge
from robustfront.reporting.claims.language import Claim
from robustfront.reporting.claims.rendering import write_claims
from robustfront.reporting.columns import Column, Derived, Printed
from robustfront.reporting.doubts import checks, masking_verdict, refutation
from robustfront.reporting.published import COLUMNS, Row
from robustfront.reporting.sweeps import Look, sweep
from robustfront.reporting.tables import TableSpec, reproduce
from small_autoattack import limit
from toy_models import Decoyed, random_images, random_linear

NEAR, FAR = Threat(eps=0.1), Threat(eps=0.2)
PGD, AA = PGDEvaluation(steps=20, step_size=0.01), AutoAttackEvaluation(engine="fast")
LONG = PGDEvaluation(steps=500, step_size=0.01)
BOTH = {"pgd-20": PGD, "autoattack": AA}
SPEC = TableSpec(
    "T",
    {"name": "Run"},
    [Column(name, name, name) for name in ("clean", "pgd", "autoattack")],
    rows=[Row("1", "st", {"name": "st"})],
)
WORDS = "of 400 images 160 fell to autoattack, 100 to pgd-20 (15.0 points more, p = 8.7e-19)"


@pytest.fixture(autouse=True)
def own_data(empty_project: FinishedStudy) -> None:
    """Digits are the paper's own data set, with nothing done otherwise: bounds are judged as they stand."""
    empty_project.studied(NPAT, same={"CIFAR10": ("digits",)})


def suite(name: str = "s", threat: Threat = NEAR, **changes: object) -> Suite:
    return Suite.model_validate({"name": name, "threat": threat, "attacks": BOTH} | changes)


def marked(project: FinishedStudy, suite: str = "s") -> dict[str, str]:
    """Column -> what refutes the number of `st` in it."""
    frame = reproduce(SPEC, project.results).frame
    return frame[frame["source"] == suite].set_index("column")["refuted"].to_dict()


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def crosses(figure: Figure) -> list[tuple[float, float]]:
    lines = [line for axes in figure.axes for line in axes.get_lines() if line.get_marker() == "x"]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines]


@pytest.fixture
def refuted(empty_project: FinishedStudy) -> FinishedStudy:
    """Of 400 images 100 fell to PGD and 160 to AutoAttack, these among them."""
    empty_project.attacked(suite())
    empty_project.add("st", {"s": (40, 100, 160)})
    return empty_project


# --------------------------------------------------------------------------------------- a network itself
@pytest.fixture
def decoyed(empty_project: FinishedStudy, monkeypatch: pytest.MonkeyPatch) -> FinishedStudy:
    """A run whose network misleads the cross entropy, evaluated by the attacks and checks themselves."""
    limit(monkeypatch, steps=20, queries=100)
    attacks = {"pgd-20": PGDEvaluation(steps=20, step_size=0.0025), "autoattack": AA}
    near = suite(threat=Threat(eps=0.01), attacks=attacks)
    empty_project.attacked(near)
    run = empty_project.add("st", {"s": (0, 0, 0)})
    shape = (1, 8, 8)
    real = random_linear(6, shape, seed=1, norm=60.0)
    aside = 0.05 * torch.randn(64, generator=torch.Generator().manual_seed(7)).sign()
    model = Decoyed(real, aside)
    images = (255 * random_images(300, shape)).round().to(torch.uint8)
    labels = model(images / 255).argmax(1).detach()
    subject = Subject.of(model, Split(images, labels, torch.arange(300)), "cpu")
    for name, evaluation in of_suite(near).items():
        stem = empty_project.evaluation(run, "s", name).with_suffix("")
        finished_study.save(evaluate(subject, evaluation), run, stem)
    return empty_project


def test_a_decoy_class_passes_all_checks_and_its_pgd_number_is_marked(decoyed: FinishedStudy) -> None:
    (run,) = decoyed.plan.runs
    results = decoyed.results
    record = results.evaluated(run, "s", MASKING)["masking"]
    assert judged(record) == ["passed"] * 5
    assert masking_verdict(results, [run], "s") == "passed"
    found = marked(decoyed)
    assert found["clean"] == found["autoattack"] == ""
    pgd, autoattack = (results.rate(run, "s", name).errors for name in ("pgd-20", "autoattack"))
    assert f"of 300 images {autoattack} fell to autoattack, {pgd} to pgd-20" in found["pgd"]
    assert 0 < 2 * pgd < autoattack < 150
    stem = decoyed.reports / "t"
    rendering.write_table(reproduce(SPEC, results), stem)
    cells = stem.with_suffix(".md").read_text().split("| st")[1].split("|")
    assert ["§" in cell for cell in cells[1:4]] == [False, True, False]


# --------------------------------------------------------------------------------- what refutes a number
def test_a_number_is_refuted_by_another_attack_in_its_ball(refuted: FinishedStudy) -> None:
    assert marked(refuted) == {"clean": "", "pgd": WORDS, "autoattack": ""}


def test_it_is_refuted_by_what_another_suite_did_in_the_same_ball_alone(empty_project: FinishedStudy) -> None:
    weak, strong = {"pgd-20": PGD}, {"autoattack": AA}
    others = {
        "same": {},
        "far": {"threat": FAR},
        "normalised": {"threat": Threat(eps=0.1, space="normalised")},
        "train": {"split": "train"},
    }
    for name, changes in others.items():
        empty_project.plan.runs.clear()
        empty_project.attacked(suite("weak", attacks=weak), suite(name, attacks=strong, **changes))
        empty_project.add("st", {"weak": (40, 100), name: (40, 160)})
        expected = WORDS.replace("autoattack", "autoattack of same") if name == "same" else ""
        assert marked(empty_project, "weak") == {"clean": "", "pgd": expected}


def test_any_attack_refutes_any_other_and_the_furthest_off_is_told(empty_project: FinishedStudy) -> None:
    also = PGDEvaluation(steps=500, step_size=0.01, also={"pgd-20": 20})
    empty_project.attacked(suite(attacks={"pgd-500": also, "longer": LONG.model_copy(update={"steps": 900})}))
    run = empty_project.add("st", {"s": (40, 130, 160)})
    results = empty_project.results
    words = refutation(results, [run], "s", "pgd-500")
    assert words.startswith("of 400 images 160 fell to longer, 130 to pgd-500 (7.5 points more")
    assert refutation(results, [run], "s", "longer") == ""
    assert refutation(results, [run], "s", WORST_CASE) == ""
    path = empty_project.evaluation(run, "s", "pgd-500").with_suffix("")
    rows = finished_study.outcomes.load(path)[0]
    early = rows.assign(outcome="step-20", success=rows["sample"] < 90)
    found = finished_study.outcomes.Evaluated(
        finished_study.pd.concat([rows, early]),
        None,
        {"outcomes": read_json(path.with_suffix(".json"))["outcomes"]},
    )
    finished_study.save(found, run, path)
    assert "160 fell to longer, 90 to pgd-20" in refutation(empty_project.results, [run], "s", "pgd-20")


def test_what_autoattack_fells_less_of_is_refuted_and_fails_a_check(empty_project: FinishedStudy) -> None:
    empty_project.attacked(suite())
    run = empty_project.add("st", {"s": (40, 160, 100)})
    assert marked(empty_project)["autoattack"].startswith(
        "of 400 images 160 fell to pgd-20, 100 to autoattack"
    )
    first = checks(empty_project.results, run, "s")[0]
    assert (first.check, first.state) == ("AutoAttack not weaker", "failed")
    assert first.detail.startswith(
        "of 400 images 100 fell to autoattack, 160 to pgd-20, 60 of them to pgd-20"
    )


def test_one_seed_is_enough(refuted: FinishedStudy) -> None:
    refuted.add("st", {"s": (40, 100, 104)}, seed=1)
    assert marked(refuted)["pgd"] == WORDS


def test_a_number_made_of_others_is_as_doubtful_as_these(refuted: FinishedStudy) -> None:
    columns = [*SPEC.columns, Derived("gap", "Gap", {"pgd": 1, "clean": -1})]
    spec = TableSpec("T", {"name": "Run"}, columns, rows=SPEC.rows)
    frame = reproduce(spec, refuted.results).frame.set_index("column")
    assert frame.loc["gap", "refuted"] == WORDS


def test_printed_numbers_are_held_against_those_beside_them(refuted: FinishedStudy, tmp_path) -> None:
    lines = [
        "1,1,st,CIFAR10,robust_accuracy,PGD,8/255,0.7442,fraction",
        "1,1,st,CIFAR10,robust_accuracy,AutoAttack,8/255,35.17,percent",
        "1,1,st,CIFAR10,robust_accuracy,near,8/255,40.17,percent",  # 5 points are a few
        "1,1,st,CIFAR10,robust_accuracy,L2,0.5,0.5356,fraction",
        "1,1,st,CIFAR10,robust_accuracy,unknown,,0.99,fraction",
        "1,2,pgd-at,CIFAR10,robust_error,PGD,8/255,0.6,fraction",
        "1,3,,CIFAR10,clean_accuracy,none,8/255,99,percent",
    ]
    folder = tmp_path / "mine"
    (folder / "published").mkdir(parents=True)
    (folder / "published" / "table1.csv").write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    refuted.studied(folder)
    attacks = ("PGD", "AutoAttack", "near", "L2", "unknown")
    columns = [
        Column(name, name, name, "accuracy", printed=Printed("robust_accuracy", name)) for name in attacks
    ]
    spec = TableSpec("T", {"row": "Row"}, columns, published="table1")
    table = reproduce(spec, refuted.results)
    frame = table.frame[(table.frame["source"] == "published") & (table.frame["row"] == "1")]
    assert frame.set_index("column")["refuted"].to_dict() == {
        "PGD": "in print AutoAttack fells 39.2 points more than PGD",
        **dict.fromkeys(attacks[1:], ""),
    }
    rendering.write_table(table, tmp_path / "t")
    assert "74.42§ |" in (tmp_path / "t.md").read_text()


# ----------------------------------------------------------------------------------------- where it is shown
def test_all_formats_of_a_table_mark_it_and_say_by_what(refuted: FinishedStudy) -> None:
    stem = refuted.reports / "t"
    rendering.write_table(reproduce(SPEC, refuted.results), stem)
    read = {suffix: stem.with_suffix(f".{suffix}").read_text() for suffix in ("csv", "md", "tex", "html")}
    assert "25.00§ [21.0, 30.0]" in read["md"]
    assert r"25.00$^{\S}$" in read["tex"]
    assert "25.00<sup>§</sup>" in read["html"]
    for text in read.values():
        assert "of 400 images 160 fell to autoattack, 100 to pgd-20" in text
    for suffix in ("md", "html"):
        assert (
            "§: no robust error, as another attack in the same ball fells over 5 points more" in read[suffix]
        )
    assert read["md"].count("§") == 2


def test_fronts_and_sweeps_cross_it_out(refuted: FinishedStudy) -> None:
    refuted.attacked(suite(attacks={"weak": PGD}), suite("strong", attacks={"autoattack": AA}))
    refuted.plan.runs.clear()
    refuted.add("st", {"s": (40, 100), "strong": (40, 160)})
    figure = default.front(refuted.results)
    assert crosses(figure) == [(90.0, 75.0)]
    assert "crossed: refuted by another attack" in texts(figure)
    rows = [Row("1", "st", {"beta": "1", "method": "st"})]
    spec = TableSpec("T", {"beta": "β", "method": "Method"}, SPEC.columns, rows=rows)
    looks = {"clean": Look("clean", "o", "-"), "pgd": Look("PGD", "s", "--")}
    curves = sweep(
        reproduce(spec, refuted.results),
        along="beta",
        by="method",
        colours={"st": "red"},
        looks=looks,
        xlabel="β",
    )
    assert crosses(curves) == [(1.0, 75.0)]
    assert "crossed: refuted by another attack" in texts(curves)


def test_figures_without_doubts_say_nothing_of_them(empty_project: FinishedStudy) -> None:
    empty_project.attacked(suite())
    empty_project.add("st", {"s": (40, 100, 104)})
    figure = default.front(empty_project.results)
    assert crosses(figure) == []
    assert not [text for text in texts(figure) if text.startswith(("crossed", "hollow"))]


def claim(**predicate: object) -> Claim:
    about = {"id": "c", "statement": "it holds", "where": "here", "datasets": ["CIFAR10"], "reason": "why"}
    return Claim.model_validate(about | {"predicates": [{"table": "table1"} | predicate]})


def verdict(project: FinishedStudy, suite: str = "s", **predicate: object) -> dict[str, object]:
    frame = judge([claim(**predicate)], project.results)
    (line,) = frame[frame["suite"] == suite].to_dict("records")
    return line


@pytest.mark.parametrize(
    ("error", "bound", "expected"),
    [
        ("pgd", {"at_most": 0}, "undecided at this scale"),  # 25 points against 45: it may be more
        ("pgd", {"at_least": -50}, "reproduced"),  # the more it is the surer
        ("autoattack", {"at_most": 0}, "reproduced"),
        ("clean", {"at_most": 5}, "reproduced"),
    ],
)
def test_a_claim_that_rests_on_it_stays_open(
    refuted: FinishedStudy, error: str, bound: dict[str, float], expected: str
) -> None:
    refuted.add("pgd-at", {"s": (40, 240, 244)})
    line = verdict(refuted, kind="difference", error=error, of=["st"], minus=["pgd-at"], **bound)
    assert line["verdict"] == expected
    open_by_it = expected.startswith("un")
    assert line["refuted"] == ("st" if open_by_it else "")
    assert str(line["reason"]).startswith("another attack refutes the number of st: ") == open_by_it


def test_claims_in_all_formats_say_so(refuted: FinishedStudy) -> None:
    refuted.add("pgd-at", {"s": (40, 240, 244)})
    found = claim(kind="difference", error="pgd", of=["st"], minus=["pgd-at"], at_most=0)
    stem = refuted.reports / "claims"
    write_claims(judge([found], refuted.results), stem, "claims")
    for suffix in ("md", "tex", "html"):
        assert "refuted by another attack: st" in stem.with_suffix(f".{suffix}").read_text()


def test_the_claim_that_nothing_is_masked_stays_open_with_it(refuted: FinishedStudy) -> None:
    line = verdict(refuted, kind="unmasked", runs=["st"], tolerance=0.2)
    assert line["verdict"] == "undecided at this scale"
    assert line["reason"] == f"st: all checks passed, but pgd-20 is refuted: {WORDS}"


def test_the_page_lists_refuted_numbers_and_what_checks_came_to(refuted: FinishedStudy) -> None:
    run = next(iter(refuted.plan.runs))
    assert page._refuted(refuted.results, run) == {"pgd-20, s": WORDS}


# ------------------------------------------------------------------- whose checks a masking verdict counts
def test_checks_of_one_suite_count_in_all(empty_project: FinishedStudy) -> None:
    empty_project.attacked(suite("near"), suite("far", FAR, masking=False))
    run = empty_project.add("st", dict.fromkeys(("near", "far"), (40, 100, 104)), masked="near")
    results = empty_project.results
    for name in ("near", "far"):
        assert masking_verdict(results, [run], name) == "failed"
        line = verdict(empty_project, name, kind="unmasked", runs=["st"], tolerance=0.2)
        assert line["verdict"] == "not reproduced"
    found = [(check.suite, check.check) for check in checks(results, run, "far")]
    assert found == [
        ("near", "AutoAttack not weaker"),
        ("far", "AutoAttack not weaker"),
        ("near", "more steps not weaker"),
        ("near", "input gradients not zero"),
    ]


@pytest.mark.parametrize("masking", [True, False])
def test_a_suite_without_checks_reproduces_nothing_that_the_others_leave_open(
    empty_project: FinishedStudy, masking: bool
) -> None:
    """Of the masked model more images may fall; then its gain is gone."""
    empty_project.attacked(suite("near"), suite("far", FAR, masking=masking))
    for name, wrong in (("st", (40, 380, 384)), ("npda-pgd", (40, 160, 168))):
        masked = "near" if name == "npda-pgd" else ""
        empty_project.add(name, dict.fromkeys(("near", "far"), wrong), masked=masked)
    predicate = {
        "kind": "difference",
        "error": "autoattack",
        "of": ["npda-pgd"],
        "minus": ["st"],
        "at_most": 0,
    }
    verdicts = [verdict(empty_project, name, **predicate)["verdict"] for name in ("near", "far")]
    assert verdicts == ["undecided at this scale"] * 2


def test_checks_that_no_suite_asks_for_are_not_made(empty_project: FinishedStudy) -> None:
    empty_project.attacked(suite(masking=False))
    run = empty_project.add("st", {"s": (40, 100, 104)})
    assert masking_verdict(empty_project.results, [run], "s") == "not checked"
    weak = empty_project.add("weak", {"s": (40, 104, 60)})
    assert masking_verdict(empty_project.results, [weak], "s") == "failed", "AutoAttack says so by itself"


def test_one_that_is_missing_leaves_a_model_unchecked(empty_project: FinishedStudy) -> None:
    empty_project.attacked(suite("near"), suite("far", FAR))
    run = empty_project.add("st", dict.fromkeys(("near", "far"), (40, 100, 104)))
    empty_project.evaluation(run, "far", MASKING).unlink()
    results = empty_project.results
    assert [masking_verdict(results, [run], name) for name in ("near", "far")] == ["not checked"] * 2


def test_what_has_no_power_is_undecided_in_tables_and_claims(empty_project: FinishedStudy) -> None:
    empty_project.attacked(suite())
    run = empty_project.add("st", {"s": (40, 100, 104)})
    path = empty_project.evaluation(run, "s", MASKING)
    predicate = {"kind": "unmasked", "runs": ["st"], "tolerance": 0.2}
    for images, state, claimed in (
        (64, "undecided", "undecided at this scale"),
        (128, "passed", "reproduced"),
    ):
        finished_study.save(finished_study.masking(images=images), run, path.with_suffix(""))
        table = reproduce(SPEC, empty_project.results)
        assert set(table.frame["masking"]) == {state}
        line = verdict(empty_project, **predicate)
        assert line["verdict"] == claimed
        rendering.write_table(table, empty_project.reports / "t")
        noted = "No † proves nothing" in (empty_project.reports / "t.md").read_text()
        assert noted == (state == "undecided")
    finished_study.save(finished_study.masking(images=64), run, path.with_suffix(""))
    line = verdict(empty_project, **predicate)
    assert line["reason"] == "st: undecided (more steps not weaker)"


def test_autoattack_on_few_images_decides_nothing(empty_project: FinishedStudy) -> None:
    empty_project.attacked(suite())
    run = empty_project.add("st", {"s": (40, 100, 104)})
    stem = empty_project.evaluation(run, "s", "autoattack").with_suffix("")
    rows, record = finished_study.outcomes.load(stem)
    few = finished_study.outcomes.Evaluated(rows[rows["sample"] < 64], None, {"outcomes": record["outcomes"]})
    finished_study.save(few, run, stem)
    assert checks(empty_project.results, run, "s")[0].state == "undecided"
    assert masking_verdict(empty_project.results, [run], "s") == "undecided"


def test_equal_evaluations_of_two_suites_are_one_check(empty_project: FinishedStudy) -> None:
    empty_project.attacked(suite("one"), suite("two"))
    run = empty_project.add("st", dict.fromkeys(("one", "two"), (40, 100, 104)))
    found = [check.check for check in checks(empty_project.results, run, "two")]
    assert found == ["AutoAttack not weaker", "more steps not weaker", "input gradients not zero"]


# ---------------------------------------------------------------------------------------------- conditions
def test_masking_of_a_claim_is_that_of_the_condition_it_is_judged_at(
    empty_project: FinishedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PreActResNet, "usual", 0.5)
    at = {"attacks": {"pgd": PGD}}
    zero = suite("at-0", condition=0.0, judged_at={"pgd": {"pgd-at-1": 1.0}}, **at)
    empty_project.attacked(zero, suite("at-1", condition=1.0, **at))
    for name, wrong in (("st", 380), ("npda-pgd", 160)):
        run = empty_project.add(name, dict.fromkeys(("at-0", "at-1"), (40, wrong)), masked="at-1")
        stem = empty_project.evaluation(run, "at-0", "pgd").with_suffix("")
        rows, record = finished_study.outcomes.load(stem)
        both = finished_study.pd.concat([rows, rows.assign(outcome="given-1")])
        rates = record["outcomes"] | {"given-1": record["outcomes"]["final"]}
        finished_study.save(finished_study.outcomes.Evaluated(both, None, {"outcomes": rates}), run, stem)
    predicate = {"kind": "difference", "of": ["npda-pgd"], "minus": ["st"], "at_most": 0}
    assert verdict(empty_project, "at-0", error="pgd", **predicate)["verdict"] == "reproduced"
    elsewhere = verdict(empty_project, "at-0", error="pgd-at-1", **predicate)
    assert (elsewhere["verdict"], elsewhere["masked"]) == ("undecided at this scale", "npda-pgd")


# ------------------------------------------------------------------------------------------- whole batches
def test_claims_mark_networks_that_look_at_their_batch(
    empty_project: FinishedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PreActResNet, "looks_at_batches", True)
    empty_project.attacked(suite(whole_batches=True))
    for name in ("st", "pgd-at"):
        empty_project.add(name, {"s": (40, 100, 104)})
    found = claim(kind="difference", error="clean", of=["st"], minus=["pgd-at"], at_most=5)
    frame = judge([found], empty_project.results)
    assert frame.set_index("suite")["in_batches"].to_dict() == {"published": "", "s": "st, pgd-at"}
    write_claims(frame, empty_project.reports / "claims", "claims")
    for suffix in ("md", "html"):
        assert "‡ in whole batches: st, pgd-at" in (empty_project.reports / f"claims.{suffix}").read_text()


# ------------------------------------------------------------------------------------- studies side by side
def test_checks_of_another_study_of_the_plan_count_too(empty_project: FinishedStudy) -> None:
    mine = empty_project.plan
    empty_project.attacked(suite("theirs", masking=True))
    theirs = empty_project.plan
    run = empty_project.add("st", {"theirs": (40, 100, 160)}, masked="theirs")
    empty_project.plan = mine
    empty_project.attacked(suite("ours", attacks={"pgd-20": PGD}, masking=False))
    empty_project.add("st", {"ours": (40, 100)})
    assert masking_verdict(empty_project.results, [run], "ours") == "not checked"
    before = empty_project.results.tracing()
    masking_verdict(before, [run], "ours")
    empty_project.plan.beside = {"other": theirs}
    assert not empty_project.results.holds(before.trace)
    assert masking_verdict(empty_project.results, [run], "ours") == "failed"
    words = refutation(empty_project.results, [run], "ours", "pgd-20")
    assert words.startswith("of 400 images 160 fell to autoattack of other/theirs, 100 to pgd-20")
    theirs.runs.clear()
    assert masking_verdict(empty_project.results, [run], "ours") == "not checked"
