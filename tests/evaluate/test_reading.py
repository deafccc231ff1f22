import numpy as np
import pytest
from numpy.typing import NDArray

from taskgan.evaluate.reading import read_case


class FirstVoxel:
    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        return slices[:, 0, 0]


def volume(probabilities: list[float]) -> NDArray[np.float32]:
    return np.array(probabilities, np.float32)[:, None, None] * np.ones((1, 4, 4), np.float32)


def test_the_mean_decides_and_the_error_is_taken_by_slice() -> None:
    found = read_case(FirstVoxel(), volume([0.2, 0.4, 0.9, 0.9]), 1.0)
    assert found.probability == pytest.approx(0.6)
    assert found.decision == 1
    assert found.mae == pytest.approx(0.4)
    assert read_case(FirstVoxel(), volume([0.2, 0.4, 0.9, 0.9]), 0.0).mae == pytest.approx(0.6)


def test_only_middle_slices_are_read_and_a_half_is_not_positive() -> None:
    found = read_case(FirstVoxel(), volume([1.0, 0.5, 0.5, 1.0]), None, wanted=2)
    assert found.probability == 0.5
    assert found.decision == 0
    assert np.isnan(found.mae)
