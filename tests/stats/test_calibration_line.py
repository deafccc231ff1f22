"""The line by which a method changes a value."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from taskgan.stats import CalibrationLine, calibration_line, correlation_interval, slope_interval

WHO = [f"s{k}" for k in range(30)]


def test_a_line_without_noise_comes_back_and_is_undone() -> None:
    clean = np.random.default_rng(0).uniform(1.0, 1.8, 30)
    line = calibration_line(clean, 0.3 + 0.7 * clean, WHO)
    assert line is not None
    assert (line.slope.estimate, line.intercept.estimate) == (pytest.approx(0.7), pytest.approx(0.3))
    assert line.subjects == 30
    np.testing.assert_allclose(line.corrected(0.3 + 0.7 * clean), clean, rtol=1e-12)
    back = CalibrationLine.from_values(json.loads(json.dumps(asdict(line))))
    assert back == line


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


def test_what_cannot_be_divided_by_is_no_line() -> None:
    assert calibration_line([1.0, 1.2, 1.5], [1.1, 1.2, 1.4], "abc") is None  # too few for an interval
    assert calibration_line(np.ones(8), np.arange(8.0), range(8)) is None
    rng = np.random.default_rng(0)
    assert calibration_line(rng.normal(size=20), rng.normal(size=20), range(20)) is None
