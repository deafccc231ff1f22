"""Observers that were taught once are read as they were taught, to the bit."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from taskgan.cohort.pairs import Pairs, read_pairs, write_pairs
from taskgan.images.volumes import write_volume
from taskgan.judges import lesions
from taskgan.judges.lesions import FOLDER, FittedDetector, detectors_for, fit_detectors, observers_file

SHAPE = (24, 24, 3)


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Three subjects of two contrasts, three lesions in each of two slices; one of each split."""
    rng, folder, rows = np.random.default_rng(0), tmp_path / "cohort", []
    for split in ("train", "val", "test"):
        lesions = np.zeros(SHAPE, bool)
        lesions[4:6, 4:6], lesions[16:19, 15:18], lesions[5:8, 16:18] = True, True, True
        lesions[:, :, 1] = False
        masks = {"brain": np.ones(SHAPE), "white": ~lesions, "lesions": lesions}
        for name, mask in masks.items():
            write_volume(folder / f"{split}_{name}.nii.gz", mask.astype(np.uint8), np.eye(4))
        for label, (contrast, sign) in enumerate((("T1w", -1), ("T2w", 1))):
            image = 10 + 3 * sign * lesions + rng.standard_normal(SHAPE)
            write_volume(folder / f"{split}_{contrast}.nii.gz", image.astype(np.float32), np.eye(4))
            row = {"case": f"{split}_{contrast}", "subject": split, "split": split, "contrast": contrast}
            files = {"degraded": f"{split}_T1w.nii.gz", "clean": f"{split}_{contrast}.nii.gz"}
            rows.append(row | files | {"label": label} | {m: f"{split}_{m}.nii.gz" for m in masks})
    write_pairs(folder / "pairs.csv", rows)
    return folder


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that observers are taught."""
    calls: list[int] = []

    def count(pairs: Pairs, condition: str, rate: float) -> dict[str, FittedDetector]:
        calls.append(len(pairs))
        return fit_detectors(pairs, condition, rate)

    monkeypatch.setattr(lesions, "fit_detectors", count)
    return calls


def same(one: dict[str, FittedDetector], other: dict[str, FittedDetector]) -> bool:
    return list(one) == list(other) and all(
        a.detector.template.tobytes() == b.detector.template.tobytes()
        and a.detector.template.dtype == b.detector.template.dtype
        and repr((a.detector.offset, a.detector.threshold, a.record))
        == repr((b.detector.offset, b.detector.threshold, b.record))
        for a, b in zip(one.values(), other.values(), strict=True)
    )


def test_a_second_evaluation_reads_what_the_first_one_taught(cohort: Path, taught: list[int]) -> None:
    pairs = read_pairs(cohort)
    made = [detectors_for(pairs, "contrast", 1.0) for _ in range(2)]
    assert list(made[0]) == ["T1w", "T2w"]
    assert same(*made)
    assert len(taught) == 1
    assert [path.suffix for path in (cohort / "derivatives" / FOLDER).iterdir()] == [".json"]


def test_the_threshold_of_an_observer_without_validation_images_stays_nan(cohort: Path, taught: list[int]) -> None:
    pairs = read_pairs(cohort)
    train = Pairs(pairs.source, pairs.split("train").rows)
    made = [detectors_for(train, "contrast", 1.0) for _ in range(2)]
    assert same(*made)
    assert np.isnan(made[1]["T1w"].detector.threshold)
    assert len(taught) == 1


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"checksum": "0", "observers": {}}', "a digit"])
def test_a_damaged_file_is_taught_anew_and_replaced(cohort: Path, taught: list[int], damage: str) -> None:
    pairs = read_pairs(cohort)
    before = detectors_for(pairs, "contrast", 1.0)
    path = observers_file(pairs, "contrast", 1.0)
    whole = path.read_text()
    weight = json.loads(whole)["observers"]["T1w"]["template"][0]
    path.write_text(whole.replace(repr(weight), repr(weight + 1), 1) if damage == "a digit" else damage)
    assert same(before, detectors_for(pairs, "contrast", 1.0))
    assert len(taught) == 2
    assert path.read_text() == whole


def test_other_rows_files_and_settings_have_observers_of_their_own(cohort: Path) -> None:
    pairs = read_pairs(cohort)
    first = observers_file(pairs, "contrast", 1.0)
    learnt = Pairs(pairs.source, tuple(pair for pair in pairs if pair.split != "test"))
    assert observers_file(learnt, "contrast", 1.0) == first  # test rows do not count
    assert observers_file(pairs, "contrast", 2.0) != first
    assert observers_file(pairs, "", 1.0) != first
    assert observers_file(Pairs(pairs.source, pairs.split("train").rows), "contrast", 1.0) != first
    os.utime(cohort / "val_lesions.nii.gz", ns=(1, 1))
    assert observers_file(pairs, "contrast", 1.0) != first


def test_a_cohort_that_cannot_be_written_to_is_evaluated_all_the_same(
    cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cohort / "derivatives").write_text("a file where the folder would be")
    found = detectors_for(read_pairs(cohort), "contrast", 1.0)
    assert list(found) == ["T1w", "T2w"]
    assert "the lesion observers are not kept" in capsys.readouterr().out
    elsewhere = cohort.parent / "store"
    assert same(found, detectors_for(read_pairs(cohort), "contrast", 1.0, elsewhere))
    assert len(list(elsewhere.glob("lesions-*.json"))) == 1


def test_a_cohort_without_lesion_masks_has_no_observers(cohort: Path) -> None:
    pairs = read_pairs(cohort)
    assert detectors_for(Pairs(pairs.source, pairs.split("test").rows), "contrast", 1.0) == {}
    assert not (cohort / "derivatives").exists()
