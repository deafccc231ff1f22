import csv
import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from taskgan.cohort.augment import augment
from taskgan.cohort.check import check_cohort
from taskgan.cohort.dataset import Steps, TrainingSlices
from taskgan.cohort.folder import fingerprint
from taskgan.cohort.pairs import Pairs, read_pairs
from taskgan.cohort.targets import Targets, resolved_recipe, untrainable_reason
from taskgan.core.errors import Problems, UserError
from taskgan.images.volumes import read_volume
from taskgan.recipe import Augment, Data, Recipe, Target, Task

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
SHAPE = (6, 5, 3)
REGRESSION = Target(kind="regression", labels=("suvr",))
LABELS = Target(kind="multi_label", labels=("a", "b"))
CLASSES = Target(kind="multi_class", labels=("grade",), classes=3)
MASKS = Target(kind="segmentation", labels=("lesion",))
WHO = Target(kind="embedding", labels=("subject",))


def save(path: Path, data: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    nib.save(nib.Nifti1Image(data.astype(np.float32), affine), path)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Four training and two validation subjects; the mask is where the clean image is brightest."""
    rng = np.random.default_rng(0)
    rows = []
    for k, split in enumerate(("train", "train", "train", "train", "val", "val")):
        clean = 1 + rng.random(SHAPE)
        save(folder / f"{k}_degraded.nii", clean + 0.1 * rng.random(SHAPE))
        save(folder / f"{k}_clean.nii", clean)
        save(folder / f"{k}_lesion.nii", clean > 1.7)
        rows.append(
            {
                "case": f"c{k}",
                "subject": f"s{k}",
                "split": split,
                "degraded": f"{k}_degraded.nii",
                "clean": f"{k}_clean.nii",
                "label": k % 2,
                "suvr": 1.0 + 0.1 * k,
                "a": k % 2,
                "b": "" if k == 1 else int(k > 1),
                "grade": k % 3,
                "lesion": f"{k}_lesion.nii",
            }
        )
    return rows


def table(folder: Path, rows: list[dict[str, Any]]) -> Pairs:
    with (folder / "pairs.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return read_pairs(folder)


@pytest.fixture
def cohort(tmp_path: Path) -> Pairs:
    return table(tmp_path, rows_of(tmp_path))


def test_every_kind_reads_its_own_columns(cohort: Pairs) -> None:
    second = cohort.rows[1]
    assert Targets.for_table(Target(), cohort).value(second).tolist() == 1
    assert Targets.for_table(REGRESSION, cohort).value(second).tolist() == pytest.approx(1.1)
    several = Targets.for_table(LABELS, cohort).value(second)
    assert several[0] == 1
    assert math.isnan(several[1])
    who = Targets.for_table(WHO, cohort)
    assert [float(who.value(pair)) for pair in cohort] == [0, 1, 2, 3, 4, 5]
    source = read_volume(second.degraded)
    mask = Targets.for_table(MASKS, cohort).mask(second, source)
    assert mask.shape == (3, 6, 5)
    assert second.clean is not None
    np.testing.assert_array_equal(mask, np.moveaxis(read_volume(second.clean).data > 1.7, 2, 0))


def test_centre_and_scale_come_from_the_training_subjects_alone(cohort: Pairs) -> None:
    found = Targets.for_table(REGRESSION, cohort).resolved(cohort)
    assert found.centre == pytest.approx(1.15)
    assert found.scale == pytest.approx(np.std([1.0, 1.1, 1.2, 1.3]), rel=1e-3)
    given = REGRESSION.model_copy(update={"scale": 0.5})
    assert Targets.for_table(given, cohort).resolved(cohort).scale == 0.5
    assert Targets.for_table(given, cohort).resolved(cohort).centre == pytest.approx(1.15)
    assert Targets.for_table(Target(), cohort).resolved(cohort) == Target()
    recipe = Recipe(task=Task(kind="regression", labels=("suvr",)))
    once = resolved_recipe(recipe, cohort)
    assert resolved_recipe(once, cohort) == once  # the recipe that is written down is the one that is meant
    assert resolved_recipe(Recipe(), cohort) == Recipe(data=Data(axes="RAS"))  # those of the training images


def test_subjects_that_are_all_alike_teach_no_regression(tmp_path: Path) -> None:
    rows = [row | {"suvr": 1.2} for row in rows_of(tmp_path)]
    pairs = table(tmp_path, rows)
    with pytest.raises(UserError, match="all training subjects have suvr 1.2"):
        Targets.for_table(REGRESSION, pairs).resolved(pairs)


@pytest.mark.parametrize(
    ("target", "shape"), [(Target(), ()), (REGRESSION, ()), (LABELS, (2,)), (CLASSES, ()), (WHO, ())]
)
def test_labels_reach_the_step(cohort: Pairs, target: Target, shape: tuple[int, ...]) -> None:
    data = Data(augment=Augment(flip=False, shift=0))
    targets = Targets.for_table(target, cohort)
    slices = TrainingSlices(cohort.split("train"), data, targets=targets)
    steps = Steps(slices, data, batch_size=4, seed=0)
    batch = steps[0]
    assert batch.label.dtype == torch.float32
    assert batch.label.shape == (4, *shape)
    for label, index in zip(batch.label, steps.indices(0), strict=True):
        np.testing.assert_array_equal(label.numpy(), targets.value(cohort.rows[index // SHAPE[2]]))


def test_masks_move_with_their_images(cohort: Pairs) -> None:
    data = Data(augment=Augment(flip=True, shift=2))
    slices = TrainingSlices(cohort.split("train"), data, targets=Targets.for_table(MASKS, cohort))
    steps = Steps(slices, data, batch_size=8, seed=0)
    for step in range(3):
        batch = steps[step]
        assert batch.label.shape == (8, 6, 5)
        # The clean image divided by its scale lies between: 1.7 over a mean of about 1.5.
        for clean, mask in zip(batch.clean[:, 0], batch.label, strict=True):
            bright = clean[mask == 1]
            inside = clean[(mask == 0) & (clean > 0)]
            assert not len(bright) or bright.min() > inside.max()


def test_a_turned_mask_keeps_its_classes_and_its_place() -> None:
    y, x = np.mgrid[:40, :40]
    image = np.exp(-((x - 26) ** 2 + (y - 17) ** 2) / 40).astype(np.float32)[None]
    mask = (image > 0.5).astype(np.float32) * 2
    rng = np.random.default_rng
    for seed in range(6):
        changed = Augment(flip=True, shift=3, rotate=30, zoom=0.1)
        turned, marked = augment([image], changed, rng(seed), masks=[mask])
        assert set(np.unique(marked)) == {0.0, 2.0}
        np.testing.assert_array_equal(turned, augment([image], changed, rng(seed))[0])
        wanted = turned[0] > 0.5 * turned[0].max()
        overlap = 2 * (wanted & (marked[0] > 0)).sum() / (wanted.sum() + (marked[0] > 0).sum())
        assert overlap > 0.9


def test_who_has_no_mask_is_not_asked_for_one_where_nobody_needs_it(tmp_path: Path) -> None:
    pairs = table(tmp_path, [row | {"lesion": ""} for row in rows_of(tmp_path)])
    targets = Targets.for_table(MASKS, pairs)
    assert TrainingSlices(pairs, Data(), targets=targets, labels=False).sample(0)[2].shape == ()
    with pytest.raises(UserError, match="names no mask in the column lesion"):
        TrainingSlices(pairs, Data(), targets=targets)


def test_classes_are_balanced_others_are_not_and_a_column_balances_any(cohort: Pairs) -> None:
    def groups(target: Target, balanced: bool | str = True) -> int:
        slices = TrainingSlices(cohort, Data(), targets=Targets.for_table(target, cohort))
        return len(slices.groups(balanced=balanced))

    assert groups(Target()) == 2
    assert groups(CLASSES) == 3
    assert groups(REGRESSION) == groups(LABELS) == groups(WHO) == groups(MASKS) == 1
    assert groups(REGRESSION, "label") == 2
    assert groups(CLASSES, balanced=False) == 1


def test_the_fingerprint_of_a_cohort_knows_the_columns_that_teach(cohort: Pairs, tmp_path: Path) -> None:
    plain = fingerprint(cohort)
    assert fingerprint(cohort, ("suvr",)) != plain
    before = fingerprint(cohort, ("lesion",))
    save(tmp_path / "0_lesion.nii", np.ones((6, 5, 4)))
    assert fingerprint(cohort, ("lesion",)) != before
    assert fingerprint(cohort) == plain


WRONG: dict[str, tuple[Target, dict[str, Any], str]] = {
    "no such column": (Target(kind="regression", labels=("volume",)), {}, "there is no column volume"),
    "no number": (REGRESSION, {"suvr": "high"}, r"row 2 \(case c0\) has suvr 'high', expected a number"),
    "not known": (REGRESSION, {"suvr": ""}, r"row 2 \(case c0\) has no suvr"),
    "no class": (CLASSES, {"grade": 3}, r"row 2 \(case c0\) has grade 3, expected a class from 0 to 2"),
    "half a class": (CLASSES, {"grade": 0.5}, r"row 2 \(case c0\) has grade 0.5, expected a class"),
    "no label known": (LABELS, {"a": "", "b": ""}, r"row 2 \(case c0\) has no a and no b"),
    "impossible label": (LABELS, {"a": 2}, r"row 2 \(case c0\) has a 2, expected 0, 1 or nothing"),
    "no mask": (MASKS, {"lesion": ""}, r"row 2 \(case c0\) names no mask in the column lesion"),
    "lost mask": (MASKS, {"lesion": "gone.nii"}, r"row 2 \(case c0\).*gone.nii does not exist"),
    "mask on another grid": (MASKS, {"lesion": "moved.nii"}, r"moved.nii has another affine"),
    "mask of another size": (MASKS, {"lesion": "small.nii"}, r"small.nii has shape 6×5×2, expected 6×5×3"),
    "values that are no classes": (MASKS, {"lesion": "0_clean.nii"}, r"0_clean.nii holds the values .*expected"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_sentence(name: str, tmp_path: Path) -> None:
    import re

    target, change, message = WRONG[name]
    rows = rows_of(tmp_path)
    rows[0] |= change
    save(tmp_path / "moved.nii", np.zeros(SHAPE), np.diag([2.0, 2.0, 4.0, 1.0]))
    save(tmp_path / "small.nii", np.zeros((6, 5, 2)))
    with pytest.raises(Problems) as caught:
        check_cohort(table(tmp_path, rows), Data(), labels=True, target=target)
    assert len(caught.value.problems) == 1
    assert re.search(message, caught.value.problems[0]), caught.value.problems


def test_good_cohorts_of_every_kind_pass(cohort: Pairs) -> None:
    for target in (Target(), REGRESSION, LABELS, CLASSES, MASKS, WHO):
        check_cohort(cohort, Data(), labels=True, target=target)
        assert untrainable_reason(cohort.split("train"), Targets.for_table(target, cohort)) == ""


def test_what_training_lacks_is_said(tmp_path: Path, cohort: Pairs) -> None:
    def lacks(target: Target, **change: object) -> str:
        pairs = table(tmp_path, [row | change for row in rows_of(tmp_path)])
        with pytest.raises(Problems) as caught:
            check_cohort(pairs, Data(), labels=True, target=target)
        assert untrainable_reason(pairs.split("train"), Targets.for_table(target, pairs))
        return caught.value.problems[0]

    assert "training needs all 3 classes" in lacks(CLASSES, grade=2)
    assert "both labels of a" in lacks(LABELS, a=0)
    with pytest.raises(Problems, match="balance by"):
        check_cohort(cohort, Data(balanced="sex"), labels=False)
