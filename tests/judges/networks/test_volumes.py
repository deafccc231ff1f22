from dataclasses import replace

import numpy as np
import pytest

from taskgan.cohort.pairs import Pairs
from taskgan.core.errors import Problems, UserError
from taskgan.images.volumes import read_volume, write_volume
from taskgan.judges.volumes import CleanSlices, CleanVolume, clean_slices, distinct_clean
from taskgan.recipe import Data


def test_each_clean_image_counts_once_and_the_selected_dose_gives_its_scale(cohort: Pairs) -> None:
    assert len(distinct_clean(cohort)) == 10
    for dose in (1, 5):
        rows = distinct_clean(cohort.select({"dose": str(dose)}).split("train"))
        volumes = clean_slices(rows, Data())
        assert volumes.subjects == ("s0", "s1", "s2", "s3", "s4", "s5")
        degraded = read_volume(rows.rows[0].degraded).data
        clean = read_volume(cohort.rows[0].clean).data  # type: ignore[arg-type]
        expected = np.moveaxis(clean / degraded[degraded > 0].mean(), 2, 0)
        np.testing.assert_allclose(volumes.volumes[0].slices, expected, rtol=1e-5)
        assert volumes.volumes[0].slices.flags.c_contiguous


def test_labels_are_inherited_from_the_row(cohort: Pairs) -> None:
    volumes = clean_slices(distinct_clean(cohort.split("test")), Data())
    assert [(v.subject, v.label) for v in volumes] == [("s8", 0.0), ("s9", 1.0)]


def test_slices_without_signal_are_left_out(cohort: Pairs) -> None:
    pair = cohort.rows[0]
    assert pair.clean is not None
    volume = read_volume(pair.clean)
    emptied = volume.data.copy()
    emptied[..., :2] = 0
    write_volume(pair.clean, emptied, volume.affine)
    rows = Pairs(cohort.source, (pair,))
    assert len(clean_slices(rows, Data()).volumes[0].slices) == 4
    assert len(clean_slices(rows, Data(min_signal=0)).volumes[0].slices) == 6


def test_all_bad_labels_are_listed_at_once(cohort: Pairs) -> None:
    rows = (replace(cohort.rows[0], label=None), cohort.rows[2], replace(cohort.rows[4], label=3.0))
    with pytest.raises(Problems) as caught:
        clean_slices(Pairs(cohort.source, rows), Data())
    assert len(caught.value.problems) == 2
    assert "row 2 (case s0_d1) has no label" in str(caught.value)
    assert "label 3, expected 0 or 1" in str(caught.value)


def test_an_empty_clean_image_is_named(cohort: Pairs) -> None:
    pair = cohort.rows[0]
    assert pair.clean is not None
    volume = read_volume(pair.clean)
    write_volume(pair.clean, np.zeros_like(volume.data), volume.affine)
    with pytest.raises(UserError, match=r"s0_clean\.nii\.gz is empty"):
        clean_slices(Pairs(cohort.source, (pair,)), Data())


def test_nothing_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        CleanSlices(())
    with pytest.raises(ValueError, match="expected \\(S, H, W\\)"):
        CleanSlices((CleanVolume("a", 0.0, np.zeros((4, 4), np.float32)),))
