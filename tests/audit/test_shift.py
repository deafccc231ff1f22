import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from taskgan.audit.read import image_shifts, image_statistics


def statistics(noise: float, count: int, rng: np.random.Generator, smooth: float = 0.0) -> pd.DataFrame:
    rows = []
    for _ in range(count):
        head = np.zeros((32, 32, 6), dtype=np.float32)
        head[6:26, 6:26] = rng.uniform(4, 5)
        grain = rng.normal(size=head.shape)
        if smooth:
            grain = ndimage.gaussian_filter(grain, (smooth, smooth, 0))
            grain /= grain.std()
        image = np.maximum(head + (head > 0) * noise * grain, 0).astype(np.float32)
        rows.append(image_statistics(image, (2.0, 2.0, 2.0), 4.5))
    return pd.DataFrame(rows)


def test_noise_is_measured_in_units_of_the_scale() -> None:
    found = statistics(0.45, 4, np.random.default_rng(0))
    assert found["noise"].mean() == pytest.approx(0.1, rel=0.1)
    assert found["extent"].mean() == pytest.approx(20 * 20 * 6 * 8e-6, rel=0.01)


def test_the_same_kind_of_image_is_not_told_apart_more_often_than_the_level() -> None:
    rng = np.random.default_rng(1)
    pool = statistics(0.4, 60, rng)
    raised = 0
    for _ in range(100):
        order = rng.permutation(60)
        raised += any(s.is_significant for s in image_shifts(pool.iloc[order[:20]], pool.iloc[order[20:40]]))
    assert raised <= 9  # 5 are expected at most; 10 or more have a chance of 3 %


def test_noisier_and_smoother_images_are_told_apart() -> None:
    rng = np.random.default_rng(2)
    usual = statistics(0.4, 12, rng)
    noisier = {s.name: s for s in image_shifts(usual, statistics(0.8, 12, rng))}
    assert noisier["noise"].is_significant
    assert noisier["noise"].test > 1.5 * noisier["noise"].calibration
    assert not noisier["extent"].is_significant
    assert {s.name: s.is_significant for s in image_shifts(usual, statistics(0.4, 12, rng, smooth=1.0))}["smoothness"]


def test_an_empty_image_has_no_statistics() -> None:
    empty = image_statistics(np.zeros((8, 8, 2), dtype=np.float32), (1.0, 1.0, 1.0), 1.0)
    assert all(np.isnan(v) for v in empty.values())
