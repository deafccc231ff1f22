"""``taskgan info`` of DICOM: each series of a study, or why it cannot be used."""

from pathlib import Path

import numpy as np
import pytest

from dicom_files import write_series
from taskgan.core.errors import UserError
from taskgan.info import as_json, describe

AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])


def test_a_study_and_a_series(tmp_path: Path) -> None:
    stored = np.arange(320, dtype=np.uint16).reshape(8, 10, 4)
    write_series(tmp_path / "study" / "a", stored, AFFINE, series=3, RescaleSlope="2", PixelPaddingValue=0)
    write_series(tmp_path / "study" / "b", stored, AFFINE, series=4)
    next((tmp_path / "study" / "b").glob("*_2.dcm")).unlink()
    text = describe(tmp_path / "study")
    assert "2 series" in text
    assert "MR series 3, 8×10×4 at 2×2×5 mm, scale from RescaleSlope" in " ".join(text.split())
    assert "cannot be used" in text
    assert "taskgan restore MODEL" in text
    assert "Secret" not in as_json(tmp_path / "study" / "a")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match="is nothing that taskgan made"):
        describe(tmp_path / "nothing")
