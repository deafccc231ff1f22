"""Magnitude and phase to complex values; the unit of a phase found by its range."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class PhaseUnit:
    """How stored values become an angle: (value − ``zero``) · ``radians``.

    Attributes:
        ranges: Intervals that hold one turn.
        radians: Angle of one stored unit.
        zero: Stored value of angle 0.
    """

    ranges: tuple[tuple[float, float], ...]
    radians: float
    zero: float = 0.0


UNITS = {
    "radians": PhaseUnit(((-math.pi, math.pi), (0.0, 2 * math.pi)), 1.0),
    "degrees": PhaseUnit(((-180.0, 180.0), (0.0, 360.0)), math.pi / 180),
    "milliradians": PhaseUnit(((-1000 * math.pi, 1000 * math.pi), (0.0, 2000 * math.pi)), 1e-3),
    "4096": PhaseUnit(((-4096.0, 4096.0),), math.pi / 4096),
    "0-4095": PhaseUnit(((0.0, 4095.0),), math.pi / 2048, zero=2048.0),
}
"""Units of exports: GE and Philips (rescaled) give milliradians; Siemens gives −4096 to 4094, or 0 to 4095
without its rescale slope; BIDS and dcm2niix's single-precision Philips files give radians."""

_FULL = 0.85
_ROUNDING = 0.005


def phase_unit(low: float, high: float) -> str | None:
    """The unit of phases that reach from ``low`` to ``high``; None where that does not tell.

    Noise around the head has every angle, so an export fills its range nearly; the ranges of no two units
    can both be filled by 85 %. Values within one turn in radians that span more than 2 are radians also where
    they fill less (air set to 0): in every other unit they would be next to no phase at all.
    """
    for name, unit in UNITS.items():
        for start, end in unit.ranges:
            width = end - start
            within = low >= start - _ROUNDING * width and high <= end + _ROUNDING * width
            least = 2.0 if name == "radians" else _FULL * width
            if within and high - low >= least:
                return name
    return None


def unit_problem(low: float, high: float) -> str:
    """What to say where :func:`phase_unit` finds none."""
    return (
        f"its phase images reach from {low:g} to {high:g}: not clearly radians (±3.14), degrees (±180), "
        "milliradians (±3142: GE, Philips), 4096 (±4096: Siemens) or 0-4095 (Siemens, not rescaled); say which in "
        "the column phase_units"
    )


def complex_from_polar(magnitude: Array, phase: Array, unit: str) -> NDArray[np.complex64]:
    """Complex values.

    Args:
        magnitude: At least 0.
        phase: Same shape, in ``unit``.
        unit: One of :data:`UNITS`.
    """
    stored = UNITS[unit]
    angle = (phase.astype(np.float64) - stored.zero) * stored.radians
    return np.asarray(magnitude * np.exp(1j * angle), dtype=np.complex64)


def value_range(images: Sequence[Array]) -> tuple[float, float]:
    """Smallest and largest value over several images."""
    return min(float(i.min()) for i in images), max(float(i.max()) for i in images)
