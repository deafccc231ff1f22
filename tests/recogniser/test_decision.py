import numpy as np
import pytest

from taskgan.recogniser.decision import figures, middle_slices, volume_decision, volume_probability


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


def test_figures_of_known_readings() -> None:
    readings = [_constant(p) for p in (0.1, 0.2, 0.6, 0.9)]
    found = figures(readings, [0, 0, 0, 1], [1.0, 2.0, 3.0, 4.0])
    assert found.volumes == 4
    assert found.slice_mae == pytest.approx((0.1 + 0.2 + 0.6 + 0.1) / 4)
    assert found.volume_error == 0.25
    assert found.balanced_accuracy == pytest.approx((1 + 2 / 3) / 2)
    assert found.auc == 1.0
    assert found.loss == 2.5


def test_auc_counts_the_pairs_in_order_and_half_the_ties() -> None:
    readings = [_constant(p) for p in (0.2, 0.5, 0.5, 0.7)]
    assert figures(readings, [0, 1, 0, 1], [0.0] * 4).auc == pytest.approx(3.5 / 4)
    assert figures(readings, [1, 1, 0, 0], [0.0] * 4).auc == pytest.approx(0.5 / 4)


def test_one_label_alone_has_no_auc_and_no_balanced_accuracy() -> None:
    found = figures([_constant(0.1)], [0], [0.0])
    assert found.auc is None
    assert found.balanced_accuracy is None
    assert found.volume_error == 0
