import numpy as np
import pytest

from taskgan.evaluate.faces import Eigenfaces, cosine_distance, fit_eigenfaces


def _faces(people: int, each: int, seed: int = 0, noise: float = 0.1) -> np.ndarray:
    """(people · each, 12, 10), image after image of one person."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(people, 1, 12, 10))
    return (own + noise * rng.normal(size=(people, each, 12, 10))).reshape(-1, 12, 10).astype(np.float32)


def _standard(images: np.ndarray) -> np.ndarray:
    flat = images.reshape(len(images), -1).astype(np.float64)
    return (flat - flat.mean(axis=1, keepdims=True)) / flat.std(axis=1, keepdims=True)


def test_it_is_the_exact_decomposition_of_standardised_faces() -> None:
    images = _faces(20, 3)
    found = fit_eigenfaces(images, components=8)
    flat = _standard(images)
    mean = flat.mean(axis=0)
    _, values, axes = np.linalg.svd(flat - mean, full_matrices=False)
    np.testing.assert_allclose(found.mean.ravel(), mean, atol=1e-6)
    np.testing.assert_allclose(found.deviations, values[:8] / np.sqrt(59), rtol=1e-3)
    same = np.abs((found.axes.reshape(8, -1) * axes[:8]).sum(axis=1))
    np.testing.assert_allclose(same, 1, atol=1e-3)
    gram = found.axes.reshape(8, -1) @ found.axes.reshape(8, -1).T
    np.testing.assert_allclose(gram, np.eye(8), atol=1e-5)


def test_whitened_descriptors_of_training_faces_are_uncorrelated_of_one_spread() -> None:
    images = _faces(30, 2)
    white, plain = (fit_eigenfaces(images, components=6, whiten=w) for w in (True, False))
    described = white.describe(images)
    np.testing.assert_allclose(np.cov(described.T), np.eye(6), atol=0.02)
    np.testing.assert_allclose(described * plain.deviations, plain.describe(images), rtol=1e-5)


def test_brightness_and_contrast_of_a_photo_make_no_difference() -> None:
    images = _faces(5, 2)
    space = fit_eigenfaces(images, components=4)
    np.testing.assert_allclose(space.describe(3 * images + 40), space.describe(images), atol=1e-3)


def test_it_tells_people_apart_that_it_was_not_made_of() -> None:
    space = fit_eigenfaces(_faces(60, 2, seed=0), components=60)
    new = _faces(20, 2, seed=1, noise=0.4)
    first, second = space.describe(new[::2]), space.describe(new[1::2])
    same, other = cosine_distance(first, second), cosine_distance(first, np.roll(second, 1, axis=0))
    assert same.max() < other.min()


def test_no_more_axes_than_there_is_to_see_and_the_seed_decides() -> None:
    images = _faces(4, 1)
    assert len(fit_eigenfaces(images, components=100).axes) == 3
    twice = np.concatenate([images, images])
    assert len(fit_eigenfaces(twice, components=100).axes) == 3  # no axes made of rounding
    first, again = (fit_eigenfaces(images, components=2, seed=5) for _ in range(2))
    assert np.array_equal(first.axes, again.axes)


def test_faces_that_cannot_be_used_are_refused() -> None:
    space = fit_eigenfaces(_faces(4, 1), components=2)
    assert isinstance(space, Eigenfaces)
    with pytest.raises(ValueError, match=r"expected faces \(N, 12, 10\)"):
        space.describe(np.zeros((1, 10, 12), dtype=np.float32))
    with pytest.raises(ValueError, match="at least two faces"):
        fit_eigenfaces(_faces(1, 1))
    with pytest.raises(ValueError, match="all faces are the same"):
        fit_eigenfaces(np.ones((5, 8, 8), dtype=np.float32))
    flat = space.describe(np.full((1, 12, 10), 0.3, dtype=np.float32))
    assert np.isfinite(flat).all()
