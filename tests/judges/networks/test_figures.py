from collections.abc import Sequence

import numpy as np
import pytest
import torch

from taskgan.judges.figures import volume_metrics
from taskgan.judges.recogniser import RecogniserMetrics
from taskgan.objective.kinds import task_kind
from taskgan.recipe.task import Target

Array = np.ndarray[tuple[int], np.dtype[np.float32]]


def _constant(value: float, count: int = 10) -> Array:
    return np.full(count, value, dtype=np.float32)


def _figures(readings: Sequence[Array], labels: Sequence[float], losses: Sequence[float]) -> RecogniserMetrics:
    """Of a binary property."""
    every = [torch.full((len(r),), float(y)) for r, y in zip(readings, labels, strict=True)]
    return volume_metrics(task_kind(Target(), "squared"), readings, every, losses)


def test_figures_of_known_readings() -> None:
    readings = [_constant(p) for p in (0.1, 0.2, 0.6, 0.9)]
    found = _figures(readings, [0, 0, 0, 1], [1.0, 2.0, 3.0, 4.0])
    assert found.volumes == 4
    assert found.slice_mae == pytest.approx((0.1 + 0.2 + 0.6 + 0.1) / 4)
    assert found.volume_error == 0.25
    assert found.balanced_accuracy == pytest.approx((1 + 2 / 3) / 2)
    assert found.auc == 1.0
    assert found.loss == 2.5


def test_auc_counts_the_pairs_in_order_and_half_the_ties() -> None:
    readings = [_constant(p) for p in (0.2, 0.5, 0.5, 0.7)]
    assert _figures(readings, [0, 1, 0, 1], [0.0] * 4).auc == pytest.approx(3.5 / 4)
    assert _figures(readings, [1, 1, 0, 0], [0.0] * 4).auc == pytest.approx(0.5 / 4)


def test_one_label_alone_has_no_auc_and_no_balanced_accuracy() -> None:
    found = _figures([_constant(0.1)], [0], [0.0])
    assert found.auc is None
    assert found.balanced_accuracy is None
    assert found.volume_error == 0
    assert found.outputs == {}
