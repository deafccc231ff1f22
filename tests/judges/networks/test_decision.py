import numpy as np

from taskgan.judges.volumes import middle_slices


def test_the_middle_forty_decide_and_shorter_volumes_decide_whole() -> None:
    readings = np.zeros(89, dtype=np.float32)
    readings[24:64] = 1
    assert middle_slices(readings).tolist() == [1.0] * 40
    assert middle_slices(readings, middle=80).mean() == 0.5
    assert middle_slices(readings[:7]).shape == (7,)
