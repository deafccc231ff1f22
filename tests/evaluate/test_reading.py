import numpy as np
import pytest

from taskgan.evaluate.reading import Reading, reading_of
from taskgan.objective.kinds import task_kind
from taskgan.task import Target


def read(target: Target, answers: list[object], label: object, wanted: int = 40) -> Reading:
    """What a reader that gave these answers, one a slice, is understood to have said."""
    known = None if label is None else np.array(label, np.float32)
    return reading_of(np.array(answers, np.float32), known, task_kind(target, "squared"), wanted)


def test_the_mean_decides_and_the_error_is_taken_by_slice() -> None:
    found = read(Target(), [0.2, 0.4, 0.9, 0.9], 1.0)
    assert found.probability == pytest.approx(0.6)
    assert found.decision == 1
    assert found.mae == pytest.approx(0.4)
    assert read(Target(), [0.2, 0.4, 0.9, 0.9], 0.0).mae == pytest.approx(0.6)


def test_only_middle_slices_count_and_a_half_is_not_positive() -> None:
    found = read(Target(), [1.0, 0.5, 0.5, 1.0], None, wanted=2)
    assert found.probability == 0.5
    assert found.decision == 0
    assert np.isnan(found.mae)


def test_a_value_is_decided_by_its_cut() -> None:
    target = Target(kind="regression", labels=("suvr",), cut=1.38)
    found = read(target, [1.2, 1.6], 1.3)
    assert found.probability == pytest.approx(1.4)
    assert (found.decision, found.truth) == (1, 0)
    assert found.mae == pytest.approx(0.2)
    open_ended = read(target.model_copy(update={"cut": None}), [1.2, 1.6], 1.3)
    assert np.isnan(open_ended.decision)
    assert open_ended.truth is None
    unknown = read(target, [1.2, 1.6], None)
    assert np.isnan(unknown.mae)
    assert unknown.truth is not None
    assert np.isnan(unknown.truth)


def test_the_most_probable_class_on_average_is_the_decision() -> None:
    target = Target(kind="multi_class", labels=("grade",), classes=3)
    found = read(target, [[0.6, 0.4, 0.0], [0.1, 0.5, 0.4]], 2)
    assert (found.decision, found.truth) == (1, 2)
    assert found.mae == pytest.approx(0.8)
    assert np.isnan(found.probability)
    assert [entry.prediction for entry in found.entries] == pytest.approx([0.35, 0.45, 0.2])
    assert [entry.target for entry in found.entries] == [0, 0, 1]


def test_labels_are_decided_one_by_one() -> None:
    target = Target(kind="multi_label", labels=("a", "b"))
    found = read(target, [[0.9, 0.2], [0.5, 0.4]], [1, np.nan])
    assert found.mae == pytest.approx(0.3)
    assert [entry.decision for entry in found.entries] == [1, 0]
    assert found.entries[0].target == 1
    assert np.isnan(found.entries[1].target)
    assert np.isnan(found.decision)


def test_dice_is_of_the_volume_not_of_slices() -> None:
    target = Target(kind="segmentation", labels=("mask",))
    masks = np.zeros((2, 2, 2))
    masks[0, 0] = 1
    half = np.stack([[1 - (m * [1, 0]), m * [1, 0]] for m in masks])  # half of the class, in one slice
    found = read(target, list(half), masks)
    assert found.mae == pytest.approx(1 - 2 * 1 / 3)
    assert found.entries[0].prediction == pytest.approx(2 / 3)
    assert reading_of(None, None, task_kind(target, "squared")).entries == ()


def test_an_identity_is_kept_within_the_cut() -> None:
    target = Target(kind="embedding", labels=("subject",), size=2, cut=0.5)
    y = [[3, 1, 0], [3, 0.8, 0.6]]  # whose, and the clean slices' descriptors
    same = read(target, [[1, 0], [0.8, 0.6]], y)
    assert same.mae == pytest.approx(0, abs=1e-6)
    assert same.entries[0].prediction == pytest.approx(1)
    assert same.entries[0].decision == 1
    other = read(target, [[0, 1], [0, 1]], y)
    assert other.mae == pytest.approx((2**0.5 + (0.8**2 + 0.4**2) ** 0.5) / 2)
    assert other.entries[0].decision == 0
