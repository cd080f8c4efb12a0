import pytest

from robustfront.config.attacks.autoattack import AutoAttackEvaluation
from robustfront.config.attacks.pgd import PGDEvaluation
from robustfront.config.evaluations import Suite
from robustfront.config.images import Normalisation
from robustfront.config.quantities import length
from robustfront.config.schema import Threat
from robustfront.reporting import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [(8 / 255, "8/255"), (2 / 255, "2/255"), (0.5 / 255, "0.5/255"), (0.3, "0.3"), (1.0, "1")],
)
def test_lengths_are_fractions_of_255_where_they_are_meant_so(value, text):
    assert length(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.34, "2.3 s"), (59.4, "59 s"), (59.9, "1 min 0 s"), (185, "3 min 5 s"), (7800, "2 h 10 min")],
)
def test_durations(seconds, text):
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(812 * 2**20, "812 MiB"), (1.5 * 2**30, "1.5 GiB")])
def test_sizes(count, text):
    assert wording.size(count) == text


@pytest.mark.parametrize(
    ("std", "shown"),
    [
        ((0.5, 0.5, 0.5), " (about 4.0/255 in pixels)"),
        ((0.24706, 0.24353, 0.26157), " (about 1.9 to 2.1/255 in pixels)"),
    ],
)
def test_a_radius_of_the_normalised_space_is_also_given_in_pixels(std, shown):
    normalisation = Normalisation(mean=(0.5,) * 3, std=std)
    found = wording.threat(Threat(eps=8 / 255, space="normalised"), normalisation)
    assert f"ε = 8/255 of (x − mean)/std{shown}, clipped" in found
    for plain in (Threat(eps=8 / 255), Threat(norm="l2", eps=1.0, space="normalised")):
        assert wording.threat(plain, normalisation) == wording.threat(plain)


def test_a_suite_names_its_space_clip_and_attacks():
    attacks = {"pgd-20": PGDEvaluation(steps=20, step_size=2 / 255, restarts=3), "aa": AutoAttackEvaluation()}
    threat = Threat(eps=8 / 255, space="normalised", clip="normalised-unit")
    text = wording.suite(Suite(name="s", threat=threat, attacks=attacks))
    assert "ε = 8/255 of (x − mean)/std, clipped to [0, 1] after normalisation" in text
    assert "pgd-20 (20 steps of 2/255, ce, 3 restarts), aa (AutoAttack, standard, reference engine)" in text
    standing = attacks["pgd-20"].model_copy(update={"restarts_on": "standing"})
    assert standing.words == "20 steps of 2/255, ce, 3 restarts of what stands"
