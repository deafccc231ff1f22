"""Every judge's opinion of every image: read once, kept as one table."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taskgan.audit.inputs import Inputs
from taskgan.audit.judges import OBSERVER, Judge
from taskgan.audit.settings import AuditSettings
from taskgan.audit.shift import image_statistics
from taskgan.cohort.images import Volume, read_volume
from taskgan.cohort.pairs import Pair
from taskgan.cohort.slices import to_slices
from taskgan.console import progress
from taskgan.evaluate.measure import same_grid
from taskgan.evaluate.suvr import composite
from taskgan.files import atomic
from taskgan.recogniser.decision import middle_slices

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Item = TypeVar("Item")
Made = TypeVar("Made")
COLUMNS = ("case", "subject", "label", "part", "image", "judge", "score", "decision", "cut")
INPUT, CLEAN = "input", "clean"
_AHEAD = 2


@dataclass(frozen=True)
class Readings:
    """What was read.

    Attributes:
        table: One row a case, image and judge: ``part`` is ``test`` or ``calibration``; ``image`` is ``input``,
            ``clean`` or a method; ``score`` the judge's mean over slices (a probability, or a value where it is a
            regression) or the observer's SUVR; ``decision`` 0 or 1 by ``cut``, NaN where there is no cut or the score
            is unknown.
        slices: Probabilities (S,) of the middle slices by case, image and judge (test cases only).
        statistics: One row a case: what the degraded image is like (:func:`~taskgan.audit.shift.image_statistics`).
    """

    table: pd.DataFrame
    slices: dict[tuple[str, str, str], Array] = field(repr=False)
    statistics: pd.DataFrame

    @property
    def judges(self) -> list[str]:
        """Names, networks first, the observer (where there is one) last."""
        names = list(self.table["judge"].drop_duplicates())
        return [*(n for n in names if n != OBSERVER), *(n for n in names if n == OBSERVER)]

    @property
    def deciders(self) -> list[str]:
        """Judges with a cut, who can flip; the others read a value."""
        cuts = self.table.groupby("judge", sort=False)["cut"].first()
        return [name for name in self.judges if cuts[name] == cuts[name]]

    @property
    def values(self) -> list[str]:
        """Judges whose score is a value on a scale of its own: regressions and the observer."""
        return [name for name in self.judges if name == OBSERVER or name not in self.deciders]

    def of(self, judge: str, image: str, part: str = "test") -> pd.DataFrame:
        """Rows of one judge and image, indexed by case, in the order of the cases."""
        t = self.table
        return t[(t["judge"] == judge) & (t["image"] == image) & (t["part"] == part)].set_index("case")


@dataclass(frozen=True)
class Loaded:
    """The images of one case in the files' units, and the scale that judges see them at."""

    pair: Pair
    source: Volume
    images: dict[str, Array]
    masks: dict[str, Mask]
    scale: float


def read_all(inputs: Inputs, judges: Sequence[Judge], settings: AuditSettings) -> Readings:
    """Read every audited case, and the validation cases where those calibrate.

    Args:
        inputs: Cases and restorations.
        judges: Networks; the SUVR observer joins where a case names ``cortex`` and ``reference``.
        settings: Middle slices, cut, where calibration subjects come from.

    Raises:
        UserError: If an image cannot be read or is on another grid than its case.
    """
    jobs = [(pair, "test") for pair in inputs.cases]
    if settings.calibration == "val":
        jobs += [(pair, "calibration") for pair in inputs.validation]
    rows: list[dict[str, Any]] = []
    slices: dict[tuple[str, str, str], Array] = {}
    about: list[dict[str, Any]] = []
    with progress("audit", len(jobs), "cases") as shown:
        for (pair, part), case in zip(jobs, _ahead(lambda job: load(job[0], inputs), jobs), strict=True):
            rows += _observe(case, part, settings.suvr_cut)
            stack = {
                name: middle_slices(to_slices(image), settings.slices) for name, image in case.images.items()
            }
            scaled = np.concatenate(list(stack.values()), dtype=np.float32) / np.float32(case.scale)
            for judge in judges:
                seen = judge.reader.read(scaled)
                for name, found in zip(stack, np.split(seen, len(stack)), strict=True):
                    score = float(found.mean(dtype=np.float64))
                    rows.append(_row(case.pair, part, name, judge.name, score, nan if judge.value else 0.5))
                    if part == "test":
                        slices[pair.case, name, judge.name] = found
            told = image_statistics(case.images[INPUT], case.source.voxel_size, case.scale)
            about.append({"case": pair.case, "subject": pair.subject, "part": part, **told})
            shown.advance(case=pair.case)
    return Readings(pd.DataFrame(rows, columns=list(COLUMNS)), slices, pd.DataFrame(about))


def load(pair: Pair, inputs: Inputs) -> Loaded:
    """Read a case: input, clean and all that was restored of it.

    Raises:
        UserError: If an image cannot be read or is on another grid.
    """
    source = read_volume(pair.degraded)
    assert pair.clean is not None  # inputs hold no other rows
    paths: dict[str, Path] = {CLEAN: pair.clean}
    paths |= {r.method: r.images[pair.case] for r in inputs.all if pair.case in r.images}
    images = {INPUT: source.data}
    for name, path in paths.items():
        volume = read_volume(path)
        same_grid(volume, source, path, pair)
        images[name] = volume.data
    masks: dict[str, Mask] = {}
    for column in ("cortex", "reference"):
        place = pair.path(column)
        if place is not None:
            volume = read_volume(place)
            same_grid(volume, source, place, pair)
            masks[column] = np.asarray(volume.data > 0.5)
    scale = inputs.recipe.data.intensity.fit(source.data, str(pair.degraded)).scale
    return Loaded(pair, source, images, masks, scale)


def write_readings(path: Path, readings: Readings) -> None:
    """The table as CSV, atomically; unknown values are empty."""
    with atomic(path) as partial:
        readings.table.to_csv(partial, index=False, float_format="%.8g", lineterminator="\n")


def _observe(case: Loaded, part: str, cut: float) -> list[dict[str, Any]]:
    if len(case.masks) < 2:
        return []
    rows = []
    for name, image in case.images.items():
        value = composite(image, case.masks["cortex"], case.masks["reference"])
        rows.append(_row(case.pair, part, name, OBSERVER, value, cut, equal=True))
    return rows


def _row(
    pair: Pair, part: str, image: str, judge: str, score: float, cut: float, *, equal: bool = False
) -> dict[str, Any]:
    label = nan if pair.label is None else pair.label
    above = score >= cut if equal else score > cut
    decision = float(above) if np.isfinite(score) and np.isfinite(cut) else nan
    values = (pair.case, pair.subject, label, part, image, judge, score, decision, cut)
    return dict(zip(COLUMNS, values, strict=True))


def _ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """``map`` whose next results are made while the last one is worked on (files are read beside the networks)."""
    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
