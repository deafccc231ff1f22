import numpy as np
import pytest

from taskgan.judges.face_features import fit_whitening


def _features(count: int = 90, width: int = 30, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scales = np.linspace(3, 0.5, width)
    return (5 + rng.normal(size=(count, width)) * scales).astype(np.float32)


def test_whole_whitening_leaves_components_uncorrelated_of_one_spread() -> None:
    features = _features()
    space = fit_whitening(features.copy(), components=8, power=1)
    np.testing.assert_allclose(np.cov(space.describe(features).T), np.eye(8), atol=0.02)


def test_the_power_says_how_much_of_their_spread_components_keep() -> None:
    features = _features()
    spreads = {
        power: fit_whitening(features.copy(), components=8, power=power).describe(features).std(axis=0, ddof=1)
        for power in (0.0, 0.5, 1.0)
    }
    np.testing.assert_allclose(spreads[0.5], np.sqrt(spreads[0.0]), rtol=1e-2)
    assert (np.diff(spreads[0.0]) < 0).all()


def test_one_is_described_as_many_are_and_the_same_images_give_the_same_bits() -> None:
    features = _features()
    one, two = (fit_whitening(features.copy(), components=8, power=0.7) for _ in range(2))
    assert np.array_equal(one.axes, two.axes)
    assert np.array_equal(one.describe(features[0]), two.describe(features[0]))
    np.testing.assert_allclose(one.describe(features)[3], one.describe(features[3]), atol=1e-5)


def test_there_are_three_images_for_each_component() -> None:
    assert len(fit_whitening(_features(31), components=400, power=1).axes) == 10
    assert len(fit_whitening(_features(2), components=400, power=1).axes) == 1


@pytest.mark.parametrize(
    ("features", "components", "power"),
    [(_features(1), 3, 1.0), (np.ones((6, 4), np.float32), 3, 1.0), (_features(), 0, 1.0), (_features(), 3, 2.0)],
)
def test_what_no_space_can_be_made_of_is_refused(features: np.ndarray, components: int, power: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        fit_whitening(features.copy(), components=components, power=power)
