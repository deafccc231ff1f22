"""Real T1 and FLAIR series: read, brought onto one grid, and refused where nothing can be made of them."""

from pathlib import Path

import numpy as np
import pytest

from exported import DELAYS, ECHOES, Export, save
from taskgan.cohort.pairs import read_pairs
from taskgan.core.errors import Problems
from taskgan.images.volumes import read_sidecar, read_volume
from taskgan.prepare.images import read_image
from taskgan.prepare.mr.cohort import prepare_mr
from taskgan.prepare.mr.plan import MrPreparation

REAL = Path(__file__).parents[3] / "shared" / "data" / "dicom"
COARSER = 8  # voxels of the FLAIR in plane

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the two real series are not here (shared/data/dicom)")


@pytest.fixture
def patient(export: Export) -> Export:
    """Two contrasts, as the scanner exported them; no acquisition to restore them from."""
    export.add("B", str(REAL / "brainix_t1"), "target", name="T1w")
    export.add("B", str(REAL / "brainix_flair"), "target", name="T2-FLAIR")
    return export


def test_conventional_series_alone_are_no_input(patient: Export, tmp_path: Path) -> None:
    with pytest.raises(Problems) as caught:
        prepare_mr(patient.table(), tmp_path / "cohort", MrPreparation())
    [sentence] = caught.value.problems
    assert "subject B has no input (it has T1w, T2-FLAIR)" in sentence
    assert "multi-delay multi-echo acquisition" in sentence
    assert not (tmp_path / "cohort").exists()


def test_beside_an_acquisition_they_are_brought_onto_its_grid(patient: Export, tmp_path: Path) -> None:
    # The patient has no such acquisition: a made-up one, coarse, over the same field of view.
    flair = read_image(REAL / "brainix_flair")
    step = np.diag([COARSER, COARSER, 1.0, 1.0])
    shape = (*(n // COARSER for n in flair.data.shape[:2]), flair.data.shape[2])
    rng = np.random.default_rng(0)
    for delay in DELAYS:
        for echo, _ in enumerate(ECHOES, start=1):
            for part in ("real", "imag"):
                file = f"d{delay}_e{echo}_{part}.nii.gz"
                save(patient.folder / file, rng.normal(size=shape).astype(np.float32), flair.affine @ step)
                patient.add("B", file, "input", delay_ms=delay, echo=echo, part=part)
    with pytest.raises(Problems, match=r"brainix_t1.*--resample"):
        prepare_mr(patient.table(), tmp_path / "cohort", MrPreparation())
    assert not (tmp_path / "cohort").exists()
    out = prepare_mr(patient.table(), tmp_path / "cohort", MrPreparation(resample=True))
    pairs = read_pairs(out)
    assert [pair.columns["contrast"] for pair in pairs] == ["T1w", "T2-FLAIR"]
    for pair in pairs:
        assert pair.clean is not None
        source, clean = read_volume(pair.degraded), read_volume(pair.clean)
        assert clean.data.shape == source.data.shape == shape
        np.testing.assert_allclose(clean.affine, source.affine, atol=1e-4)
        side = read_sidecar(pair.clean)
        assert "linear" in side["Resampled"]
        assert "PatientName" not in str(side)
    # Both show one head: where one has tissue the other has too.
    t1, t2 = (read_volume(pair.clean).data for pair in pairs if pair.clean is not None)
    inside = [image > 0.1 * np.percentile(image, 99) for image in (t1, t2)]
    assert 2 * (inside[0] & inside[1]).sum() / (inside[0].sum() + inside[1].sum()) > 0.9
