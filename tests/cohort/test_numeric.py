"""Numbers that a generator is told: their range comes from the training rows, and everything else is a sentence."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgan.cohort.conditions import (
    condition_problems,
    numbers_of,
    numeric_code,
    numeric_warnings,
    plane_code,
    resolved_numeric,
)
from taskgan.cohort.pairs import Pairs, read_pairs
from taskgan.core.errors import UserError
from taskgan.recipe import Data
from taskgan.recipe.data import NumericScale

DOSES = Data(numeric=("dose",))


def table(folder: Path, values: list[tuple[str, str]], column: str = "dose") -> Pairs:
    lines = [f"case,subject,split,degraded,clean,label,{column}"]
    lines += [f"c{k},s{k},{split},d{k}.nii,x{k}.nii,0,{value}" for k, (split, value) in enumerate(values)]
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")
    return read_pairs(folder)


@pytest.mark.parametrize(
    ("values", "log"), [(["1", "25", "5"], True), (["1", "2"], False), (["-4", "25"], False), (["0", "25"], False)]
)
def test_the_range_is_that_of_the_training_rows(tmp_path: Path, values: list[str], log: bool) -> None:
    pairs = table(tmp_path, [*(("train", value) for value in values), ("val", "100"), ("test", "1000")])
    scale = resolved_numeric(DOSES, pairs).numeric_scales["dose"]
    assert scale == NumericScale(log=log, low=min(map(float, values)), high=max(map(float, values)))
    fixed = DOSES.model_copy(update={"numeric_scales": {"dose": NumericScale(low=0, high=1)}})
    assert resolved_numeric(fixed, pairs) == fixed


@given(st.floats(0.1, 10), st.floats(1.5, 100), st.booleans())
def test_the_ends_are_minus_one_and_one_and_the_order_is_kept(low: float, factor: float, log: bool) -> None:
    data = Data(numeric=("dose",), numeric_scales={"dose": NumericScale(log=log, low=low, high=low * factor)})
    middle = low * factor**0.5 if log else low * (1 + factor) / 2
    code = [float(numeric_code({"dose": dose}, data)[0]) for dose in (low, middle, low * factor)]
    np.testing.assert_allclose(code, [-1, 0, 1], atol=1e-4)


def test_planes_of_a_condition_come_before_numbers() -> None:
    data = Data(
        condition="contrast",
        conditions=("a", "b"),
        numeric=("dose",),
        numeric_scales={"dose": NumericScale(low=0, high=10)},
    )
    np.testing.assert_array_equal(plane_code("b", {"dose": 10.0}, data), [0, 1, 1])
    assert data.channels == 4
    assert numeric_warnings({"dose": 12.0}, data) == ["dose 12, the model saw 0 to 10"]
    assert numeric_warnings({"dose": 10.0}, data) == []


def test_what_cannot_be_told_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no column 'dose' \(data.numeric\)"):
        resolved_numeric(DOSES, table(tmp_path, [("train", "1")], "amount"))
    with pytest.raises(UserError, match="has dose 3 alone, expected several values"):
        resolved_numeric(DOSES, table(tmp_path, [("train", "3"), ("train", "3"), ("val", "4")]))
    pairs = table(
        tmp_path, [("train", "1"), ("train", "20"), ("val", "much"), ("val", "0"), ("train", ""), ("test", "")]
    )
    with pytest.raises(UserError, match=r"\(case c4\) has no dose, expected a number"):
        resolved_numeric(DOSES, pairs)
    data = Data(numeric=("dose",), numeric_scales={"dose": NumericScale(log=True, low=1, high=20)})
    problems = [text for _, text in condition_problems(pairs, data)]
    assert len(problems) == 3  # test rows are not looked at
    assert "(case c2) has dose 'much', expected a number" in problems[0]
    assert "dose is 0, expected a number above 0" in problems[1]
    assert numbers_of(next(iter(pairs)), data) == {"dose": 1.0}
    with pytest.raises(UserError, match="the model is told dose, found none"):
        numeric_code({}, data)


@pytest.mark.parametrize(
    "values",
    [
        {"numeric": ["dose", "dose"]},
        {"numeric": ["contrast"], "condition": "contrast"},
        {"numeric": ["dose"], "numeric_scales": {"other": {"low": 0, "high": 1}}},
        {"numeric": ["dose"], "numeric_scales": {"dose": {"low": 1, "high": 1}}},
        {"numeric": ["dose"], "numeric_scales": {"dose": {"log": True, "low": 0, "high": 1}}},
    ],
)
def test_settings_that_do_not_fit_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Data.model_validate(values)
    assert Data.model_validate({"numeric": "dose"}).numeric == ("dose",)
