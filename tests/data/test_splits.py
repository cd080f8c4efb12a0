from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustfront.config.images import Splits
from robustfront.data.splits import split, stratified_order, subset
from robustfront.errors import ConfigError

labels_of = st.lists(st.integers(0, 6), min_size=4, max_size=120).map(np.array)


@st.composite
def problems(draw):
    labels = draw(labels_of)
    test = draw(st.one_of(st.just("official"), st.integers(1, len(labels) - 2)))
    pool = len(labels) - (0 if test == "official" else test)
    validation = draw(st.integers(1, pool - 1))
    splits = Splits(
        validation=validation,
        train=draw(st.one_of(st.none(), st.integers(1, pool - validation))),
        test=test,
        test_limit=draw(st.one_of(st.none(), st.integers(1, 50))),
        seed=draw(st.integers(0, 2**31)),
        held_out=draw(st.sampled_from(["last", "stratified"])),
    )
    return splits, labels, draw(labels_of)


@settings(deadline=None)
@given(problems())
def test_sizes_are_as_asked_and_no_image_is_in_two_splits(problem):
    splits, labels, official = problem
    result = split(splits, labels, official)

    own_test = 0 if splits.test == "official" else splits.test
    assert len(result.validation) == splits.validation
    assert len(result.train) == splits.train or (
        splits.train is None and len(result.train) == len(labels) - splits.validation - own_test
    )
    assert len(result.test) == min(splits.test_limit or 10**9, own_test or len(official))
    from_train = [result.train, result.validation] + ([result.test] if own_test else [])
    together = np.concatenate(from_train)
    assert len(np.unique(together)) == len(together)
    assert together.min() >= 0
    assert together.max() < len(labels)
    assert all(np.all(np.diff(part) > 0) for part in result[:3])


@settings(deadline=None)
@given(problems())
def test_a_counted_test_is_the_end_of_the_training_part(problem):
    splits, labels, official = problem
    splits = splits.model_copy(update={"held_out": "last"})
    result = split(splits, labels, official)
    start, end = (0, len(official)) if splits.test == "official" else (len(labels) - splits.test, len(labels))
    assert result.official_test == (splits.test == "official")
    if splits.test_limit is None:
        assert result.test.tolist() == list(range(start, end))
    assert start <= result.test[0]
    assert result.test[-1] < end


@settings(deadline=None)
@given(labels_of, st.integers(0, 2**31))
def test_every_prefix_of_the_order_is_apportioned_by_sainte_lague(labels, seed):
    order = stratified_order(labels, seed)
    assert sorted(order.tolist()) == list(range(len(labels)))
    size = {c: int((labels == c).sum()) for c in set(labels.tolist())}
    seats = dict.fromkeys(size, 0)
    for c in labels[order].tolist():
        # the class that gets the next seat has the largest quotient n / (2 s + 1)
        quotients = {k: Fraction(size[k], 2 * seats[k] + 1) for k in size if seats[k] < size[k]}
        assert quotients[c] == max(quotients.values())
        seats[c] += 1


@settings(deadline=None)
@given(labels_of, st.integers(0, 100), st.data())
def test_for_one_seed_the_training_size_changes_nothing_else(labels, seed, data):
    validation = data.draw(st.integers(1, len(labels) - 2))
    small = data.draw(st.integers(1, len(labels) - validation - 1))
    a = split(Splits(validation=validation, train=small, seed=seed), labels, labels[:5])
    b = split(Splits(validation=validation, train=small + 1, seed=seed), labels, labels[:5])
    assert np.array_equal(a.validation, b.validation)
    assert set(a.train.tolist()) < set(b.train.tolist())


def test_a_test_held_out_by_class_has_the_shares_of_all_images_and_is_drawn_by_the_seed():
    labels = np.repeat([0, 1, 2], [100, 60, 40])
    found = [
        split(Splits(validation=20, test=50, seed=seed, held_out="stratified"), labels, None)
        for seed in (0, 1)
    ]
    for each in found:
        assert np.bincount(labels[each.test]).tolist() == [25, 15, 10]
        assert np.bincount(labels[each.validation]).tolist() == [10, 6, 4]
        assert np.bincount(labels[each.train]).tolist() == [65, 39, 26]
    assert found[0].test.tolist() != found[1].test.tolist()


def test_the_seed_draws_validation_but_not_the_test():
    labels = np.arange(1000) % 10
    a, b = (split(Splits(validation=100, test=200, seed=seed), labels, None) for seed in (0, 1))
    assert not np.array_equal(a.validation, b.validation)
    assert np.array_equal(a.test, b.test)
    assert np.bincount(labels[a.validation]).tolist() == [10] * 10
    assert np.bincount(labels[a.train]).tolist() == [70] * 10


def test_a_part_of_the_test_has_the_shares_of_its_classes_also_in_a_sorted_file():
    labels, official = np.arange(100) % 5, np.repeat([0, 1, 2, 3, 4], 20)
    limited = split(Splits(validation=10, test_limit=30), labels, official).test
    assert np.bincount(official[limited]).tolist() == [6] * 5
    less = split(Splits(validation=10, test_limit=10), labels, official).test
    assert set(less) < set(limited)
    held_out = split(Splits(validation=10, test=50, test_limit=10), np.sort(labels), None).test
    assert np.bincount(np.sort(labels)[held_out]).tolist() == [0, 0, 2, 4, 4]


def test_a_class_has_every_image_drawn_equally_often():
    labels = np.repeat([0, 1], [30, 10])
    hits = np.zeros(40)
    for seed in range(2000):
        hits[split(Splits(validation=8, seed=seed), labels, labels[:1]).validation] += 1
    # 8 of 40: 6 of 30 and 2 of 10, so each image is drawn with probability 1/5
    assert np.abs(hits / 2000 - 0.2).max() < 4.5 * np.sqrt(0.2 * 0.8 / 2000)


def test_the_draw_is_pinned_so_that_no_version_or_platform_changes_a_published_split():
    labels = np.array([0, 1, 2, 1, 0, 2, 2, 1, 0, 0, 1, 2])
    result = split(Splits(validation=4, train=4, seed=7), labels, labels[:3])
    assert result.validation.tolist() == [3, 4, 6, 11]
    assert result.train.tolist() == [0, 2, 9, 10]


def test_a_subset_keeps_the_shares_of_the_classes_and_is_contained_in_a_larger_one():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    small, large = subset(labels, 20, seed=3), subset(labels, 50, seed=3)
    assert np.bincount(labels[small]).tolist() == [12, 6, 2]
    assert np.bincount(labels[large]).tolist() == [30, 15, 5]
    assert set(small) < set(large)
    assert np.array_equal(small, np.sort(small))
    assert not np.array_equal(small, subset(labels, 20, seed=4))
    assert np.array_equal(subset(labels, 1000, seed=3), np.arange(100))


def test_too_few_images_is_an_error_with_the_numbers():
    with pytest.raises(ConfigError, match=r"has 10 images, too few for 5 test \+ 3 validation \+ 3 training"):
        split(Splits(validation=3, train=3, test=5), np.zeros(10, int), None)
    with pytest.raises(ConfigError, match="too few for 11 test"):
        split(Splits(validation=3, test=11), np.zeros(10, int), None)


def test_official_test_without_an_official_test_part_is_an_error():
    with pytest.raises(ConfigError, match=r"splits\.test: .* no official test part"):
        split(Splits(validation=3), np.zeros(10, int), None)


# -------------------------------------------------------------------------------------------- rules
RULES = ("stratified", "random", "last", "last-per-class")


@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None)
@given(problem=problems())
def test_by_every_rule_sizes_fit_and_a_smaller_training_set_is_in_a_larger_one(rule, problem):
    splits, labels, official = problem
    splits = splits.model_copy(update={"rule": rule, "held_out": "last"})
    some, every = (
        split(given, labels, official) for given in (splits, splits.model_copy(update={"train": None}))
    )
    pool = len(labels) - (0 if splits.test == "official" else splits.test)
    assert set(some.train) <= set(every.train)
    assert some.validation.tolist() == every.validation.tolist()
    assert sorted([*every.train, *every.validation]) == list(range(pool))
    assert len(every.validation) == splits.validation
    assert len(some.train) == (splits.train or pool - splits.validation)


def test_last_is_the_end_of_the_files_before_the_test():
    labels = np.repeat([0, 1, 2], 10)
    found = split(Splits(validation=5, train=8, test=4, rule="last"), labels, None)
    assert found.train.tolist() == list(range(8))
    assert found.validation.tolist() == [21, 22, 23, 24, 25]
    assert found.test.tolist() == [26, 27, 28, 29]


def test_last_per_class_takes_the_last_ones_of_each_class():
    """FRL: of each class of CIFAR-10, the first 4,700 train and the last 300 validate."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 50))
    found = split(Splits(validation=30, rule="last-per-class"), labels, labels)
    for label in range(10):
        positions = np.flatnonzero(labels == label)
        assert found.train[labels[found.train] == label].tolist() == positions[:47].tolist()
        assert found.validation[labels[found.validation] == label].tolist() == positions[47:].tolist()
    few = split(Splits(validation=30, train=20, rule="last-per-class"), labels, labels)
    assert few.train.tolist() == sorted(
        position for label in range(10) for position in np.flatnonzero(labels == label)[:2]
    )


def test_last_per_class_takes_by_share_where_classes_differ_in_size():
    labels = np.array([0] * 60 + [1] * 30 + [2] * 10)
    found = split(Splits(validation=10, rule="last-per-class"), labels, labels)
    assert found.validation.tolist() == [54, 55, 56, 57, 58, 59, 87, 88, 89, 99]


@pytest.mark.parametrize("rule", ["last", "last-per-class"])
def test_the_order_of_the_files_needs_no_seed(rule):
    labels = np.arange(40) % 3
    first, second = (split(Splits(validation=7, seed=seed, rule=rule), labels, labels) for seed in (0, 1))
    assert first.validation.tolist() == second.validation.tolist()


def test_random_is_drawn_by_the_seed_regardless_of_class():
    labels = np.repeat([0, 1], [900, 100])
    parts = [split(Splits(validation=100, seed=seed, rule="random"), labels, labels) for seed in range(200)]
    again = split(Splits(validation=100, seed=7, rule="random"), labels, labels)
    assert parts[7].validation.tolist() == again.validation.tolist()
    rare = np.array([int(labels[part.validation].sum()) for part in parts])
    # Hypergeometric: mean 10, variance 100 * 0.1 * 0.9 * 900/999 = 8.1; a stratified draw has 10 each time.
    assert abs(rare.mean() - 10) < 4 * (8.1 / 200) ** 0.5
    assert 5 < rare.var() < 12
