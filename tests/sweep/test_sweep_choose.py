import numpy as np
import pandas as pd
import pytest

from taskgan.core.errors import UserError
from taskgan.sweep.choose import Candidate, choose_setting, parse_rule

SUBJECTS = [f"s{i}" for i in range(10)]
SPREAD = np.linspace(-1, 1, 10)
WAVE = np.tile([0.01, -0.01], 5)


def candidate(
    label: str, psnr: float, judge: float, *, suvr: float = 0.1, wave: float = 1.0, **more: bool
) -> Candidate:
    """Subjects differ far more than settings do; ``wave`` is what is not common to all settings."""
    figures = {
        "psnr": psnr + SPREAD,
        "judge_mae": judge + 0.2 * SPREAD + wave * WAVE,
        "suvr_error": suvr + 0.05 * SPREAD,
    }
    return Candidate(label, {k: pd.Series(v, index=SUBJECTS) for k, v in figures.items()}, **more)


FIELD = [
    candidate("best psnr", 28.0, 0.30, suvr=0.3),
    candidate("near", 27.75, 0.25, wave=-1.0),
    candidate("close second", 27.8, 0.255),
    candidate("best judge", 27.0, 0.20),
    candidate("best suvr", 26.0, 0.40, suvr=0.05),
]


@pytest.mark.parametrize(
    ("rule", "expected"), [("balanced", "near"), ("psnr", "best psnr"), ("judge", "best judge"), ("suvr", "best suvr")]
)
def test_each_rule_chooses_by_what_it_says(rule: str, expected: str) -> None:
    assert choose_setting(FIELD, parse_rule(rule)).chosen == expected


def test_the_margin_decides_who_is_eligible() -> None:
    found = choose_setting(FIELD, "balanced", within=0.3)
    assert found.eligible == {"best psnr", "near", "close second"}
    assert choose_setting(FIELD, "balanced", within=0.0).chosen == "best psnr"
    assert choose_setting(FIELD, "balanced", within=5.0).chosen == "best judge"


def test_the_margin_itself_is_inside() -> None:
    field = [candidate("a", 28.0, 0.3), candidate("b", 27.7, 0.2)]
    assert choose_setting(field, "balanced", within=0.3).chosen == "b"


def test_ties_are_paired_differences_that_hold_zero() -> None:
    found = choose_setting(FIELD)
    gap = found.differences["close second"]
    assert gap.estimate == pytest.approx(0.005)
    assert gap.low < 0 < gap.high
    assert found.ties == {"close second"}
    # Subjects spread by 0.2, ten times the gap: unpaired, no difference would ever be seen.
    assert found.differences["best psnr"].low > 0
    assert found.psnr_differences["best psnr"].estimate == pytest.approx(0.25)


def test_redraws_show_how_firm_the_choice_is() -> None:
    found = choose_setting(FIELD)
    assert sum(found.selection_rates.values()) == pytest.approx(1)
    assert found.selection_rates["near"] > found.selection_rates["close second"] > 0
    assert found.selection_rates["best psnr"] == 0
    twins = choose_setting([candidate("a", 28.0, 0.2500, wave=1.0), candidate("b", 28.0, 0.2501, wave=-1.0)])
    assert 0.3 < twins.selection_rates["b"] < 0.7


def test_what_diverged_and_the_reference_are_no_choice() -> None:
    field = [
        candidate("a", 28.0, 0.3),
        Candidate("diverged", {}, complete=False),
        candidate("half", 30.0, 0.1, complete=False),
        candidate("reference", 31.0, 0.1, reference=True),
    ]
    found = choose_setting(field)
    assert found.chosen == "a"
    assert found.eligible == {"a"}  # the reference's PSNR is no bar either
    assert found.differences["reference"].estimate == pytest.approx(-0.2)
    assert set(found.selection_rates) == {"a"}
    assert "diverged" not in found.ties


def test_too_few_subjects_cannot_tell_settings_apart() -> None:
    few = [Candidate(one.label, {k: v.iloc[:4] for k, v in one.subject_values.items()}) for one in FIELD]
    found = choose_setting(few)
    assert found.chosen == "near"
    assert found.ties == {one.label for one in FIELD} - {"near"}


def test_settings_are_compared_on_the_subjects_that_all_have() -> None:
    lame = candidate("lame", 28.0, 0.3)
    figures = {k: v.drop("s9") for k, v in lame.subject_values.items()}
    other = candidate("other", 28.0, 0.25)
    other.subject_values["judge_mae"].loc["s9"] = 99.0  # a subject that the first lacks cannot decide
    assert choose_setting([Candidate("lame", figures), other], "judge").chosen == "other"


def test_without_the_figures_it_says_what_to_do() -> None:
    blind = [Candidate("a", {**FIELD[0].subject_values, "judge_mae": pd.Series(np.nan, index=SUBJECTS)})]
    with pytest.raises(UserError, match="judge_mae is unknown for a.*--choose psnr"):
        choose_setting(blind)
    assert choose_setting(blind, "psnr").chosen == "a"
    with pytest.raises(UserError, match="no setting of the sweep has come to an end"):
        choose_setting([Candidate("a", {}, complete=False)])
    with pytest.raises(UserError, match="expected one of balanced, psnr, judge, suvr"):
        parse_rule("best")
