import pytest

from taskgan.core.errors import UserError
from taskgan.judges.properties import EvaluationSettings, evaluation_settings


def test_values_out_of_range_are_a_sentence() -> None:
    assert evaluation_settings(slices=12, suvr_cut=1.1) == EvaluationSettings(slices=12, suvr_cut=1.1)
    with pytest.raises(UserError, match=r"suvr_cut: input should be greater than 0 \(found -1\)"):
        evaluation_settings(suvr_cut=-1)
