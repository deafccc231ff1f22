from pathlib import Path

import numpy as np
import pytest

from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.targets import Targets
from taskgan.images.volumes import Volume, write_volume
from taskgan.judges.properties import target_property
from taskgan.judges.read import LoadedCase, PropertyReader, read_cases, read_suvr
from taskgan.judges.readings import Reading
from taskgan.recipe import Target


class Said:
    """Answers that were written down before, one a slice of the image after the clean one."""

    def __init__(self, clean: object, restored: object) -> None:
        self.answers = [np.array(clean, np.float32), np.array(restored, np.float32)]

    def read(self, slices: np.ndarray) -> np.ndarray:
        return self.answers[int(slices.flat[0])][: len(slices)]


def case(count: int, folder: Path = Path(), **columns: str) -> LoadedCase:
    """Images of 2×2 pixels and some slices: zeros and ones, so that the reader knows which is which."""
    label = float(columns["label"]) if columns.get("label") else None
    pair = Pair(2, "c", "s", "test", Path("d"), Path("x"), label, columns, folder)
    volumes = {
        name: Volume(np.full((2, 2, count), value, np.float32), np.eye(4), None)
        for name, value in (("input", 0), ("clean", 0), ("gan", 1))
    }
    return LoadedCase(pair, volumes, 1.0, {})


def read(target: Target, answers: list[object], one: LoadedCase, wanted: int = 40) -> list[Reading]:
    """What a reader that gave these answers, one a slice, is understood to have said."""
    pairs = Pairs(Path("pairs.csv"), (one.pair,))
    reader = PropertyReader(
        "eye", Said(answers, answers), Targets.for_table(target, pairs), target_property(target, pairs)
    )
    return [row for row in read_cases([reader], [one], wanted, skip=("input",)) if row.image == "gan"]


def test_the_mean_decides_and_the_error_is_taken_by_slice() -> None:
    [found] = read(Target(), [0.2, 0.4, 0.9, 0.9], case(4, label="1"))
    assert found.prediction == pytest.approx(0.6)
    assert (found.decision, found.truth, found.target, found.cut) == (1, 1, 1, 0.5)
    assert found.error == pytest.approx(0.4)
    [other] = read(Target(), [0.2, 0.4, 0.9, 0.9], case(4, label="0"))
    assert other.error == pytest.approx(0.6)


def test_only_middle_slices_are_read_and_a_half_is_not_positive() -> None:
    [found] = read(Target(), [0.5, 0.5, 1.0, 1.0], case(4), wanted=2)
    assert (found.prediction, found.decision) == (0.5, 0)
    assert np.isnan([found.error, found.truth]).all()


def test_a_value_is_decided_by_its_cut() -> None:
    target = Target(kind="regression", labels=("suvr",), cut=1.38)
    [found] = read(target, [1.2, 1.6], case(2, suvr="1.3"))
    assert found.prediction == pytest.approx(1.4)
    assert (found.decision, found.truth) == (1, 0)
    assert found.error == pytest.approx(0.2)
    [bare] = read(target.model_copy(update={"cut": None}), [1.2, 1.6], case(2, suvr="1.3"))
    assert np.isnan([bare.decision, bare.truth, bare.cut]).all()
    [unknown] = read(target, [1.2, 1.6], case(2, suvr=""))
    assert np.isnan([unknown.error, unknown.truth, unknown.target]).all()


def test_the_most_probable_class_on_average_is_the_decision() -> None:
    target = Target(kind="multi_class", labels=("grade",), classes=3)
    found = read(target, [[0.6, 0.4, 0.0], [0.1, 0.5, 0.4]], case(2, grade="2"))
    assert [row.output for row in found] == ["class 0", "class 1", "class 2"]
    assert [row.decision for row in found] == [0, 1, 0]
    assert [row.truth for row in found] == [0, 0, 1]
    assert [row.prediction for row in found] == pytest.approx([0.35, 0.45, 0.2])
    assert [row.error for row in found] == pytest.approx([0.8] * 3)


def test_labels_are_decided_one_by_one() -> None:
    target = Target(kind="multi_label", labels=("a", "b"))
    found = read(target, [[0.9, 0.2], [0.5, 0.4]], case(2, a="1", b=""))
    assert found[0].error == pytest.approx(0.3)
    assert [row.decision for row in found] == [1, 0]
    assert found[0].target == 1
    assert np.isnan(found[1].target)


def test_a_mask_has_a_volume_and_dice_of_the_volume_not_of_slices(tmp_path: Path) -> None:
    target = Target(kind="segmentation", labels=("mask",), classes=2)
    masks = np.zeros((2, 2, 2))  # slices first
    masks[0, 0] = 1
    write_volume(tmp_path / "m.nii.gz", np.moveaxis(masks, 0, 2).astype(np.uint8), np.eye(4))
    half = [[1 - (m * [1, 0]), m * [1, 0]] for m in masks]  # half of the class, in one slice
    [found] = read(target, half, case(2, tmp_path, mask="m.nii.gz"))
    assert (found.prediction, found.target) == (pytest.approx(0.001), pytest.approx(0.002))
    assert found.dice == pytest.approx(2 / 3)
    assert found.dice_clean == 1
    assert found.error == pytest.approx(1 / 3)
    [bare] = read(target, half, case(2, mask=""))
    assert np.isnan([bare.target, bare.dice, bare.error]).all()
    assert bare.dice_clean == 1


def test_an_identity_is_kept_within_the_cut() -> None:
    target = Target(kind="embedding", labels=("subject",), size=2, cut=0.5)
    one = case(2, subject="a")
    pairs = Pairs(Path("pairs.csv"), (one.pair,))
    for restored, decision, error in (
        ([[1, 0], [0.8, 0.6]], 1, 0.0),
        ([[0, 1], [0, 1]], 0, (2**0.5 + (0.8**2 + 0.4**2) ** 0.5) / 2),
    ):
        said = Said([[1, 0], [0.8, 0.6]], restored)
        reader = PropertyReader("eye", said, Targets.for_table(target, pairs), target_property(target, pairs))
        _, row = read_cases([reader], [one], 40, skip=("input",))
        assert (row.output, row.decision, row.truth) == ("identity", decision, 1)
        assert row.error == pytest.approx(error, abs=1e-3)


def test_the_suvr_is_a_reading_where_both_masks_are() -> None:
    one = case(2, label="1")
    assert read_suvr(one, 1.38, None) == []
    masks = {"cortex": np.zeros((2, 2, 2), bool), "reference": np.ones((2, 2, 2), bool)}
    masks["cortex"][0] = True
    masked = LoadedCase(one.pair, one.volumes, 1.0, masks)
    labels = Targets.for_table(Target(), Pairs(Path("pairs.csv"), (one.pair,)))
    [row] = read_suvr(masked, 1.0, labels, skip=("input", "clean"))
    assert (row.image, row.judge, row.prediction, row.decision, row.truth) == ("gan", "SUVR", 1.0, 1.0, 1.0)
    assert np.isnan(read_suvr(masked, 1.0, None)[-1].truth)
