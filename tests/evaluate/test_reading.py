import numpy as np
import pytest
from numpy.typing import NDArray

from taskgan.evaluate.reading import BATCH, Reading, read_case, read_volumes
from taskgan.objective.kinds import task_kind
from taskgan.task import Target


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


class Says:
    """A reader that says what it was told, whatever it sees."""

    def __init__(self, *answers: object) -> None:
        self._answers = np.array(answers, np.float32)

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._answers[: len(slices)]


def read(target: Target, answers: list[object], label: object) -> Reading:
    slices = np.ones((len(answers), 2, 2), np.float32)
    known = None if label is None else np.array(label, np.float32)
    return read_case(Says(*answers), slices, known, kind=task_kind(target, "squared"))


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
    assert read(target, list(half), None).entries == ()


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


def test_photos_are_read_together_and_volumes_by_themselves() -> None:
    rng = np.random.default_rng(0)
    shapes = [*[(1, 3, 4)] * BATCH, (5, 3, 4), (1, 3, 4), (1, 4, 3), (1, 3, 4)]
    volumes = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    seen = []

    def read(slices: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append(slices.shape)
        return slices.sum(axis=(1, 2))

    found = read_volumes(read, volumes)
    assert seen == [(BATCH, 3, 4), (2, 3, 4), (5, 3, 4), (1, 4, 3)]
    for said, volume in zip(found, volumes, strict=True):
        assert np.array_equal(said, volume.sum(axis=(1, 2)))
