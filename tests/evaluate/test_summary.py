import numpy as np
import pandas as pd
import pytest

from taskgan.evaluate.cases import CASE_COLUMNS, TEXT_COLUMNS, flipped_rows, reader_summary, summarise


def table(*rows: dict[str, object]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows)).reindex(columns=list(CASE_COLUMNS))
    numbers = [c for c in CASE_COLUMNS if c not in TEXT_COLUMNS]
    frame[numbers] = frame[numbers].astype(float)
    return frame


def read(case: str, label: int, score: float, **more: object) -> dict[str, object]:
    judged = {"judge_probability": score, "judge_decision": int(score >= 0.5), "judge_mae": abs(score - label)}
    return {"case": case, "subject": case.split("_")[0], "label": label, "method": "m", **judged, **more}


def test_a_reading_counts_errors_both_ways() -> None:
    rows = table(read("a", 1, 0.9), read("b", 1, 0.4), read("c", 0, 0.1), read("d", 0, 0.2), read("e", 0, 0.7))
    found = reader_summary(rows, rows, "judge")
    assert (found.wrong, found.decisions) == (2, 5)
    assert found.sensitivity.estimate == 0.5
    assert found.specificity.estimate == pytest.approx(2 / 3)
    assert found.balanced_accuracy.estimate == pytest.approx((0.5 + 2 / 3) / 2)
    assert found.auc.estimate == pytest.approx(5 / 6)
    assert found.mae.estimate == pytest.approx(np.mean([0.1, 0.6, 0.1, 0.2, 0.7]))
    assert (found.flipped, found.flipped_cases) == (0, 0)


def test_always_negative_is_right_three_times_in_four_and_balanced_at_a_half() -> None:
    rows = table(*(read(str(i), int(i < 10), 0.0) for i in range(40)))
    found = reader_summary(rows, rows, "judge")
    assert found.error.estimate == 0.25
    assert found.balanced_accuracy.estimate == 0.5


def test_seeds_of_a_subject_do_not_narrow_the_exact_interval() -> None:
    once = table(*(read(str(i), 0, 0.9 * (i == 0)) for i in range(8)))
    thrice = pd.concat([once.assign(seed=s) for s in range(3)], ignore_index=True)
    assert reader_summary(thrice, once, "judge").error == reader_summary(once, once, "judge").error
    assert reader_summary(thrice, once, "judge").wrong == 3


def test_flips_are_counted_against_the_clean_image_and_not_the_label() -> None:
    clean = table(read("a", 1, 0.2), read("b", 0, 0.2), read("c", 0, 0.1))
    rows = table(read("a", 1, 0.2), read("b", 0, 0.8), read("d", 0, 0.9))
    assert list(flipped_rows(rows, clean, "judge")) == [False, True, False]  # d has no clean row


def test_unknown_labels_leave_no_error_but_an_mae_of_nothing() -> None:
    rows = table({**read("a", 0, 0.9), "label": np.nan, "judge_mae": np.nan})
    found = reader_summary(rows, rows, "judge")
    assert found.decisions == 0
    assert np.isnan(found.error.estimate)
    assert np.isnan(found.mae.estimate)


def test_the_summary_is_plain_and_has_no_nan() -> None:
    frame = table(
        read("a", 1, 0.9, psnr=30.0, method="clean"), read("a", 1, 0.9, psnr=np.inf), read("b", 0, 0.1, psnr=20.0)
    )
    found = summarise(frame)
    assert found["m"]["quality"]["psnr"]["estimate"] == 20.0
    assert found["m"]["quality"]["ssim"]["estimate"] is None
    assert found["m"]["readers"]["judge"]["wrong"] == 0
    assert found["m"]["suvr"]["count"] == 0
