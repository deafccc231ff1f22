"""Whether the two images of a pair belong together: their scale, what they have in common, and whose they are.

Only what is coarse counts: means over the blocks of a grid, which noise and blur hardly touch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pair
from taskgan.images.volumes import bids_suffix, read_volume
from taskgan.recipe import Data

Array = NDArray[np.float32]
BLOCKS = 12
"""Blocks along an axis, at most."""
SCALE_FACTOR = 5.0
"""Between the means of two images: more is another unit."""
_OUTLIER_FACTOR = 3.0  # between a pair and the median of the cohort
_MARGIN = 0.2  # of correlation, by which another's image fits better
_LEAST_ROWS = 3
_LEAST_CORRELATION = 0.3
_INVERTED = -0.2
_SHOWN = 10
_SAMPLED = 8


@dataclass(frozen=True)
class Coarse:
    """An image in blocks. ``blocks``: mean of each block, flat, float32."""

    shape: tuple[int, ...]
    blocks: Array

    @classmethod
    def of(cls, image: Array) -> "Coarse":
        """Blocks of (X, Y, Z)."""
        blocks = image.astype(np.float64)
        for axis, length in enumerate(image.shape):
            edges = np.unique(np.linspace(0, length, min(length, BLOCKS) + 1).astype(int))[:-1]
            counts = np.diff([*edges, length]).reshape([-1 if k == axis else 1 for k in range(image.ndim)])
            blocks = np.add.reduceat(blocks, edges, axis=axis) / counts
        return cls(image.shape, blocks.ravel().astype(np.float32))

    def dump(self) -> list[Any]:
        """As JSON has it."""
        return [list(self.shape), self.blocks.tobytes().hex()]

    @classmethod
    def load(cls, values: Sequence[Any]) -> "Coarse":
        """What :meth:`dump` gave."""
        return cls(tuple(values[0]), np.frombuffer(bytes.fromhex(values[1]), np.float32))

    @property
    def mean(self) -> float:
        """Mean magnitude."""
        return float(np.abs(self.blocks).mean(dtype=np.float64))


def scale_ratio(image: Coarse, reference: Coarse) -> float:
    """How many times the reference an image is; NaN where one of them is zero."""
    return image.mean / reference.mean if image.mean > 0 and reference.mean > 0 else float("nan")


def correlation(image: Coarse, reference: Coarse, *, foreground: bool = False) -> float:
    """Pearson's, over all blocks or those where both have signal; NaN where one is constant or the shapes differ."""
    if image.shape != reference.shape:
        return float("nan")
    one, two = image.blocks.astype(np.float64), reference.blocks.astype(np.float64)
    inside = np.ones(one.shape, dtype=bool)
    if foreground:
        inside = (np.abs(one) > 0.1 * np.abs(one).max()) & (np.abs(two) > 0.1 * np.abs(two).max())
    if inside.sum() < 4 or not one[inside].std() > 0 or not two[inside].std() > 0:
        return float("nan")
    return float(np.corrcoef(one[inside], two[inside])[0, 1])


def scale_notes(ratios: Sequence[tuple[str, float]], what: str, reference: str) -> list[str]:
    """What is odd about the scales of images: all in other units, or some.

    Args:
        ratios: Name of each case, and how many times its reference it is.
        what: The images, e.g. ``the clean images``.
        reference: What they are compared with, e.g. ``their degraded ones``.
    """
    known = [(name, ratio) for name, ratio in ratios if np.isfinite(ratio)]
    if not known:
        return []
    middle = float(np.median([ratio for _, ratio in known]))
    notes = []
    if not 1 / SCALE_FACTOR <= middle <= SCALE_FACTOR:
        notes.append(f"{what} are {middle:.3g} times {reference} (median): expected the same units")
    odd = [
        f"{name} ({ratio:.3g})" for name, ratio in known if not 1 / _OUTLIER_FACTOR <= ratio / middle <= _OUTLIER_FACTOR
    ]
    if odd:
        more = f" and {len(odd) - _SHOWN} more" * (len(odd) > _SHOWN)
        notes.append(
            f"{what} are {middle:.3g} times {reference} (median), but not of {', '.join(odd[:_SHOWN])}{more}: "
            "expected one unit for all"
        )
    return notes


def pairing_notes(pairs: Sequence[tuple[str, str, Coarse, Coarse]]) -> list[str]:
    """Pairs whose images do not belong together, a sentence each.

    A clean image that another subject's degraded one resembles more than its own does is the sign of two files
    that were swapped. What all subjects have in common is taken out first. Images of other shapes are not compared,
    and fewer than three pairs have nothing in common.

    Args:
        pairs: Case, subject, degraded and clean image of each pair.
    """
    notes: list[str] = []
    own = {case: correlation(low, high) for case, _, low, high in pairs}
    typical = float(np.nanmedian([*own.values()])) if any(np.isfinite(v) for v in own.values()) else float("nan")
    if not typical >= _LEAST_CORRELATION:  # another kind of image: nothing can be said
        return notes
    by_shape: dict[tuple[int, ...], list[tuple[str, str, Coarse, Coarse]]] = {}
    for row in pairs:
        if row[2].shape == row[3].shape:
            by_shape.setdefault(row[2].shape, []).append(row)
    for rows in by_shape.values():
        low, high = _own_part([row[2].blocks for row in rows]), _own_part([row[3].blocks for row in rows])
        for number, (case, subject, _, _) in enumerate(rows):
            similar = high @ low[number]
            others = [k for k, row in enumerate(rows) if row[1] != subject]
            if not others or len(rows) < _LEAST_ROWS:
                continue
            best = max(others, key=lambda k: float(similar[k]))
            if similar[best] > max(similar[number] + _MARGIN, _LEAST_CORRELATION):
                notes.append(
                    f"the degraded image of case {case} resembles the clean one of case {rows[best][0]} more than "
                    f"its own (correlation {similar[best]:.2f} and {similar[number]:.2f}): are files swapped?"
                )
            elif own[case] < typical - 0.5:
                notes.append(
                    f"the images of case {case} have a correlation of {own[case]:.2f}, expected about {typical:.2f} "
                    "like the other pairs"
                )
    return notes


def inputs_of_another_kind(rows: Sequence[Pair], data: Data) -> bool:
    """Whether the degraded images show something else than the clean ones, such as T1 where FLAIR is to be made.

    By their BIDS suffixes where both have one, else by whether dark is bright in :data:`_SAMPLED` of them.
    """
    kinds = {(bids_suffix(pair.degraded), bids_suffix(pair.clean)) for pair in rows if pair.clean is not None}
    if kinds and all(low and high for low, high in kinds):
        return all(low != high for low, high in kinds)
    values = []
    for pair in [pair for pair in rows if pair.clean is not None][:_SAMPLED]:
        assert pair.clean is not None
        low, high = (Coarse.of(read_volume(path, axes=data.axes).data) for path in (pair.degraded, pair.clean))
        values.append(correlation(low, high, foreground=True))
    known = [value for value in values if np.isfinite(value)]
    return bool(known) and float(np.median(known)) < _INVERTED


def _own_part(blocks: Sequence[Array]) -> NDArray[np.float64]:
    """What each image has beyond the mean of all, as rows of length 1, so that a product is a correlation."""
    rows = _unit_rows(np.stack(blocks).astype(np.float64))
    return _unit_rows(rows - rows.mean(axis=0))


def _unit_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30))
