import numpy as np
import pytest

from taskgan.recogniser.decision import middle_slices, volume_decision, volume_probability


def _constant(value: float, count: int = 10) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.full(count, value, dtype=np.float32)


def test_the_middle_forty_decide_and_shorter_volumes_decide_whole() -> None:
    readings = np.zeros(89, dtype=np.float32)
    readings[24:64] = 1
    assert volume_probability(readings) == 1.0
    assert middle_slices(readings).shape == (40,)
    assert volume_probability(readings, middle=80) == 0.5
    assert not volume_decision(readings, middle=80)
    assert middle_slices(_constant(0.6, 7)).shape == (7,)
    assert volume_decision(_constant(0.6, 7))


def test_no_slices_no_decision() -> None:
    with pytest.raises(ValueError, match="without slices"):
        volume_decision(_constant(0.5, 0))
