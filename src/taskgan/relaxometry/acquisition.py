"""The input of one subject: which columns hold it, whose rows share it, and its images on one grid."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.slices import AFFINE_MM
from taskgan.core.errors import UserError
from taskgan.core.parse import quoted
from taskgan.core.settings import Settings
from taskgan.images.volumes import Volume, read_volume
from taskgan.physics.sequences import PARTS, Mdme, input_columns, mdme_signal
from taskgan.physics.tissues import TABLE

_COLUMN = re.compile(r"delay(\d+)_echo(\d+)_(real|imag)")
Columns = dict[str, tuple[int, int, str]]
"""Delay and echo (from 1) and part, by column; ``degraded`` comes first."""


def acquisition_columns(pairs: Pairs) -> Columns:
    """Which columns of a table are the input: complex images, or real ones with their sign.

    ``degraded`` is the real part at the longest delay and the first echo; the others are called like
    ``delay1_echo2_imag`` (:func:`taskgan.physics.sequences.input_columns`).

    Raises:
        UserError: If columns are missing; they are named.
    """
    keys = {(int(m[1]), int(m[2]), m[3]) for name in pairs.columns if (m := _COLUMN.fullmatch(name))}
    protocol = Mdme()
    delays = max((d for d, _, _ in keys), default=len(protocol.delays))
    echoes = max((e for _, e, _ in keys), default=len(protocol.echoes))
    columns = input_columns(delays, echoes)
    if keys and all(part == "real" for _, _, part in keys):
        columns = {name: key for name, key in columns.items() if key[2] == "real"}
    missing = [name for name in columns if name not in pairs.columns]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise UserError(
            f"{pairs.source} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing[:3])}{more} that "
            f"relaxometry fits ({delays} delays, {echoes} echoes); its columns are {', '.join(pairs.columns)}"
        )
    return columns


@dataclass(frozen=True)
class Acquisition:
    """The input's files by delay and echo from 1, and part; its name is the subject's, or the first image's."""

    name: str
    files: dict[tuple[int, int, str], Path]

    @classmethod
    def from_row(cls, pair: Pair, columns: Columns) -> "Acquisition":
        """Of a row; a UserError where it names no image in one of the columns."""
        files = {}
        for column, key in columns.items():
            path = pair.degraded if column == "degraded" else pair.path(column)
            if path is None:
                raise UserError(f"row {pair.row} (case {pair.case}) names no image in the column {quoted(column)}")
            files[key] = path
        return cls(pair.subject, files)

    @property
    def real(self) -> dict[tuple[int, int], Path]:
        """The real part by delay and echo."""
        return {(d, e): path for (d, e, part), path in self.files.items() if part == "real"}

    @property
    def complex(self) -> bool:
        """Whether there are imaginary parts."""
        return any(part == "imag" for _, _, part in self.files)

    def read(self) -> NDArray[Any]:
        """The images (D, E, X, Y, Z): complex64, or float32 where there are real parts alone.

        Raises:
            UserError: If one cannot be read or is on another grid than the first.
        """
        delays, echoes = max(d for d, _ in self.real), max(e for _, e in self.real)
        images: NDArray[Any] | None = None
        first: Volume | None = None
        for (d, e, part), path in self.files.items():
            volume = read_volume(path)
            if images is None or first is None:
                first = volume
                kind = np.complex64 if self.complex else np.float32
                images = np.zeros((delays, echoes, *volume.data.shape), kind)
            reference = next(iter(self.files.values())).name
            if volume.data.shape != first.data.shape:
                own, expected = ("×".join(map(str, one.data.shape)) for one in (volume, first))
                raise UserError(f"{path} has shape {own}, expected {expected} like {reference}")
            if not np.allclose(volume.affine, first.affine, rtol=0, atol=AFFINE_MM):
                raise UserError(f"{path} has another affine than {reference}, expected images on one grid")
            images[d - 1, e - 1] += volume.data if part == PARTS[0] else np.complex64(1j) * volume.data
        assert images is not None
        return images


def check_signed(images: NDArray[Any], protocol: Mdme, name: str) -> None:
    """Refuse magnitude images (D, E, X, Y, Z) where tissue is negative after the shortest delay.

    Raises:
        UserError: If there is no imaginary part, nothing is negative, and white matter would be.
    """
    if np.iscomplexobj(images) and images.imag.any():
        return
    white = TABLE["white"]
    shortest = mdme_signal(1.0, white.t1, white.t2, te=0.0, td=protocol.delays[0], b1=1.0, protocol=protocol)
    if shortest < 0 and float(images.real.min()) >= 0:
        raise UserError(
            f"the input of {name} is magnitude: nothing is negative {protocol.delays[0]:g} ms after saturation, "
            "where white matter is; expected real and imaginary parts, or real images with their sign"
        )


def rows_by_input(pairs: Sequence[Pair], columns: Columns) -> list[list[int]]:
    """Numbers of the rows that name the same input, in the order of the rows."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, pair in enumerate(pairs):
        key = tuple(str(pair.degraded) if c == "degraded" else pair.columns.get(c, "") for c in columns)
        groups.setdefault((str(pair.folder), *key), []).append(number)
    return list(groups.values())


class Relaxometry(Settings):
    """Settings of the fit.

    Attributes:
        t1: Smallest and largest T1.
        t2: Smallest and largest T2.
        b1: ``smooth``: a polynomial over the head, fitted to all of its voxels; ``nominal``: 1 everywhere, which
            has the T1 of every voxel wrong where the transmit field is not nominal.
        b1_range: Smallest and largest B1 that is looked for.
        b1_degree: Total degree of the polynomial; lower where there are too few voxels for it.
        b1_block: Edge of the blocks of voxels that share one B1 before the polynomial is fitted.
        signal: A voxel is fitted if its energy over all images is this many times what noise alone gives; the
            others are air, and 0 in every map and contrast.
    """

    t1: tuple[float, float] = (100.0, 6000.0)
    t2: tuple[float, float] = (5.0, 3000.0)
    b1: Literal["smooth", "nominal"] = "smooth"
    b1_range: tuple[float, float] = (0.6, 1.4)
    b1_degree: int = Field(default=6, ge=0, le=10)
    b1_block: float = Field(default=12.0, gt=0)
    signal: float = Field(default=3.0, ge=1)

    @model_validator(mode="after")
    def _ranges(self) -> "Relaxometry":
        for name in ("t1", "t2", "b1_range"):
            low, high = getattr(self, name)
            if not 0 < low < high:
                raise ValueError(f"{name} is {low:g} to {high:g}, expected two rising values above 0")
        return self
