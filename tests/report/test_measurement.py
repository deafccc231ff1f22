"""Repeatability, linearity over dose and recovery, against closed forms."""

from pathlib import Path

import numpy as np
import pytest

from made_up_cases import case, evaluation
from taskgan.evaluate.cases import RECOVERED, write_recovery
from taskgan.page.cells import Table
from taskgan.report.load import Comparison, load_comparison
from taskgan.report.measurement import (
    dose_chart,
    dose_trend,
    measurement_tables,
    pooled,
    recovery_chart,
    repeatability_chart,
)
from taskgan.stats import Interval

SUBJECTS = [f"sub-{k}" for k in range(8)]
CLEAN = dict(zip(SUBJECTS, np.linspace(1.1, 1.8, 8), strict=True))


def rows_of(table: Table) -> list[dict[str, object]]:
    return [{c.key: cell.value for c, cell in zip(table.columns, row, strict=True)} for row in table.rows]


def repeats(folder: Path, seeds: tuple[int, ...] = (0,)) -> Comparison:
    """Two acquisitions of everybody, one in a hundred above and one below: a CV of √2 %; "slow" of half as much."""
    rows = []
    for subject, clean in CLEAN.items():
        for run, sign in ((1, 1), (2, -1)):
            more = {"case": f"{subject}_run-{run}", "repeat": str(run), "dose": 1.0}
            rows += [case(subject, "gan", clean * (1 + 0.01 * sign), clean, seed=seed, **more) for seed in seeds]
            rows.append(case(subject, "slow", clean * (1 + 0.005 * sign), clean, **more))
            rows.append(case(subject, "clean", clean, clean, **more))
    return load_comparison([evaluation(folder, rows)])


def test_a_known_variation_is_found_by_method(tmp_path: Path) -> None:
    comparison = repeats(tmp_path / "e")
    (table,) = measurement_tables(comparison)
    clean, gan, slow = rows_of(table)
    assert table.name == "repeatability"
    assert (clean["variation"].estimate, gan["subjects"], gan["acquisitions"]) == (0, 8, 16)
    assert gan["variation"].estimate == pytest.approx(np.sqrt(2))
    assert slow["variation"].estimate == pytest.approx(np.sqrt(2) / 2)
    spread = np.sqrt(np.mean([2 * (0.01 * v) ** 2 for v in CLEAN.values()]))
    assert gan["coefficient"].estimate == pytest.approx(1.959964 * np.sqrt(2) * spread)
    assert gan["centiloids"].estimate == pytest.approx(153.4 * gan["coefficient"].estimate)
    assert gan["variation"].low < np.sqrt(2) < gan["variation"].high
    tones = [row[[c.key for c in table.columns].index("variation")].tone for row in table.rows]
    assert tones == ["better", "none", "better"]  # 1.41 % lies within 1.94 %, its upper end beyond
    assert repeatability_chart(comparison, tmp_path / "r.png") == tmp_path / "r.png"


def test_seeds_of_the_same_noise_do_not_narrow_the_interval(tmp_path: Path) -> None:
    one, two = (measurement_tables(repeats(tmp_path / f"{len(s)}", s))[0] for s in ((0,), (0, 1)))
    for ours, theirs in zip(rows_of(one), rows_of(two), strict=True):
        assert ours["variation"] == theirs["variation"]
    assert pooled([Interval(3.0, 2.0, 5.0), Interval(4.0, 3.0, 6.0)]).estimate == pytest.approx(np.sqrt(12.5))


def test_after_its_line_a_method_that_halves_differences_varies_twice_as_much(tmp_path: Path) -> None:
    rows = []
    for subject, clean in CLEAN.items():
        for run, noise in ((1, 0.005), (2, -0.005)):
            value = 0.7 + 0.5 * clean + noise
            line = {"suvr_calibrated": (value - 0.7) / 0.5, "suvr_calibrated_decision": 0.0}
            rows.append(case(subject, "gan", value, clean, case=f"{subject}_{run}", repeat=str(run), **line))
            rows.append(case(subject, "clean", clean, clean, case=f"{subject}_{run}", repeat=str(run)))
    (table,) = measurement_tables(load_comparison([evaluation(tmp_path / "e", rows)]))
    _, raw, after = rows_of(table)
    assert after["method"] == "GAN, after its line"
    assert after["deviation"].estimate == pytest.approx(2 * raw["deviation"].estimate)


def test_linearity_and_bias_over_dose(tmp_path: Path) -> None:
    rows = []
    for subject, clean in CLEAN.items():
        for dose in (1.0, 10.0):  # an exact line at each, and .1 more bias at ten times the dose
            value = 0.2 + 0.8 * clean + 0.1 * np.log10(dose)
            rows.append(case(subject, "gan", value, clean, case=f"{subject}_{dose}", dose=dose))
            rows.append(case(subject, "clean", clean, clean, case=f"{subject}_{dose}", dose=dose))
    comparison = load_comparison([evaluation(tmp_path / "e", rows)])
    (table,) = measurement_tables(comparison)
    low, high, trend = rows_of(table)
    assert table.name == "doses"
    assert [low["dose"], high["dose"], trend["dose"]] == [1.0, 10.0, "all"]
    assert low["slope"].estimate == pytest.approx(0.8)
    assert low["correlation"].estimate == pytest.approx(1.0)
    assert high["bias"].estimate - low["bias"].estimate == pytest.approx(0.1)
    assert trend["trend"].estimate == pytest.approx(0.1)
    assert np.isnan(dose_trend(comparison.rows("gan").query("dose == 1")).estimate)  # one dose has no trend
    assert dose_chart(comparison, tmp_path / "d.png") == tmp_path / "d.png"


def test_recovery_by_diameter_and_contrast(tmp_path: Path) -> None:
    rows = [case(s, m, 1.4, 1.4) for s in SUBJECTS for m in ("clean", "gan")]
    folder = evaluation(tmp_path / "e", rows)
    sizes = ((8.1, 1.5, 0.4), (8.0, 3.0, 0.6), (37.0, 3.0, 1.0))
    for row in rows:
        row["findings"] = [
            {"finding": k, "diameter_mm": d, "contrast": c, "recovery": r if row["method"] == "gan" else 1.0}
            for k, (d, c, r) in enumerate(sizes)
        ]
    write_recovery(folder / RECOVERED, rows)
    comparison = load_comparison([folder])
    (table,) = measurement_tables(comparison)
    small, large = rows_of(table)[2:]
    assert [r["diameter"] for r in rows_of(table)] == 2 * ["< 9 mm", "≥ 33 mm"]
    assert (small["findings"], small["subjects"], large["findings"]) == (16, 8, 8)
    assert small["recovery"].estimate == pytest.approx(0.5)
    assert small["contrast_0"].estimate == pytest.approx(0.4)
    assert small["contrast_2"].estimate == pytest.approx(0.6)
    assert np.isnan(large["contrast_0"].estimate)
    assert recovery_chart(comparison, tmp_path / "c.png") == tmp_path / "c.png"


def test_without_the_columns_there_is_nothing(tmp_path: Path) -> None:
    rows = [case(s, m, 1.4, 1.4, dose=1.0) for s in SUBJECTS for m in ("clean", "gan")]
    comparison = load_comparison([evaluation(tmp_path / "e", rows)])
    assert measurement_tables(comparison) == []
    for draw in (repeatability_chart, dose_chart, recovery_chart):
        assert draw(comparison, tmp_path / "none.png") is None
