import numpy as np
import pandas as pd
import pytest
from scipy import stats

from taskgan.audit.flips import corrected_tests, decision_fitness, flipped_cases, paired_tests
from taskgan.judges.metrics import balanced_accuracy, judge_metrics
from taskgan.judges.readings import Reading, Readings, readings_table


def readings(**scores: list[float]) -> Readings:
    """Made-up scores of one judge: ``label`` and one list an image, a case a subject."""
    labels = scores.pop("label")
    rows = []
    for image, values in scores.items():
        for k, (value, label) in enumerate(zip(values, labels, strict=True)):
            decision = float(value > 0.5) if value == value else value
            key = (f"c{k}", f"s{k}", "test", image, "judge", "label")
            rows.append(Reading(*key, value, label, label, decision, 0.5))
    return Readings(readings_table(rows))


LABEL = [0.0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
CLEAN = [0.1, 0.2, 0.1, 0.3, 0.7, 0.9, 0.8, 0.9, 0.7, 0.4]  # wrong on c4 and c9
OURS = [0.1, 0.6, 0.7, 0.3, 0.3, 0.9, 0.2, 0.9, 0.7, 0.4]  # c1, c2 up; c4 (towards the label), c6 down
THEIRS = [0.1, 0.2, 0.7, 0.3, 0.7, 0.9, 0.8, 0.9, 0.7, 0.4]  # c2 up


def test_flips_and_errors_are_counted_apart() -> None:
    found = judge_metrics(readings(label=LABEL, clean=CLEAN, gan=OURS), "judge", "gan")
    assert (found.flipped, found.to_positive, found.to_negative, found.subjects) == (4, 2, 2, 10)
    assert found.flips.estimate == pytest.approx(0.4)
    assert (found.flips.low, found.flips.high) == pytest.approx(
        stats.binomtest(4, 10).proportion_ci(method="exact"), abs=1e-9
    )
    assert found.error.estimate == pytest.approx(0.4)  # c1, c2, c6, c9: a flip towards the label is none
    assert (found.cases, found.flipped_cases) == (10, 4)
    assert found.sensitivity.estimate == pytest.approx(3 / 5)
    assert found.specificity.estimate == pytest.approx(3 / 5)


def test_a_subject_counts_once_whatever_its_cases() -> None:
    one = readings(label=LABEL, clean=CLEAN, gan=OURS)
    table = one.table.copy()
    second = table[table["case"] == "c1"].assign(case="c1b")
    second.loc[second["image"] == "gan", ["prediction", "decision"]] = [0.1, 0.0]  # the other dose of s1 does not flip
    both = judge_metrics(Readings(pd.concat([table, second])), "judge", "gan")
    assert (both.subjects, both.flipped, both.cases, both.flipped_cases) == (10, 4, 11, 4)
    assert both.flips.estimate == pytest.approx(0.4)  # the same four of ten that McNemar counts


def test_mcnemar_counts_subjects_in_whom_two_methods_differ() -> None:
    made = readings(label=LABEL, clean=CLEAN, gan=OURS, l1=THEIRS)
    flips, errors = paired_tests(made, "judge", "gan", "l1")
    assert (flips.measure, flips.only_audited, flips.only_other) == ("flips", 3, 0)
    assert flips.p == pytest.approx(0.25)
    assert (errors.only_audited, errors.only_other) == (2, 1)  # c1 and c6; c4
    assert errors.p == 1.0
    both = corrected_tests([flips, errors, flips])
    assert [one.corrected for one in both] == pytest.approx([0.75, 1.0, 0.75])


def test_the_list_names_direction_and_margin_largest_first() -> None:
    table = flipped_cases(readings(label=LABEL, clean=CLEAN, gan=OURS), "gan")
    assert list(table["case"][:1]) == ["c6"]
    assert set(table["case"]) == {"c1", "c2", "c4", "c6"}
    row = table.set_index("case").loc["c1"]
    assert row["judge_direction"] == "negative to positive"
    assert row["judge_margin"] == pytest.approx(0.1)
    assert (row["judge_clean"], row["judge_restored"], row["flipped_by"]) == (0.2, 0.6, "judge")


def test_nobody_flips_on_the_clean_image_itself() -> None:
    made = readings(label=LABEL, clean=CLEAN, gan=CLEAN)
    assert judge_metrics(made, "judge", "gan").flipped == 0
    assert len(flipped_cases(made, "gan")) == 0


def test_unknown_readings_do_not_flip() -> None:
    lost = [float("nan"), *OURS[1:]]
    found = judge_metrics(readings(label=LABEL, clean=CLEAN, gan=lost), "judge", "gan")
    assert (found.subjects, found.flipped) == (9, 4)


@pytest.mark.parametrize(
    ("clean", "fit", "why"),
    [
        ([0.1, 0.2, 0.1, 0.3, 0.2, 0.9, 0.8, 0.9, 0.7, 0.8], True, "reads the clean images"),
        ([0.4, 0.1, 0.9, 0.8, 0.2, 0.1, 0.9, 0.3, 0.7, 0.6], False, "cannot read the clean images"),
        ([0.1, 0.2, 0.1, 0.2, 0.1, 0.4, 0.3, 0.4, 0.3, 0.45], False, "not shown to be better than chance"),
    ],
    ids=["good", "random", "ranks but never says positive"],
)
def test_a_judge_has_to_read_clean_images(clean: list[float], fit: bool, why: str) -> None:
    found = decision_fitness("judge", judge_metrics(readings(label=LABEL, clean=clean), "judge", "clean"))
    assert found.fit is fit
    assert why in found.reason


def test_without_both_labels_nobody_is_a_judge() -> None:
    found = decision_fitness("judge", judge_metrics(readings(label=[0.0] * 4, clean=[0.1] * 4), "judge", "clean"))
    assert not found.fit
    assert "do not have both labels" in found.reason


def test_balanced_accuracy_is_the_posterior_of_the_mean_of_two_betas() -> None:
    found = balanced_accuracy([(8, 10), (27, 30)])
    assert found.estimate == pytest.approx((0.8 + 0.9) / 2)
    rng = np.random.default_rng(0)
    drawn = (rng.beta(9, 3, 200_000) + rng.beta(28, 4, 200_000)) / 2
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.003)
    assert balanced_accuracy([(0, 10), (30, 30)]).estimate == 0.5
