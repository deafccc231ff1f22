from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taskgan.core.errors import UserError
from taskgan.page.cells import Cell, Table
from taskgan.report.comparisons import comparisons_table, p_text
from taskgan.report.load import Comparison, load_comparison
from taskgan.report.metrics import parse_inference
from taskgan.report.tables import paired_readings_table, readers_table
from taskgan.report.verdict import report_verdict
from taskgan.stats import Interval, subjects_for_flips


@pytest.fixture
def comparison(evaluations: list[Path]) -> Comparison:
    return load_comparison(evaluations)


def with_seeds(comparison: Comparison, shifts: tuple[float, ...]) -> Comparison:
    """GAN and Task-GAN with a seed per shift: Task-GAN's PSNR is 1 + shift above GAN's, give or take."""
    frame, rng = comparison.frame, np.random.default_rng(0)
    rows = [frame[frame["method"].isin(["input", "clean"])]]
    for seed, shift in enumerate(shifts):
        for method, gain in (("gan", 0.0), ("task_gan", 1.0 + shift)):
            one = frame[(frame["method"] == method) & (frame["seed"] == 0)].copy()
            noise = rng.normal(0, 0.1, len(one))
            rows.append(one.assign(seed=float(seed), psnr=25.0 + gain + noise))
    return replace(comparison, frame=pd.concat(rows, ignore_index=True), methods=("gan", "task_gan"), focus="task_gan")


def cell(table: Table, measure: str, key: str, difference: str = "Task-GAN − GAN") -> Cell:
    row = next(r for r in table.rows if r[0].text == measure and r[1].text == difference)
    return row[[c.key for c in table.columns].index(key)]


def test_every_measure_and_reader_is_tested_against_the_baseline(comparison: Comparison) -> None:
    table = comparisons_table(comparison)
    assert [c.key for c in table.columns] == [
        *("measure", "difference", "estimate", "p", "detectable", "subjects_80", "subjects_90")
    ]
    assert len(table.rows) == 2 * (6 + 3 + 3 + 3)
    assert {len(row) for row in table.rows} == {7}
    found = cell(table, "PSNR (dB)", "estimate")
    assert found.text.startswith("▲ +5")
    assert cell(table, "PSNR (dB)", "p").text == "< 0.001"
    assert cell(table, "PSNR (dB)", "subjects_80").text == "–"  # eight were enough


def test_p_values_are_corrected_over_the_methods(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    wave = np.tile([1.0, -1.0], 4)
    for method, gain in (("l1", 0.75), ("task_gan", 0.8), ("gan", 0.0)):
        hit = frame["method"] == method
        frame.loc[hit, "psnr"] = 20 + gain + np.resize(wave if gain else 0 * wave, hit.sum())
    holm = comparisons_table(replace(comparison, frame=frame))
    alone = comparisons_table(replace(comparison, frame=frame, inference=parse_inference([], "none")))
    one, other = (cell(alone, "PSNR (dB)", "p", d).value for d in ("Task-GAN − GAN", "L1 only − GAN"))
    assert one < other
    assert cell(holm, "PSNR (dB)", "p").value == pytest.approx(2 * one)
    assert cell(holm, "PSNR (dB)", "p", "L1 only − GAN").value == pytest.approx(max(2 * one, other))
    assert [c.heading for c in holm.columns][3] == "p (Holm)"


def test_a_claim_needs_the_interval_and_the_corrected_p(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    # t = 2.6 of eight subjects: p = .035 alone, .07 after Holm, while the interval excludes zero.
    values = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    gain = 2.6 * values.std(ddof=1) / np.sqrt(8)
    for method in ("l1", "task_gan", "gan"):
        hit = frame["method"] == method
        frame.loc[hit, "psnr"] = 20 + (0.0 if method == "gan" else 1.0) * np.resize(values + gain, hit.sum())
    changed = replace(comparison, frame=frame)
    holm = cell(comparisons_table(changed), "PSNR (dB)", "estimate")
    assert isinstance(holm.value, Interval)
    assert holm.value.excludes(0)
    assert holm.tone == "none"
    alone = replace(changed, inference=parse_inference([], "none"))
    assert cell(comparisons_table(alone), "PSNR (dB)", "estimate").tone == "better"
    assert "PSNR" not in report_verdict(changed).headline.split(";")[0]
    assert "PSNR" in report_verdict(alone).headline.split(";")[0]


def test_what_was_not_shown_says_how_many_subjects_it_would_take(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    values = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    deviation = values.std(ddof=1)
    for method, gain in (("l1", 0.5 * deviation), ("task_gan", 0.5 * deviation), ("gan", 0.0)):
        hit = frame["method"] == method
        frame.loc[hit, "psnr"] = 20 + np.resize(values * (gain > 0) + gain, hit.sum())
    table = comparisons_table(replace(comparison, frame=frame))
    # An effect of half an SD needs 34 and 44 subjects (G*Power); eight show 1.156 SD.
    assert cell(table, "PSNR (dB)", "subjects_80").value == 34
    assert cell(table, "PSNR (dB)", "subjects_90").value == 44
    assert cell(table, "PSNR (dB)", "detectable").value == pytest.approx(1.156 * deviation, rel=1e-3)
    told = " ".join(report_verdict(replace(comparison, frame=frame)).findings)
    assert "PSNR (+0.53 dB, 34 subjects)" in told


def test_errors_of_readers_are_planned_by_mcnemar(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    frame["judge_decision"] = frame["label"]
    wrong = (frame["method"] == "gan") & frame["case"].isin(["sub-01", "sub-02", "sub-05"])
    other = (frame["method"] == "task_gan") & (frame["case"] == "sub-08")
    frame.loc[wrong | other, "judge_decision"] = 1 - frame["label"]
    table = comparisons_table(replace(comparison, frame=frame))
    found = cell(table, "Judge: errors", "estimate")
    assert (found.text, found.small, found.value) == ("1 : 3", "of 8", pytest.approx(-0.25))
    # Exact p of 1 : 3; Holm holds it against one method, L1 with 0 : 3 (p .25) having come first.
    assert cell(table, "Judge: errors", "p").value == pytest.approx(0.625)
    assert cell(table, "Judge: errors", "p", "L1 only − GAN").value == pytest.approx(0.5)
    assert cell(table, "Judge: errors", "subjects_80").value == subjects_for_flips(1 / 8, 3 / 8)
    assert cell(table, "T: errors", "subjects_80", "L1 only − GAN").text != ""


def test_a_margin_is_tested_and_put_into_words(evaluations: list[Path]) -> None:
    told = load_comparison(evaluations, inference=parse_inference(["psnr=0.5", "suvr=0.5", "judge_auc=0.9"]))
    table = comparisons_table(told)
    assert cell(table, "PSNR (dB)", "equivalence").text == "not worse"
    assert cell(table, "|SUVR error|", "equivalence").text == "equivalent"
    assert cell(table, "|SUVR error|", "equivalence").small == "±0.5, p < 0.001"
    assert cell(table, "PSNR (dB)", "equivalence", "L1 only − GAN").text == "not shown"
    assert cell(table, "SSIM", "equivalence").text == "–"
    findings = " ".join(report_verdict(told).findings)
    assert (
        "Task-GAN and GAN, by the margins that were stated: PSNR not worse by 0.5 dB or more, equivalence not shown; "
        "the absolute SUVR error equivalent within ±0.5"
    ) in findings
    assert "L1 only and GAN, by the margins that were stated: equivalence of PSNR within ±0.5 dB not shown" in findings


def test_a_margin_needs_values(evaluations: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    frame = pd.read_csv(evaluations[0] / "cases.csv").assign(suvr_bias="")
    frame.to_csv(folder / "cases.csv", index=False)
    with pytest.raises(UserError, match="--margin suvr: the evaluations hold no value of the absolute SUVR error"):
        load_comparison([folder], inference=parse_inference(["suvr=0.02"]))


def test_seeds_that_agree_hold_and_seeds_that_do_not_are_said(comparison: Comparison) -> None:
    steady, moody = with_seeds(comparison, (0.0, 0.05, -0.05)), with_seeds(comparison, (0.0, 1.2, -1.2))
    for told, holds in ((steady, True), (moody, False)):
        found = cell(comparisons_table(told), "PSNR (dB)", "other_seeds")
        assert isinstance(found.value, Interval)
        assert found.value.excludes(0) == holds
        assert found.small == "3 seeds"
        words = report_verdict(told)
        assert cell(comparisons_table(told), "PSNR (dB)", "estimate").tone == "better"
        assert ("With another training run in mind not shown: PSNR" in words.headline) != holds
    findings = " ".join(report_verdict(moody).findings)
    assert "also with another training run in mind (3 seeds), holds for" in findings
    assert "and is not shown for PSNR." in findings


def test_without_three_common_seeds_there_is_no_column_of_seeds(comparison: Comparison) -> None:
    two = with_seeds(comparison, (0.0, 0.1))
    assert "other_seeds" not in [c.key for c in comparisons_table(two).columns]


def test_nothing_to_compare_and_small_p() -> None:
    assert p_text(0.0004) == "p < 0.001"
    assert (p_text(0.0044), p_text(0.044), p_text(float("nan"))) == ("p = 0.004", "p = 0.044", "")


def test_more_than_two_classes_have_neither_an_auc_nor_errors_of_the_suvr(comparison: Comparison) -> None:
    classes = dict(zip(sorted(comparison.frame["case"].unique()), [0.0, 1.0, 2.0] * 3, strict=False))
    frame = comparison.frame.assign(label=comparison.frame["case"].map(classes))
    kinds = tuple(replace(e, record={**e.record, "property": {"kind": "multi_class"}}) for e in comparison.evaluations)
    several = replace(comparison, frame=frame, evaluations=kinds)
    measures = {row[0].text for row in comparisons_table(several).rows}
    assert {"Judge: errors", "T: errors"} <= measures
    assert not {m for m in measures if "AUC" in m or m == "SUVR: errors"}
    assert {"SUVR: errors", "Judge: AUC"} <= {row[0].text for row in comparisons_table(comparison).rows}
    assert "mcnemar_suvr" not in [c.key for c in paired_readings_table(several).columns]
    assert all(row[7].text == "–" for row in readers_table(several).rows)
