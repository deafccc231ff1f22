import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exported import save
from taskgan.core.errors import Problems
from taskgan.prepare.mr.cohort import prepare_mr
from taskgan.prepare.mr.plan import MrPreparation
from taskgan.prepare.mr.rows import UNITS, complex_from_polar, phase_unit

PI = math.pi


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-PI, PI, "radians"),
        (0, 2 * PI, "radians"),
        (-1.2, 1.5, "radians"),  # air set to 0
        (-180, 179.9, "degrees"),
        (0, 359, "degrees"),
        (-3141, 3141, "milliradians"),
        (0, 6283, "milliradians"),
        (-4096, 4094, "4096"),
        (0, 4095, "0-4095"),
        (-0.5, 0.5, None),  # radians or turns
        (-60, 70, None),
        (-2000, 2000, None),
        (0, 65535, None),
        (0, 0, None),
    ],
)
def test_the_range_tells_the_unit_or_nothing(low, high, expected):
    assert phase_unit(low, high) == expected


@given(st.sampled_from(sorted(UNITS)), st.floats(-PI, PI))
def test_every_unit_gives_the_same_angle_back(unit, angle):
    stored = angle / UNITS[unit].radians + UNITS[unit].zero
    found = complex_from_polar(np.ones((1,)), np.array([stored]), unit)
    np.testing.assert_allclose(found, [np.exp(1j * angle)], atol=1e-6)


def test_ends_of_a_range_are_one_angle():
    for unit in UNITS.values():
        for start, end in unit.ranges:
            turns = (end - start) * unit.radians / (2 * PI)
            assert turns == pytest.approx(1, abs=1e-3)  # 12 bits end one step early


def stored_as(export, unit, scale=1.0):
    """Rewrite a subject's phases in another unit."""
    for row in export.rows:
        if row.get("part") == "phase":
            angle = np.angle(export.inputs[row["subject"], row["delay_ms"], row["echo"]]) * scale
            data = angle / UNITS[unit].radians + UNITS[unit].zero
            save(export.folder / row["path"], data.astype(np.float32))


def test_an_ambiguous_phase_is_refused_until_the_table_says_its_unit(export, tmp_path):
    export.subject("A", 1, targets=())
    stored_as(export, "degrees", scale=0.5)
    with pytest.raises(Problems, match=r"reach from -\d+\.\d* to \d+\.\d*: not clearly radians .* phase_units"):
        prepare_mr(export.table(), tmp_path / "c", MrPreparation())
    for row in export.rows:
        row["phase_units"] = "degrees" if row.get("part") == "phase" else ""
    prepare_mr(export.table("phase_units"), tmp_path / "c", MrPreparation())
    for row in export.rows:
        row["phase_units"] = "turns" if row.get("part") == "phase" else "degrees"
    with pytest.raises(Problems) as caught:
        prepare_mr(export.table("phase_units"), tmp_path / "d", MrPreparation())
    text = "\n".join(caught.value.problems)
    assert "has phase_units 'turns', expected radians, degrees, milliradians, 4096 or 0-4095" in text
    assert "has phase_units and is magnitude, expected them of a phase only" in text


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_the_cohort_says_the_unit_that_was_found(export, tmp_path, unit, capsys):
    export.subject("A", 1, targets=())
    stored_as(export, unit)
    prepare_mr(export.table(), tmp_path / "c", MrPreparation())
    assert f"phases were taken to be in {unit}" in capsys.readouterr().out
