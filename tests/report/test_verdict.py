import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taskgan.report.load import Comparison, load_comparison
from taskgan.report.metrics import parse_inference
from taskgan.report.verdict import report_verdict


@pytest.fixture
def comparison(evaluations: list[Path]) -> Comparison:
    return load_comparison(evaluations)


def test_it_says_what_was_compared(comparison: Comparison) -> None:
    told = report_verdict(comparison)
    assert told.compared == (
        "Compared: L1 only, GAN and Task-GAN on 8 test subjects (3 positive, 5 negative), training seeds 0, 1; "
        "baseline GAN."
    )
    assert told.headline.startswith("Task-GAN against GAN: better in PSNR")


def test_three_sentences_and_badges_come_first(comparison: Comparison) -> None:
    verdict = report_verdict(comparison)
    first, meaning, basis = verdict.sentences
    assert first == verdict.headline
    assert re.fullmatch(r"The judge decides \d of 8 subjects otherwise by Task-GAN than by clean images\.", meaning)
    assert re.fullmatch(r"This rests on 8 test subjects and 1 training run of Task-GAN; \d remarks below .*", basis)
    badges = verdict.badges
    assert [row[0].text for row in badges.rows] == [
        "L1 only − GAN",
        "Task-GAN − GAN",
        *(f"{method} − Input" for method in ("L1 only", "GAN", "Task-GAN")),
    ]
    words = {cell.text for row in badges.rows for cell in row[1:]}
    assert {"better", "not shown"} <= words <= {"better", "worse", "not shown", "–"}
    psnr = [column.key for column in badges.columns].index("psnr")
    assert badges.rows[1][psnr].tone == "badge better"
    assert badges.rows[1][psnr].small.startswith("+")


def test_without_a_judge_the_meaning_is_the_gain_over_the_input(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    frame["judge_decision"] = float("nan")
    assert report_verdict(replace(comparison, frame=frame)).sentences[1].startswith("Task-GAN against Input: better in")


def test_equal_methods_do_not_differ(comparison: Comparison) -> None:
    rows = comparison.frame
    gan = rows[(rows["method"] == "gan") & (rows["seed"] == 0)]
    rng = np.random.default_rng(0)
    twin = gan.assign(method="task_gan", seed=0.0, psnr=gan["psnr"] + rng.normal(0, 0.1, len(gan)))
    others = rows[rows["method"].isin(["input", "clean"])]
    frame = pd.concat([twin, gan, others], ignore_index=True)
    same = replace(comparison, frame=frame, methods=("gan", "task_gan"))
    told = report_verdict(same)
    assert told.headline == "No difference between Task-GAN and GAN is shown in any measure."
    assert any(f.startswith("Task-GAN against GAN: no difference is shown in PSNR (") for f in told.findings)


def test_flips_are_named_and_their_absence_too(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    for name in ("suvr", "task", "judge"):
        frame[f"{name}_decision"] = frame["label"]
    steady = report_verdict(replace(comparison, frame=frame))
    assert steady.findings[-1] == "L1 only, GAN and Task-GAN flip the reading of no case."
    hit = (frame["method"] == "gan") & frame["case"].isin(["sub-02", "sub-07"])
    frame.loc[hit, "suvr_decision"] = 1 - frame["label"]
    told = report_verdict(replace(comparison, frame=frame)).findings
    assert (
        "Compared with the clean image, with one of its seeds at least, GAN moves across the SUVR cut sub-02 and "
        "sub-07." in told
    )
    frame.loc[(frame["method"] == "input") & (frame["case"] == "sub-03"), "judge_decision"] = 0
    told = report_verdict(replace(comparison, frame=frame)).findings
    assert "Of 8 cases the degraded input itself flips the reading of 0 by the SUVR, 1 by the judge and 0 by T." in told


def test_reading_worse_than_the_input_is_said_beside_a_higher_psnr(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    frame["suvr_bias"] = np.where(frame["method"] == "gan", 0.09 + frame["psnr"] / 1e4, 0.01)
    told = next(f for f in report_verdict(replace(comparison, frame=frame)).findings if "SUVR error from" in f)
    assert re.search(r"GAN \+0\.08\d \[.*\] \(worse\)", told)
    assert told.endswith("and Task-GAN +0.000 [+0.000, +0.000].")


def test_seeds_count_by_method(comparison: Comparison) -> None:
    rows = comparison.frame
    more = [rows[(rows["method"] == "gan") & (rows["seed"] == 0)].assign(seed=s) for s in (2.0, 3.0)]
    told = report_verdict(replace(comparison, frame=pd.concat([rows, *more], ignore_index=True))).warnings
    assert any("Fewer than three training seeds of a method" in w for w in told)


def test_what_another_seed_changed_is_said(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    frame.loc[frame["method"] == "gan", "psnr"] = 25.0
    frame.loc[(frame["method"] == "gan") & (frame["seed"] == 1), "psnr"] = 26.5
    told = " ".join(report_verdict(replace(comparison, frame=frame)).warnings)
    assert "Between training seeds of one method the means differ: PSNR by up to 1.50 dB, the judge" in told
    frame = frame[~((frame["method"] == "gan") & (frame["seed"] == 1))]
    assert "Between training seeds" not in " ".join(report_verdict(replace(comparison, frame=frame)).warnings)


def test_a_judge_that_errs_on_clean_is_called_weak(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    frame["judge_decision"] = frame["label"]
    assert not any("The judge errs" in w for w in report_verdict(replace(comparison, frame=frame)).warnings)
    frame.loc[(frame["method"] == "clean") & (frame["case"] == "sub-01"), "judge_decision"] = 0
    told = report_verdict(replace(comparison, frame=frame)).warnings
    assert any("The judge errs on 1 of 8 clean volumes: of its errors on restored images" in w for w in told)


def test_what_weakens_the_findings_is_said(comparison: Comparison) -> None:
    told = " ".join(report_verdict(comparison).warnings)
    assert "T taught Task-GAN" in told
    assert "With 8 test subjects, no error at all is still compatible with an error rate of 37 %." in told
    assert "Fewer than three training seeds" in told


def test_the_shrinking_is_said(comparison: Comparison) -> None:
    told = " ".join(report_verdict(comparison).findings)
    assert re.search(r"GAN 0\.(5|6)\d \[", told)
    assert "pull subjects together" in told


def test_without_readers_nothing_is_claimed_about_the_diagnosis(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    frame.loc[:, [c for c in frame if c.endswith(("_decision", "_mae"))]] = float("nan")
    told = report_verdict(replace(comparison, frame=frame)).findings
    assert told[-1].startswith("No reader was at hand")


def test_of_too_few_subjects_nothing_is_claimed(comparison: Comparison) -> None:
    frame = comparison.frame[comparison.frame["case"].isin(["sub-01", "sub-04"])]
    told = report_verdict(replace(comparison, frame=frame))
    assert told.headline == "Too few subjects to tell Task-GAN from GAN: no measure has an interval."
    assert any("without an interval, hence no claim: PSNR (+5" in f for f in told.findings)
    assert not any("(better)" in f or "is better (" in f for f in told.findings)
    assert any("With 2 test subjects there are no 95 % intervals" in w for w in told.warnings)


def test_methods_without_a_common_image_are_not_said_to_be_alike(comparison: Comparison) -> None:
    frame = comparison.frame
    first = sorted(frame["subject"].unique())[:6]
    mine, theirs = (frame["method"] == m for m in ("task_gan", "gan"))
    apart = frame[~(mine & frame["subject"].isin(first)) & ~(theirs & ~frame["subject"].isin(first))]
    told = report_verdict(replace(comparison, frame=apart))
    assert told.headline == "Task-GAN and GAN have no image in common: there is nothing to compare."
    assert "Task-GAN against GAN: no image in common, hence nothing to compare." in told.findings


def test_less_error_is_better_and_less_psnr_is_worse(comparison: Comparison) -> None:
    told = {f.split(":")[0]: f for f in report_verdict(comparison).findings}
    assert "relative RMSE is better (−0." in told["Task-GAN against GAN"]
    assert "PSNR is worse (−" in told["L1 only against GAN"]
    assert "relative RMSE is worse (+0." in told["L1 only against GAN"]


def test_what_the_correction_takes_back_is_not_said_to_be_inside_its_interval(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    values = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    gain = 2.6 * values.std(ddof=1) / np.sqrt(8)  # p = .035 alone, .07 after Holm
    for method in ("l1", "task_gan", "gan"):
        hit = frame["method"] == method
        frame.loc[hit, "psnr"] = 20 + (0.0 if method == "gan" else 1.0) * np.resize(values + gain, hit.sum())
    told = next(
        f for f in report_verdict(replace(comparison, frame=frame)).findings if f.startswith("Task-GAN against GAN")
    )
    assert re.search(r"ero is outside the interval, but .* hence no claim: PSNR \(\+0\.98 dB, p = 0\.07\d\)", told)
    assert "no difference" not in told.split("PSNR")[0].lower()


def test_gains_over_the_input_are_marked_by_the_same_rule(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    values = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0]) / 100
    gain = 2.6 * values.std(ddof=1) / np.sqrt(8)
    for method in ("l1", "task_gan", "gan", "input"):
        hit = frame["method"] == method
        frame.loc[hit, "judge_mae"] = 0.3 - (method != "input") * np.resize(values + gain, hit.sum())
    changed = replace(comparison, frame=frame)
    told = next(f for f in report_verdict(changed).findings if f.startswith("Change of the judge"))
    assert "better)" not in told
    alone = report_verdict(replace(changed, inference=parse_inference([], "none")))
    assert next(f for f in alone.findings if f.startswith("Change of the judge")).count("(better)") == 3


def with_seeds(comparison: Comparison, shifts: list[float]) -> Comparison:
    """Task-GAN is GAN but for a shift in PSNR that each seed has its own of."""
    rows = comparison.frame
    gan = rows[(rows["method"] == "gan") & (rows["seed"] == 0)]
    noise = np.random.default_rng(0).normal(0, 0.05, len(gan))
    made = [gan.assign(seed=float(k)) for k in range(len(shifts))]
    made += [
        gan.assign(method="task_gan", seed=float(k), psnr=gan["psnr"] + shift + noise) for k, shift in enumerate(shifts)
    ]
    frame = pd.concat([*made, rows[rows["method"].isin(["input", "clean"])]], ignore_index=True)
    return replace(comparison, frame=frame, methods=("gan", "task_gan"))


def test_equivalence_that_another_seed_could_undo_is_said_to_be_of_these_runs(comparison: Comparison) -> None:
    stated = parse_inference(["psnr=0.5"])
    apart = report_verdict(replace(with_seeds(comparison, [-0.9, 0.0, 0.9]), inference=stated))
    assert (
        "Task-GAN and GAN, by the margins that were stated: PSNR equivalent within ±0.5 dB (of these training runs; "
        "with another in mind not shown)." in apart.findings
    )
    alike = report_verdict(replace(with_seeds(comparison, [-0.01, 0.0, 0.01]), inference=stated))
    assert any(f.endswith("PSNR equivalent within ±0.5 dB.") for f in alike.findings)


def test_a_claim_of_few_seeds_is_of_these_runs(comparison: Comparison) -> None:
    told = report_verdict(with_seeds(comparison, [1.0]))
    assert told.headline.startswith("Task-GAN against GAN: better in PSNR")
    assert told.headline.endswith("Said of these training runs: too few seeds to speak of others.)")
    assert "Said of" not in report_verdict(with_seeds(comparison, [1.0, 1.1, 0.9])).headline


def test_several_measures_are_said_not_to_be_corrected_for_each_other(comparison: Comparison) -> None:
    assert any(
        w.startswith("Each of the 5 measures is tested by itself at 5 %") for w in report_verdict(comparison).warnings
    )


def test_t_is_no_evidence_for_any_variant_that_it_taught(comparison: Comparison) -> None:
    frame = comparison.frame.replace({"method": {"task_gan": "task_gan_frozen"}})
    methods = ("l1", "gan", "task_gan_frozen")
    told = report_verdict(replace(comparison, frame=frame, methods=methods, focus="task_gan_frozen")).warnings
    assert any(w.startswith("T taught Task-GAN, frozen, so") for w in told)
    untaught = report_verdict(replace(comparison, methods=("l1", "gan"), focus="l1")).warnings
    assert not any("T taught" in w for w in untaught)
