"""Body-weight SUV by hand, and the sentences where there is none."""

from pathlib import Path

import numpy as np
import pytest

from dicom_files import write_pet, write_series
from taskgan.core.errors import UserError
from taskgan.images.dicom.series import SeriesFilter, find_series
from taskgan.images.dicom.suv import suv_factor

AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])
STORED = np.ones((4, 5, 3), np.uint16)
HOUR_AND_HALF = 90 * 60  # from 10:15 to 11:45 in the helper's headers


def factor(folder: Path, **header: object) -> float:
    return suv_factor(find_series(write_pet(folder, STORED, AFFINE, **header), SeriesFilter()))


def test_by_hand(tmp_path: Path) -> None:
    left = 3e8 * 2 ** (-HOUR_AND_HALF / 6586.2)
    assert factor(tmp_path / "start") == pytest.approx(70_000 / left, rel=1e-12)
    assert factor(tmp_path / "admin", DecayCorrection="ADMIN") == pytest.approx(70_000 / 3e8, rel=1e-12)
    assert factor(tmp_path / "gml", Units="GML") == 1
    # Injected at 10:15 of the day before.
    night = factor(tmp_path / "night", SeriesTime="001500", AcquisitionTime="001500")
    assert night == pytest.approx(70_000 / (3e8 * 2 ** (-14 * 3600 / 6586.2)), rel=1e-12)


def test_philips_counts_have_a_factor_of_their_own(tmp_path: Path) -> None:
    creator = (0x7053, 0x0011, "LO", "Philips PET Private Group")
    own = (creator, (0x7053, 0x1100, "DS", "0.00025"))
    assert factor(tmp_path / "suv", Units="CNTS", private=own) == 0.00025
    activity = (creator, (0x7053, 0x1109, "DS", "2"))
    assert factor(tmp_path / "bqml", Units="CNTS", private=activity) == pytest.approx(2 * factor(tmp_path / "plain"))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"Units": "CNTS"}, "its Units are CNTS, expected BQML"),
        ({"PatientWeight": ""}, "no PatientWeight"),
        ({"RadiopharmaceuticalInformationSequence": []}, "no RadionuclideTotalDose"),
        ({"CorrectedImage": ["DECY"]}, "CorrectedImage lacks ATTN"),
        ({"DecayCorrection": "NONE"}, "DecayCorrection is NONE"),
        ({"SeriesTime": "123000"}, "SeriesTime is later than its first AcquisitionTime"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, header: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        factor(tmp_path / "s", **header)


def test_mr_has_none(tmp_path: Path) -> None:
    write_series(tmp_path / "mr", STORED, AFFINE)
    with pytest.raises(UserError, match="no PET series"):
        suv_factor(find_series(tmp_path / "mr", SeriesFilter()))
