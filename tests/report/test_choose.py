from dataclasses import replace
from pathlib import Path

import numpy as np

from taskgan.report.images import choose_cases, choose_detail, choose_slice, selection_rule
from taskgan.report.load import load_comparison
from taskgan.report.metrics import PSNR
from taskgan.report.paired import subject_differences


def test_median_and_worst_of_either_label(evaluations: list[Path]) -> None:
    comparison = load_comparison(evaluations)
    chosen = {c.criterion: c for c in choose_cases(comparison)}
    assert set(chosen) == {"median positive", "worst positive", "median negative", "worst negative"}
    gap = subject_differences(comparison, PSNR, "task_gan", "gan")
    positive = gap[["sub-01", "sub-02", "sub-03"]].sort_values()
    assert chosen["worst positive"].case == positive.index[0]
    assert chosen["median positive"].case == positive.index[1]
    assert chosen["worst negative"].psnr_difference == gap.drop(positive.index).min()
    assert "Task-GAN and GAN differ most" in selection_rule(comparison)


def test_without_labels_all_cases_are_one_group(evaluations: list[Path]) -> None:
    comparison = load_comparison(evaluations)
    unknown = replace(comparison, frame=comparison.frame.assign(label=np.nan))
    assert [c.criterion for c in choose_cases(unknown)] == ["median case", "worst case"]


def test_one_case_is_shown_once(evaluations: list[Path]) -> None:
    comparison = load_comparison(evaluations)
    alone = replace(comparison, frame=comparison.frame[comparison.frame["case"] == "sub-01"])
    assert [c.criterion for c in choose_cases(alone)] == ["median positive"]


def test_the_slice_has_the_most_cortex_and_else_the_most_uptake() -> None:
    clean = np.ones((6, 6, 4), np.float32)
    clean[..., 1] = 5
    cortex = np.zeros(clean.shape, bool)
    cortex[:3, :3, 2] = True
    cortex[:1, :1, 3] = True
    assert choose_slice(clean, cortex) == 2
    assert choose_slice(clean, None) == choose_slice(clean, np.zeros_like(cortex)) == 1


def test_the_detail_holds_the_largest_difference_and_stays_inside() -> None:
    for row, column in ((0, 0), (39, 29), (20, 10), (39, 0)):
        gap = np.zeros((40, 30), np.float32)
        gap[row, column] = -1
        rows, columns = choose_detail(gap)
        assert rows.start <= row < rows.stop
        assert columns.start <= column < columns.stop
        assert rows.start >= 0
        assert rows.stop <= 40
        assert columns.stop <= 30
        assert rows.stop - rows.start == columns.stop - columns.start == round(0.36 * 30)
