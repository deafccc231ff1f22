"""SUV by another implementation: @cornerstonejs/calculate-suv, which viewers use, on source and derived series."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from dicom_files import write_pet
from enhanced_pet import write_enhanced_pet
from taskgan.images.dicom.series import SeriesFilter, find_series
from taskgan.images.dicom.suv import suv_factor
from taskgan.restore.run import restore

PACKAGE = Path(__file__).parents[2] / "node_modules" / "@cornerstonejs" / "calculate-suv"
AFFINE = np.diag([-2.0, -2, 3, 1])
_TOP = (
    *("Units", "DecayCorrection", "SeriesDate", "SeriesTime", "AcquisitionDate", "AcquisitionTime", "PatientSex"),
    *("PatientWeight", "PatientSize", "FrameReferenceTime", "ActualFrameDuration"),
)
_DRUG = (
    *("RadionuclideHalfLife", "RadionuclideTotalDose", "RadiopharmaceuticalStartTime"),
    "RadiopharmaceuticalStartDateTime",
)
_SCRIPT = """
const { calculateSUVScalingFactors } = require(process.argv[1]);
const instances = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(calculateSUVScalingFactors(instances)));
"""


def metadata(dataset: Any) -> dict[str, Any]:
    """As viewers give it: numbers as numbers, texts as texts."""
    drug = dataset.RadiopharmaceuticalInformationSequence[0]
    values = {name: own.get(name) for own, names in ((dataset, _TOP), (drug, _DRUG)) for name in names}
    known = {name: value for name, value in values.items() if value not in (None, "")}
    plain = {n: v if isinstance(v, str) and not n.endswith(("Weight", "Size")) else float(v) for n, v in known.items()}
    return {**plain, "CorrectedImage": list(dataset.CorrectedImage)}


def factors(folder: Path) -> list[float]:
    headers = [metadata(pydicom.dcmread(path)) for path in sorted(folder.iterdir())]
    command = ["node", "-e", _SCRIPT, str(PACKAGE)]
    done = subprocess.run(command, input=json.dumps(headers), capture_output=True, text=True, check=True)
    return [one["suvbw"] for one in json.loads(done.stdout)]


@pytest.mark.skipif(
    shutil.which("node") is None or not PACKAGE.is_dir(), reason="node or @cornerstonejs/calculate-suv is not there"
)
def test_another_implementation_gives_the_same_suv_before_and_after(model: Path, tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(1, 900, (16, 16, 3)).astype(np.uint16)
    headers: tuple[dict[str, Any], ...] = ({}, {"DecayCorrection": "ADMIN"}, {"Units": "GML"})
    for number, header in enumerate(headers):
        source = write_pet(tmp_path / f"pet{number}", stored, AFFINE, **header)
        restore(model, [source], tmp_path / f"out{number}", precision="32")
        derived = tmp_path / f"out{number}" / source.name
        ours = suv_factor(find_series(derived, SeriesFilter()))
        assert factors(source) == factors(derived)
        if "DecayCorrection" not in header:  # which version 1.1 does not read: it takes every series for START
            assert factors(derived) == pytest.approx([ours] * 3, rel=1e-9)
    enhanced = write_enhanced_pet(tmp_path / "pt.dcm", stored, AFFINE)
    restore(model, [enhanced], tmp_path / "out", precision="32")
    derived = tmp_path / "out" / "pt.dcm"
    assert factors(derived) == pytest.approx([suv_factor(find_series(derived, SeriesFilter()))] * 3, rel=1e-9)
