"""Rows of the table: what each says of its image, and what is wrong with it."""

import difflib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.core.parse import field_number, quoted
from taskgan.images.dicom.series import SeriesFilter
from taskgan.physics.sequences import CONTRASTS, MASK_TYPES
from taskgan.prepare.table import InputTable, TableRow

Array = NDArray[np.float32]


@dataclass(frozen=True)
class PhaseUnit:
    """A unit's ranges of one turn; stored values become an angle by (value − ``zero``) · ``radians``."""

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
    """Complex values of a magnitude and a phase of the same shape in one of :data:`UNITS`."""
    stored = UNITS[unit]
    angle = (phase.astype(np.float64) - stored.zero) * stored.radians
    return np.asarray(magnitude * np.exp(1j * angle), dtype=np.complex64)


ROLES = ("input", "target", "mask")
PARTS = ("real", "imag", "magnitude", "phase")
REQUIRED = ("subject", "role", "path")
KNOWN = (*REQUIRED, "split", "delay_ms", "echo", "part", "name", "te_ms", "tr_ms", "phase_units", "series")


@dataclass(frozen=True)
class ImageRow:
    """One image of a subject.

    Attributes:
        number: Line of the table.
        role: ``input``, ``target`` or ``mask``.
        path: NIfTI file, or folder or file of DICOM.
        name: Contrast of a target, name of a mask; empty for an input.
        delay_ms: Delay of an input.
        echo: Echo of an input, from 1; of a target, which of several echoes of a DICOM series it is, or 0.
        part: Of an input: ``real``, ``imag``, ``magnitude`` or ``phase``.
        te_ms: Echo time where the table says it.
        tr_ms: Repetition time where the table says it.
        units: Of a phase where the table says them.
        series: Which series of a DICOM folder.
    """

    number: int
    role: str
    path: Path
    name: str = ""
    delay_ms: float = 0.0
    echo: int = 0
    part: str = ""
    te_ms: float | None = None
    tr_ms: float | None = None
    units: str = ""
    series: str = ""

    @property
    def key(self) -> tuple[str, str, float, int, str]:
        """What a subject has once."""
        return (self.role, self.name, self.delay_ms, self.echo if self.role == "input" else 0, self.part)

    @property
    def description(self) -> str:
        """The image in words, for messages."""
        if self.role == "input":
            return f"{self.part} at delay {self.delay_ms:g} ms, echo {self.echo}"
        return self.name if self.role == "target" else f"mask {self.name}"

    @property
    def series_filter(self) -> SeriesFilter:
        """Which image of a DICOM folder is meant."""
        if self.role == "mask":  # some tools write masks as secondary captures
            return SeriesFilter(self.series)
        if self.role == "target":
            return SeriesFilter(self.series, echo=self.echo or None, te_ms=self.te_ms, modality="MR")
        return SeriesFilter(self.series, self.part, self.delay_ms, self.echo, modality="MR")


def parse_row(line: TableRow, table: InputTable, problems: list[str]) -> ImageRow | None:
    """A row, or None with its problems added to ``problems``."""
    before = len(problems)
    where = f"row {line.number}"
    problems += [f"{where} has no {column}" for column in REQUIRED if not line[column]]
    role = line["role"].lower()
    if role and role not in ROLES:
        problems.append(f"{where} has role {quoted(line['role'])}, expected {_either(ROLES)}")
    path = table.path(line["path"])
    if line["path"] and not path.exists():
        problems.append(f"{where}: {path} does not exist")
    values = {name: _number(line, name, problems) for name in ("delay_ms", "echo", "te_ms", "tr_ms")}
    if role == "input":
        problems += _input_problems(line, values)
    if role in ("target", "mask"):
        known = CONTRASTS if role == "target" else tuple(MASK_TYPES)
        problems += _named_problems(line, role, known)
    if len(problems) > before:
        return None
    return ImageRow(
        line.number,
        role,
        path,
        name=line["name"],
        delay_ms=values["delay_ms"] or 0.0,
        echo=int(values["echo"] or 0),
        part=line["part"].lower(),
        te_ms=values["te_ms"],
        tr_ms=values["tr_ms"],
        units=line["phase_units"].lower(),
        series=line["series"],
    )


def _input_problems(line: TableRow, values: dict[str, float | None]) -> list[str]:
    where = f"row {line.number}"
    problems = [
        f"{where} is an input without {column}, expected {what}"
        for column, what in (
            ("delay_ms", "the nominal delay in ms"),
            ("echo", "the echo's number"),
            ("part", _either(PARTS)),
        )
        if not line[column]
    ]
    if line["part"] and line["part"].lower() not in PARTS:
        problems.append(f"{where} has part {quoted(line['part'])}, expected {_either(PARTS)}")
    delay, units = values["delay_ms"], line["phase_units"].lower()
    problems += _echo_problems(line)
    if delay is not None and delay <= 0:
        problems.append(f"{where} has delay_ms {quoted(line['delay_ms'])}, expected a time above 0")
    if line["name"]:
        problems.append(f"{where} is an input with the name {quoted(line['name'])}, expected none")
    if units and units not in UNITS:
        problems.append(f"{where} has phase_units {quoted(line['phase_units'])}, expected {_either(tuple(UNITS))}")
    if units and line["part"].lower() in ("real", "imag", "magnitude"):
        problems.append(f"{where} has phase_units and is {line['part']}, expected them of a phase only")
    return problems


def _echo_problems(line: TableRow) -> list[str]:
    echo = _number(line, "echo", [])
    if echo is None or (echo == int(echo) and echo >= 1):
        return []
    return [f"row {line.number} has echo {quoted(line['echo'])}, expected its number: 1 for the shortest, 2, …"]


def _named_problems(line: TableRow, role: str, known: tuple[str, ...]) -> list[str]:
    where = f"row {line.number}"
    foreign = ("delay_ms", "part", "phase_units") + ("echo",) * (role == "mask")
    problems = [
        f"{where} is a {role} with {column} {quoted(line[column])}, expected none" for column in foreign if line[column]
    ]
    problems += _echo_problems(line) if role == "target" else []
    if line["name"] in known:
        return problems
    if not line["name"]:
        return [*problems, f"{where} is a {role} without a name, expected {_either(known)}"]
    near = difflib.get_close_matches(line["name"].lower(), [name.lower() for name in known], n=1)
    hint = next((f" (did you mean {name}?)" for name in known if near and name.lower() == near[0]), "")
    return [*problems, f"{where} is a {role} named {quoted(line['name'])}, expected {_either(known)}{hint}"]


def _number(line: TableRow, column: str, problems: list[str]) -> float | None:
    try:
        value = field_number(line[column], f"row {line.number} has {column}")
    except UserError as error:
        problems.append(str(error))
        return None
    return value if line[column] else None


def _either(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
