import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from taskgan.core.errors import UserError
from taskgan.stats.conformal import (
    ConformalCalibration,
    conformal_quantile,
    min_calibration_subjects,
    write_calibrations,
)


def test_the_quantile_is_the_finite_sample_one() -> None:
    scores = [float(k) for k in range(1, 10)]  # n = 9
    assert conformal_quantile(scores, 0.1) == 9  # ⌈10 · .9⌉ = 9th
    assert conformal_quantile(scores, 0.2) == 8
    assert conformal_quantile(scores, 0.5) == 5
    assert conformal_quantile(scores, 0.05) == math.inf  # the 10th of 9
    assert conformal_quantile([], 0.5) == math.inf


@pytest.mark.parametrize("alpha", [0.5, 0.2, 0.1, 0.05, 0.01, 1 / 3])
def test_the_number_that_is_needed_is_the_first_that_suffices(alpha: float) -> None:
    count = min_calibration_subjects(alpha)
    assert math.isfinite(conformal_quantile([0.0] * count, alpha))
    assert conformal_quantile([0.0] * (count - 1), alpha) == math.inf


@pytest.mark.parametrize(("count", "alpha"), [(9, 0.1), (20, 0.2), (39, 0.1)])
def test_intervals_cover_exchangeable_subjects_as_promised(count: int, alpha: float) -> None:
    rng = np.random.default_rng(5)
    trials, hits = 4000, 0
    for _ in range(trials):
        truth = rng.gamma(2.0, size=count + 1)
        seen = 0.7 * truth + rng.standard_t(3, size=count + 1)  # biased, heavy tails: it must not matter
        found = ConformalCalibration.from_values(seen[:-1], truth[:-1], alpha=alpha)
        low, high = found.interval(float(seen[-1]))
        hits += low <= truth[-1] <= high
    rank = math.ceil((count + 1) * (1 - alpha) - 1e-9)
    exact = rank / (count + 1)  # what theory says for continuous scores
    assert stats.binomtest(hits, trials, exact).pvalue > 0.001
    assert exact >= 1 - alpha - 1e-12


@pytest.mark.parametrize("by_class", [True, False])
def test_label_sets_cover_and_by_class_covers_the_rarer_label_too(by_class: bool) -> None:
    rng = np.random.default_rng(1)
    alpha, hits, of = 0.2, {0: 0, 1: 0}, {0: 0, 1: 0}
    for _ in range(1500):
        label = rng.random(61) < 0.25
        logit = np.where(label, rng.normal(0.2, 1.0, 61), rng.normal(-1.5, 1.0, 61))  # positives read badly
        p = 1 / (1 + np.exp(-logit))
        found = ConformalCalibration.from_labels(p[:-1], label[:-1], alpha=alpha, target="j", by_class=by_class)
        y = int(label[-1])
        of[y] += 1
        hits[y] += y in found.labels(float(p[-1]))
    total = (hits[0] + hits[1]) / 1500
    assert total > 1 - alpha - 0.03
    rare = hits[1] / of[1]
    assert rare > 1 - alpha - 0.06 if by_class else rare < 0.6


def test_sets_abstain_where_the_judge_is_unsure_and_are_single_where_it_is_sure() -> None:
    p = np.concatenate([np.linspace(0.05, 0.6, 19), np.linspace(0.4, 0.95, 19)])
    label = np.repeat([0, 1], 19)
    found = ConformalCalibration.from_labels(p, label, alpha=0.1, target="judge")
    assert found.labels(0.5) == {0, 1}
    assert found.labels(0.99) == {1}
    assert found.labels(0.01) == {0}
    sure = ConformalCalibration.from_labels(np.repeat([0.1, 0.9], 19), label, alpha=0.1, target="judge")
    assert sure.labels(0.5) == frozenset()  # like neither


def test_too_few_subjects_exclude_nothing_and_say_how_many_would_do() -> None:
    few = ConformalCalibration.from_values([1.0] * 8, [1.1] * 8, alpha=0.1)
    assert few.interval(1.0) == (-math.inf, math.inf)
    assert "8 calibration subjects cannot promise 90 %: at least 9 are needed" in few.shortage
    labels = ConformalCalibration.from_labels([0.1] * 12 + [0.9] * 3, [0] * 12 + [1] * 3, alpha=0.1, target="judge")
    assert labels.labels(0.01) == {0, 1}
    assert "3 positive calibration subjects" in labels.shortage
    assert "at least 9 of each label" in labels.shortage
    assert ConformalCalibration.from_values([1.0] * 9, [1.1] * 9, alpha=0.1).shortage == ""


def test_saved_and_applied_to_a_new_image(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    values = ConformalCalibration.from_values(rng.random(30), rng.random(30), alpha=0.1)
    labels = ConformalCalibration.from_labels(rng.random(30), rng.random(30) > 0.5, alpha=0.1, target="convnet-7")
    write_calibrations(tmp_path / "conformal.yaml", [values, labels], {"method": "gan"})
    assert ConformalCalibration.load(tmp_path).interval(1.3) == values.interval(1.3)
    again = ConformalCalibration.load(tmp_path / "conformal.yaml", "convnet-7")
    assert [again.labels(p) for p in (0.2, 0.7)] == [labels.labels(p) for p in (0.2, 0.7)]
    with pytest.raises(UserError, match=r"calibrates SUVR, convnet-7, not 'T'"):
        ConformalCalibration.load(tmp_path, "T")
    with pytest.raises(ValueError, match="expected a value"):
        again.interval(1.0)
    with pytest.raises(ValueError, match="expected labels"):
        values.labels(0.5)


@pytest.mark.parametrize(
    "text",
    [
        "format: 2\ncalibrations: [1]",
        "format: 1\ncalibrations: [{target: a}]",
        "format: 1\ncalibrations: [{target: a, kind: odd, alpha: 0.1, scores: {all: [1]}}]",
        "format: 1\ncalibrations: [{target: a, kind: labels, alpha: 2, scores: {all: [1]}}]",
        "format: 1\ncalibrations: [{target: a, kind: labels, alpha: 0.1, scores: 3}]",
    ],
)
def test_what_is_no_calibration_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "conformal.yaml").write_text(text)
    with pytest.raises(UserError, match=r"conformal\.yaml"):
        ConformalCalibration.load(tmp_path)
