"""The line by which a method changes a value."""

import json

import numpy as np
import pytest

from taskgan.stats import CalibrationLine, calibration_line, correlation_interval, slope_interval

WHO = [f"s{k}" for k in range(30)]


def test_a_line_without_noise_comes_back_and_is_undone() -> None:
    clean = np.random.default_rng(0).uniform(1.0, 1.8, 30)
    line = calibration_line(clean, 0.3 + 0.7 * clean, WHO)
    assert line is not None
    assert (line.slope.estimate, line.intercept.estimate) == (pytest.approx(0.7), pytest.approx(0.3))
    assert (line.subjects, line.usable) == (30, True)
    np.testing.assert_allclose(line.corrected(0.3 + 0.7 * clean), clean, rtol=1e-12)
    back = CalibrationLine.from_values(json.loads(json.dumps(line.as_values())))
    assert back.slope.low == pytest.approx(line.slope.low, rel=1e-5)


def test_corrected_values_of_others_have_slope_one() -> None:
    rng = np.random.default_rng(1)
    clean, other = rng.uniform(1.0, 1.8, 400), rng.uniform(1.0, 1.8, 400)
    shrunk = [0.4 + 0.7 * values + rng.normal(0, 0.05, 400) for values in (clean, other)]
    line = calibration_line(clean, shrunk[0], range(400))
    assert line is not None
    after = line.corrected(shrunk[1])
    assert not slope_interval(other, after, range(400)).excludes(1.0)
    assert abs((after - other).mean()) < 0.01
    raw, mended = (correlation_interval(other, values, range(400)).estimate for values in (shrunk[1], after))
    assert raw == pytest.approx(mended)
    assert raw == pytest.approx(np.corrcoef(other, shrunk[1])[0, 1])


def test_too_few_subjects_have_a_line_but_no_interval_and_none_is_used() -> None:
    line = calibration_line([1.0, 1.2, 1.5], [1.1, 1.2, 1.4], "abc")
    assert line is not None
    assert not line.usable
    assert line.as_values()["slope"]["low"] is None
    assert np.isnan(CalibrationLine.from_values(line.as_values()).slope.low)
    assert calibration_line([1.0, 1.0], [1.0, 1.1], "ab") is None
