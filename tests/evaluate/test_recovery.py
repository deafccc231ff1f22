"""Recovery coefficients of findings and variation between repeats, against closed forms."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from taskgan.cohort.pairs import Pair
from taskgan.evaluate.measure import add_variation
from taskgan.evaluate.observers import SMALL_MM3, ObserverView, Recovery, findings
from taskgan.simulate.deform import Grid
from taskgan.simulate.pet.focal import ball_share

GRID = Grid((60, 40, 30), (2.0, 2.0, 2.0))
BALLS = [ball_share(GRID, (x, 0.0, 0.0), r) for x, r in ((-30.0, 5.0), (20.0, 14.0))]
TRUTH = np.asarray(1 + 3 * sum(BALLS), dtype=np.float32)
MASKS = {"findings": np.asarray(sum(BALLS) >= 0.5)}


def measured(image: np.ndarray, clean: np.ndarray = TRUTH, truth: np.ndarray | None = TRUTH) -> dict[str, float]:
    view = ObserverView(image.astype(np.float32), clean, MASKS, GRID.voxel_mm, truth=truth)
    return Recovery().measure(view)


def test_the_truth_recovers_wholly_and_half_of_it_by_half() -> None:
    assert measured(TRUTH) == pytest.approx(
        {"recovery": 1, "recovery_error": 0, "recovery_small": 1, "recovery_small_error": 0}
    )
    half = measured(0.5 * TRUTH)
    assert half["recovery"] == pytest.approx(0.5)
    assert half["recovery_error"] == pytest.approx(-0.5)
    assert measured(TRUTH, truth=None) == {}


def test_blur_costs_small_findings_more() -> None:
    sizes = [float(b.sum()) * 8 for b in BALLS]
    assert sizes[0] < SMALL_MM3 < sizes[1]
    blurred = measured(ndimage.gaussian_filter(TRUTH, 2.0))
    large = 2 * blurred["recovery"] - blurred["recovery_small"]  # the mean is over two
    assert blurred["recovery_small"] < large < 1
    assert blurred["recovery_small_error"] < blurred["recovery_error"] < 0


def test_no_finding_no_number() -> None:
    view = ObserverView(TRUTH, TRUTH, {"findings": np.zeros_like(MASKS["findings"])}, GRID.voxel_mm, truth=TRUTH)
    assert Recovery().measure(view) == {}


def test_variation_is_the_sd_over_the_mean_of_a_subjects_repeats() -> None:
    def row(case: str, subject: str, method: str, value: float) -> dict[str, object]:
        return {"case": case, "subject": subject, "method": method, "dose": 1.0, "suvr_restored": value}

    rows = [row(f"a{k}", "a", "gan", value) for k, value in enumerate((1.0, 1.2, 1.4))]
    rows += [row(f"a{k}", "a", "clean", 1.2) for k in range(3)] + [row("b0", "b", "gan", 1.5)]
    names = {str(r["case"]) for r in rows}
    pairs = {n: Pair(1, n, n[0], "test", Path("x"), None, None, {"repeat": "1"}, Path()) for n in names}
    add_variation(rows, pairs)
    assert [r.get("suvr_cv") for r in rows[:3]] == pytest.approx([0.2 / 1.2] * 3)
    assert [r.get("suvr_cv") for r in rows[3:6]] == pytest.approx([0.0] * 3)
    assert "suvr_cv" not in rows[6]
    plain = [row("a0", "a", "gan", 1.0), row("a1", "a", "gan", 1.2)]
    add_variation(plain, {n: Pair(1, n, "a", "test", Path("x"), None, None, {}, Path()) for n in ("a0", "a1")})
    assert "suvr_cv" not in plain[0]


def test_each_finding_has_its_diameter_contrast_and_recovery() -> None:
    sharp = np.where(MASKS["findings"], 4.0, 1.0).astype(np.float32)  # four times as hot, to the voxel
    image = 0.5 * sharp
    found = findings(ObserverView(image, sharp, MASKS, GRID.voxel_mm, truth=sharp))
    assert [one["diameter_mm"] for one in found] == pytest.approx([10.0, 28.0], rel=0.06)  # 56 voxels are 9.49 mm
    assert [one["contrast"] for one in found] == pytest.approx([4.0, 4.0])
    assert [one["recovery"] for one in found] == pytest.approx([0.5, 0.5])
    assert findings(ObserverView(image, sharp, MASKS, GRID.voxel_mm)) == []
    assert findings(ObserverView(image, sharp, {}, GRID.voxel_mm, truth=sharp)) == []
