"""AR strength (S003): what is printed, how numbers come about, and how claims are judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import robustfront.studies.ar_strength
from robustfront.reporting.published import read_published, read_rows
from robustfront.studies.ar_strength import judging, measures, predicates, spectra

FOLDER = Path(robustfront.studies.ar_strength.__file__).parent


@dataclass
class Found:
    """Stands for results: per run clean losses and errors of both splits, PGD errors, margins, spectra."""

    clean: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    wrong: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    margins: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    stds: Mapping[str, np.ndarray] = field(default_factory=dict)
    own: bool = False

    def losses(self, run: str, suite: str) -> pd.Series | None:
        found = self.clean.get(run, {}).get(suite)
        return None if found is None else pd.Series(found)

    def fell(self, run: str, suite: str, attack: str) -> pd.Series | None:
        found = self.wrong.get(run, {}).get(suite if attack == "clean" else attack)
        return None if found is None else pd.Series(found)

    def analysed(self, kind: str) -> list[Any]:
        items = []
        for name in {"confidence": self.margins, "singular-values": self.stds}[kind]:
            run = SimpleNamespace(id=name, names=[name], dataset_id="d")
            arrays = {f"{split}.margins": each for split, each in self.margins.get(name, {}).items()}
            arrays |= {f"{one}.std": self.stds[name] for one in spectra.CONVENTIONS if name in self.stds}
            facts = {"convolution": [True] * len(self.stds.get(name, ()))}
            record = SimpleNamespace(facts=facts)
            items.append(SimpleNamespace(run=run, record=record, array=lambda key, a=arrays: a[key]))
        return items

    def find(self, name: str, dataset: str) -> list[Any]:
        known = {*self.clean, *self.wrong, *self.margins, *self.stds}
        config = SimpleNamespace(seed=0)
        return [SimpleNamespace(id=name, names=[name], config=config)] if name in known else []

    def state(self, run: str) -> str:
        return "diverged"


def decided(found: Found, **predicate: Any) -> tuple[bool | None, str]:
    kind = {"trend": predicates.Trend, "layers": predicates.Layers, "chain": predicates.Chain}
    made = kind[predicate["kind"]].model_validate(predicate)
    return judging._decided(made, judging.Place(found, "d", False))


# ------------------------------------------------------------------------------------------- in print
def test_every_number_of_the_skeleton_is_there_and_lost(shared_data: Path) -> None:
    skeleton = pd.read_csv(shared_data.parent / "reported" / "S003_tables_schema_values_missing.csv")
    ours = pd.concat(
        [read_published(FOLDER / f"published/{name}.csv") for name in ("table3", "table5", "table-d3")]
    )
    assert ours["value"].isna().all()
    assert len(ours) == len(skeleton) == 189
    counted = skeleton.groupby(["dataset", "metric"]).size()
    assert counted.equals(ours.groupby(["dataset", "metric"]).size())


def test_every_printed_number_stands_in_a_row() -> None:
    rows = read_rows(FOLDER / "rows.yaml")
    for path in (FOLDER / "published").glob("table*.csv"):
        numbers = read_published(path)
        named = {row.row: row.run for row in rows[path.stem]}
        assert dict(zip(numbers["row"], numbers["run"], strict=True)) == named


@pytest.mark.parametrize(
    ("dataset", "id", "truth", "words"),
    [
        ("CIFAR10", "std-lower-on-the-grid", True, "40.99 layers fall, 14.01 rise"),
        ("CIFAR100", "std-lower-on-the-grid", True, "misprinted"),
        ("CIFAR10", "falls-outweigh-rises", True, "4.7465 and 0.4372"),
        ("CIFAR100", "falls-outweigh-rises", None, "misprinted"),
        ("CIFAR10", "loss-gap-falls", None, "lost"),
    ],
)
def test_in_print_appendix_b2_alone_decides(dataset: str, id: str, truth: bool | None, words: str) -> None:
    (claim,) = [claim for claim in predicates.load(FOLDER / "claims.yaml") if claim.id == id]
    results = SimpleNamespace(published=lambda table: read_published(FOLDER / f"published/{table}.csv"))
    found, said = judging._in_print(claim, dataset, results)
    assert found is truth
    assert words in said


# -------------------------------------------------------------------------------------------- numbers
def test_gaps_are_those_of_the_means_with_the_variance_of_both_splits() -> None:
    generator = np.random.default_rng(0)
    clean = {"test": generator.exponential(2, 400), "train": generator.exponential(1, 100)}
    wrong = {"test": generator.random(400) < 0.3, "train": generator.random(100) < 0.1}
    found = Found({"a": clean}, {"a": wrong})
    gap = measures.loss_gap(found, "a")
    assert gap.value == pytest.approx(clean["test"].mean() - clean["train"].mean())
    assert gap.error == pytest.approx(np.sqrt(clean["test"].var() / 400 + clean["train"].var() / 100))
    errors = measures.error_gap(found, "a")
    assert errors.value == pytest.approx(wrong["test"].mean() - wrong["train"].mean())


def test_conditional_accuracy_and_spread_have_the_error_that_a_bootstrap_finds() -> None:
    generator = np.random.default_rng(1)
    n = 500
    clean = generator.random(n) < 0.2
    attacked = clean | (generator.random(n) < 0.4)
    margins = generator.gamma(2, 1.5, n)
    found = Found(wrong={"a": {"test": clean, "pgd": attacked}}, margins={"a": {"test": margins}})
    robust, spread = measures.robust_of_correct(found, "a"), measures.margin_spread("test")(found, "a")
    assert robust.value == pytest.approx((~attacked[~clean]).mean())
    assert spread.value == pytest.approx(margins.std())
    drawn = generator.integers(0, n, (4000, n))
    ratios = (~attacked[drawn]).sum(axis=1) / (~clean[drawn]).sum(axis=1)
    assert robust.error == pytest.approx(ratios.std(), rel=0.08)
    assert spread.error == pytest.approx(margins[drawn].std(axis=1).std(), rel=0.08)


def test_a_change_is_over_the_same_images() -> None:
    generator = np.random.default_rng(2)
    base = generator.exponential(2, 300)
    noise = generator.normal(0, 0.05, 300)
    found = Found({"a": {"test": base}, "b": {"test": base + 0.1 + noise}})
    interval, seeds = measures.change(measures.test_loss, found.find("a", "d"), found.find("b", "d"), found)
    assert seeds == 1
    assert interval.mean == pytest.approx(0.1 + noise.mean())
    assert interval.high - interval.low == pytest.approx(2 * measures.Z * noise.std() / np.sqrt(300))


def test_groups_of_layers_and_correlations() -> None:
    stds = {"pgd-4": np.array([1.0, 2.0, 3.0]), "pgd-16": np.array([0.5, 2.5, 1.0])}
    items = {item.run.id: item for item in Found(stds=stds).analysed("singular-values")}
    groups = spectra.compared(items["pgd-4"], items["pgd-16"], "circular")
    assert sorted(groups.falls) == [0.5, 2.0]
    assert list(groups.rises) == [0.5]
    generator = np.random.default_rng(3)
    spread, layers = generator.random(7), generator.random((7, 4)).round(1)
    wanted = [stats.spearmanr(spread, layer).statistic for layer in layers.T]
    assert np.allclose(spectra.correlations(list(spread), list(layers)), wanted)


# --------------------------------------------------------------------------------------------- claims
def two_runs(change: float, train_errors: int) -> Found:
    generator = np.random.default_rng(4)
    test = generator.exponential(1, 400)
    clean = {
        "pgd-4": {"test": test, "train": test[:100] * 0},
        "pgd-16": {"test": test + change, "train": test[:100] * 0},
    }
    wrong = {name: {"test": np.arange(400) < 80, "train": np.arange(100) < train_errors} for name in clean}
    return Found(clean, wrong)


TREND = {"kind": "trend", "runs": ["pgd-4", "pgd-16"], "quantity": "loss_gap", "overfit": True}


@pytest.mark.parametrize(
    ("change", "goes", "truth"),
    [(-0.3, "falls", True), (-0.3, "rises", False), (0.3, "falls", False), (0.0, "falls", None)],
)
def test_a_trend_holds_where_its_interval_lies_on_one_side(change: float, goes: str, truth: Any) -> None:
    assert decided(two_runs(change, train_errors=0), **TREND, goes=goes)[0] is truth


def test_there_is_no_gap_to_compare_where_nothing_is_overfit() -> None:
    truth, words = decided(two_runs(-0.3, train_errors=20), **TREND, goes="falls")
    assert truth is None
    assert "no gap to compare" in words


def test_a_run_that_diverged_leaves_its_claim_open() -> None:
    found = two_runs(-0.3, train_errors=0)
    found.clean = {"pgd-4": found.clean["pgd-4"]}
    truth, words = decided(found, **TREND, goes="falls")
    assert truth is None
    assert "pgd-16 diverged" in words


def test_most_layers_and_the_chain() -> None:
    generator = np.random.default_rng(5)
    names = ["pgd-4", "pgd-8", "pgd-16"]
    stds = {name: np.array([3.0, 2.0, 1.0]) / 2**k for k, name in enumerate(names)}
    margins = {name: {"test": generator.normal(0, 1 / 2**k, 200)} for k, name in enumerate(names)}
    found = Found(margins=margins, stds=stds)
    common = {"convention": "circular"}
    assert decided(found, kind="layers", first="pgd-4", last="pgd-16", **common)[0] is True
    assert decided(found, kind="layers", first="pgd-16", last="pgd-4", **common)[0] is False
    assert decided(found, kind="chain", runs=names, **common)[0] is True
