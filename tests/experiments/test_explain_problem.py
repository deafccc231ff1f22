import numpy as np
import pytest

from explain.problem import MINORITY, branch_points, degrade, draw_pairs, nearest_branch


def test_one_point_in_four_is_of_the_minority() -> None:
    points = draw_pairs(100, np.random.default_rng(0))
    assert points.labels.sum() == MINORITY * 100
    assert points.clean.shape == points.degraded.shape == (100, 2)
    again = draw_pairs(100, np.random.default_rng(0))
    assert (points.degraded == again.degraded).all()


def test_the_nearest_branch_is_the_label_of_every_clean_point() -> None:
    points = draw_pairs(2000, np.random.default_rng(1))
    labels, away = nearest_branch(points.clean)
    assert (labels == points.labels).all()
    assert away.mean() == pytest.approx(0.04 * np.sqrt(2 / np.pi), rel=0.1)  # half-normal of the thickness
    assert nearest_branch(np.array([[[-9.0, 0.0]], [[9.0, 0.0]]]))[0].tolist() == [[0.0], [1.0]]


def test_branches_mirror_each_other() -> None:
    along = np.linspace(-1, 1, 9)
    left, right = branch_points(along, np.zeros(9)), branch_points(along, np.ones(9))
    assert left * [-1, 1] == pytest.approx(right)


def test_degradation_is_one_to_many() -> None:
    rng = np.random.default_rng(2)
    points = draw_pairs(1000, rng)
    noise = degrade(points.clean, rng) - points.degraded  # two looks at the same points
    squeezed = np.linalg.norm(points.degraded - points.degraded.mean(axis=0), axis=1).mean()
    whole = np.linalg.norm(points.clean - points.clean.mean(axis=0), axis=1).mean()
    assert 0.45 * whole < squeezed < 0.75 * whole
    # Noise of a look is wide against the squeezed gap of 0.55 between the ends of the branches.
    assert 0.8 * 0.55 / 2 < noise.std() / np.sqrt(2) < 0.55
