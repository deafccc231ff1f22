import numpy as np
import pytest

from experiment_scripts import loaded
from taskgan.judges.face_features import unit_distance

with loaded("lbp_histograms") as _published:
    chi_square_distance = _published.chi_square_distance


def test_known_values() -> None:
    first, second = np.array([[3.0, 0], [1, 1], [0, 0]]), np.array([[0, 0.1], [2, 2], [1, 0]])
    np.testing.assert_allclose(unit_distance(first, second), [np.sqrt(2), 0, 1], atol=1e-7)
    np.testing.assert_allclose(chi_square_distance([[1, 0, 0.5], [0.2, 0.8, 0]], [[0, 1, 0.5], [0.2, 0.8, 0]]), [2, 0])


def test_cosine_and_euclidean_distance_put_pairs_in_one_order() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 50, 7))
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    cosine = (first * second).sum(axis=1) / lengths
    np.testing.assert_allclose(unit_distance(first, second) ** 2 / 2, 1 - cosine)
    np.testing.assert_allclose(unit_distance(first, second), unit_distance(second, 5 * first))


def test_what_does_not_go_together_is_refused() -> None:
    for distance in (unit_distance, chi_square_distance):
        for first, second in ((np.ones((2, 3)), np.ones((3, 3))), (np.ones(3), np.ones(3))):
            with pytest.raises(ValueError, match="expected"):
                distance(first, second)
    with pytest.raises(ValueError, match="not negative"):
        chi_square_distance([[1.0, -1]], [[1.0, 1]])
