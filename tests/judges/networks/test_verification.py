"""Pairs of images, of few and of thousands of people."""

import time
import tracemalloc

import numpy as np
import pytest
import torch

from taskgan.judges.figures import THRESHOLD, _next_of_identity, evenly_spaced, verification_metrics
from taskgan.objective.kinds import task_kind
from taskgan.recipe.task import Target

KIND = task_kind(Target(kind="embedding", labels=("subject",), size=8), "proper")


def _people(counts: list[int], noise: float, seed: int = 0) -> tuple[list[torch.Tensor], list[float]]:
    """One image a volume: a direction of the person's own, and noise."""
    rng = torch.Generator().manual_seed(seed)
    outputs, who = [], []
    for number, count in enumerate(counts):
        own = torch.randn(1, 8, generator=rng)
        outputs += [own + noise * torch.randn(1, 8, generator=rng) for _ in range(count)]
        who += [float(number)] * count
    return outputs, who


def test_the_next_image_of_the_same_person() -> None:
    who = torch.tensor([0.0, 0, 0, 3, 5, 5])
    assert _next_of_identity(who).tolist() == [1, 2, 0, 3, 5, 4]


def test_evenly_takes_all_of_few_and_both_ends_of_many() -> None:
    assert evenly_spaced(torch.arange(3), 5).tolist() == [0, 1, 2]
    assert evenly_spaced(torch.arange(9), 3).tolist() == [0, 4, 8]
    assert evenly_spaced(torch.arange(0), 3).tolist() == []


def test_people_with_one_image_are_strangers_to_all_and_companions_to_nobody() -> None:
    outputs, who = _people([3, 3, 1, 1], 0.05)
    found = verification_metrics(KIND, outputs, who)
    without = verification_metrics(KIND, outputs[:6], who[:6])
    assert found.volumes == 8
    assert found.slice_mae == pytest.approx(without.slice_mae)
    assert found.auc == 1.0
    assert found.outputs[THRESHOLD] > found.slice_mae


def test_nobody_with_two_images_leaves_nothing_to_say() -> None:
    outputs, who = _people([1, 1, 1], 0.05)
    found = verification_metrics(KIND, outputs, who)
    assert found.auc is None
    assert found.volume_error == 0.5
    assert np.isfinite(found.loss)


def test_thousands_of_mostly_single_images_are_judged_by_all_pairs_of_a_person() -> None:
    """LFW's shape: of 4,000 people 2,900 have one image; picking 512 images first would leave few pairs."""
    counts = [1] * 2900 + [2] * 700 + [5] * 300 + [30] * 100
    outputs, who = _people(counts, 0.6)
    began = time.process_time()
    tracemalloc.start()
    found = verification_metrics(KIND, outputs, who)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - began < 5
    assert peak < 100e6
    assert found.volumes == len(outputs) == 8800
    again = verification_metrics(KIND, *_people(counts, 0.6, seed=1))
    assert 0.8 < found.auc < 1  # type: ignore[operator]
    assert found.auc == pytest.approx(again.auc, abs=0.02)
    assert found.slice_mae == pytest.approx(again.slice_mae, abs=0.02)
