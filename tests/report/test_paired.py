from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from taskgan.metrics.roc import auc
from taskgan.report import paper
from taskgan.report.load import Comparison, load_comparison
from taskgan.report.metrics import JUDGE, JUDGE_AUC, PSNR, SUVR
from taskgan.report.paired import (
    compare_methods,
    discordance,
    mean_auc,
    method_difference,
    seed_differences,
    subject_differences,
)


@pytest.fixture
def comparison(evaluations: list[Path]) -> Comparison:
    return load_comparison(evaluations)


def test_seeds_are_averaged_before_subjects_are_paired(comparison: Comparison) -> None:
    gap = subject_differences(comparison, PSNR, "task_gan", "gan")
    gan, task = comparison.rows("gan"), comparison.rows("task_gan").set_index("case")["psnr"]
    first, second = (gan[gan["seed"] == s].set_index("case")["psnr"] for s in (0, 1))
    assert len(gap) == 8
    assert gap["sub-03"] == pytest.approx(task["sub-03"] - (first["sub-03"] + second["sub-03"]) / 2)


def test_a_method_does_not_differ_from_itself(comparison: Comparison) -> None:
    found = method_difference(comparison, PSNR, "gan", "gan").interval
    assert (found.estimate, found.low, found.high) == (0, 0, 0)
    assert not found.excludes(0)


def test_the_order_of_the_two_turns_the_sign(comparison: Comparison) -> None:
    there, back = (method_difference(comparison, JUDGE, *pair).interval for pair in (("l1", "gan"), ("gan", "l1")))
    assert there.estimate == pytest.approx(-back.estimate)
    assert there.low == pytest.approx(-back.high, abs=0.01)


def test_pairing_is_narrower_than_two_intervals(comparison: Comparison) -> None:
    from taskgan.evaluate.cases import quality_intervals

    widths = [quality_intervals(comparison.rows(m))["psnr"] for m in ("gan", "task_gan")]
    found = method_difference(comparison, PSNR, "task_gan", "gan").interval
    assert found.high - found.low < min(i.high - i.low for i in widths)


def test_the_suvr_error_is_absolute(comparison: Comparison) -> None:
    gap = subject_differences(comparison, SUVR, "gan", "input")
    bias = comparison.rows("gan").groupby("case")["suvr_bias"].apply(lambda b: b.abs().mean())
    degraded = comparison.rows("input").set_index("case")["suvr_bias"].abs()
    assert np.allclose(gap, (bias - degraded)[gap.index])


def test_discordant_errors_are_counted_by_subject(comparison: Comparison) -> None:
    frame = comparison.frame.copy()
    frame["judge_decision"] = frame["label"]
    wrong = (frame["method"] == "gan") & frame["case"].isin(["sub-01", "sub-02", "sub-05"])
    half = (frame["method"] == "gan") & (frame["case"] == "sub-06") & (frame["seed"] == 1)
    other = (frame["method"] == "task_gan") & frame["case"].isin(["sub-01", "sub-08"])
    frame.loc[wrong | half | other, "judge_decision"] = 1 - frame["label"]
    found = discordance(replace(comparison, frame=frame), "judge", "task_gan", "gan")
    assert (found.only_method, found.only_baseline) == (1, 2)
    assert found.p == 1.0


def test_the_papers_differences() -> None:
    assert paper.difference("psnr", "task_gan", "gan") == pytest.approx(1.50)
    assert paper.difference("ssim", "task_gan", "gan") == pytest.approx(0.008)
    assert paper.difference("task_mae", "task_gan", "gan") == pytest.approx(-0.010)
    assert paper.difference("psnr", "l1", "gan") is None
    assert paper.difference("suvr_error", "task_gan", "gan") is None


def test_seeds_are_paired_by_their_number(comparison: Comparison) -> None:
    assert list(seed_differences(comparison, PSNR, "task_gan", "gan").columns) == [0.0]
    against_input = seed_differences(comparison, PSNR, "gan", "input")
    assert list(against_input.columns) == [0.0, 1.0]
    assert np.allclose(against_input.mean(axis=1), subject_differences(comparison, PSNR, "gan", "input"))


def test_the_auc_is_the_mean_of_the_seeds_and_its_difference_is_paired(comparison: Comparison) -> None:
    gan = comparison.rows("gan")
    by_seed = [auc(rows["judge_probability"], rows["label"]) for _, rows in gan.groupby("seed")]
    assert mean_auc(comparison, JUDGE_AUC, "gan").estimate == pytest.approx(np.mean(by_seed))
    frame = comparison.frame.copy()
    frame["judge_probability"] = np.random.default_rng(0).uniform(size=len(frame)) + 0.2 * frame["label"]
    noisy = replace(comparison, frame=frame)
    gap = method_difference(noisy, JUDGE_AUC, "task_gan", "gan")
    means = [mean_auc(noisy, JUDGE_AUC, m).estimate for m in ("task_gan", "gan")]
    assert gap.interval.estimate == pytest.approx(means[0] - means[1])
    assert gap.interval.low < gap.interval.estimate < gap.interval.high
    assert gap.count == 8


def test_a_family_is_all_methods_against_one_baseline(comparison: Comparison) -> None:
    found = compare_methods(comparison, PSNR, "gan")
    assert list(found) == ["l1", "task_gan"]
    assert (found["task_gan"].verdict, found["l1"].verdict) == ("better", "worse")
    assert found["task_gan"].p >= found["task_gan"].difference.p
    assert found["l1"].equivalence is None
    assert list(compare_methods(comparison, PSNR, "input")) == ["l1", "gan", "task_gan"]
