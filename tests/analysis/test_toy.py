import numpy as np

from robustfront.analysis import toy


def test_projected_shifts_are_what_the_standard_head_cannot_see() -> None:
    sketch = toy.simulate()
    before = sketch.features @ toy.W_STD.T
    after = (sketch.features + sketch.projected) @ toy.W_STD.T
    np.testing.assert_allclose(after, before, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(sketch.projected, axis=1), 2.2)


def test_typical_shifts_lower_the_margin_of_the_label_under_the_standard_head() -> None:
    sketch = toy.simulate()

    def margin(features: np.ndarray) -> np.ndarray:
        z = features @ toy.W_STD.T
        own = z[np.arange(len(z)), sketch.labels]
        others = np.where(np.eye(3, dtype=bool)[sketch.labels], -np.inf, z)
        return own - others.max(axis=1)

    moved = margin(sketch.features + sketch.typical)
    assert (moved < margin(sketch.features)).mean() > 0.95
    assert (moved < 0).mean() > 0.5
    assert (margin(sketch.features) > 0).mean() > 0.95


def test_the_projected_shift_is_the_gradients_null_space_part() -> None:
    sketch = toy.simulate()
    np.testing.assert_allclose(sketch.projected[:, 2], 2.2 * np.sign(sketch.typical[:, 2]))


def test_it_depends_on_its_seed_alone() -> None:
    np.testing.assert_array_equal(toy.simulate().features, toy.simulate().features)
    assert not np.array_equal(toy.simulate(seed=1).features, toy.simulate().features)
