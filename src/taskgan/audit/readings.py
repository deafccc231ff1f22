"""Every judge's opinion of every image: read once, kept as one table."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from math import nan
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taskgan.audit.answers import Answer, Overlap, answers, masks, measured
from taskgan.audit.inputs import Inputs
from taskgan.audit.judges import Judge, asked
from taskgan.audit.settings import AuditSettings
from taskgan.audit.shift import image_statistics
from taskgan.cohort.images import Volume, read_volume
from taskgan.cohort.pairs import Pair
from taskgan.cohort.slices import to_slices
from taskgan.cohort.targets import Targets
from taskgan.console import progress
from taskgan.evaluate.grids import same_grid
from taskgan.files import atomic
from taskgan.judges.properties import OBSERVER, Property, property_of
from taskgan.metrics.suvr import composite
from taskgan.recipe import Target
from taskgan.recogniser.decision import middle_slices

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Item = TypeVar("Item")
Made = TypeVar("Made")
COLUMNS = (
    "case",
    "subject",
    "part",
    "image",
    "judge",
    "output",
    "label",
    "truth",
    "score",
    "decision",
    "cut",
)
INPUT, CLEAN = "input", "clean"
_AHEAD = 2
_LITRE = 1e-3  # ml in a mm³


@dataclass(frozen=True)
class Readings:
    """What was read.

    Attributes:
        table: One row a case, image, judge and output (a binary property or a value has one, several labels or
            classes have one each): ``part`` is ``test`` or ``calibration``; ``image`` is ``input``, ``clean`` or a
            method; ``score`` the judge's mean over slices (a probability or a value), the observer's SUVR, ml of a
            mask; ``label`` what that should be; ``decision`` 0 or 1, NaN where nothing is decided or the score is
            unknown; ``truth`` what that should be; ``cut`` what the score is held against.
        slices: What was said of the middle slices (S,) or (S, n) by case, image and judge (test cases only; masks
            are not kept).
        statistics: One row a case: what the degraded image is like (:func:`~taskgan.audit.shift.image_statistics`).
        properties: What each judge reads; a judge that is not in it reads a binary property in ``label``.
        overlaps: Of masks, one row a test case, image, judge and output: Dice with the same judge's mask of the
            clean image (``kept``) and with the table's mask (``right``).
    """

    table: pd.DataFrame
    slices: dict[tuple[str, str, str], Array] = field(repr=False)
    statistics: pd.DataFrame
    properties: Mapping[str, Property] = field(default_factory=dict)
    overlaps: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)

    @property
    def judges(self) -> list[str]:
        """Names, networks first, the observer (where there is one) last."""
        names = list(self.table["judge"].drop_duplicates())
        return [*(n for n in names if n != OBSERVER), *(n for n in names if n == OBSERVER)]

    def about(self, judge: str) -> Property:
        """What a judge reads."""
        return self.properties.get(judge, Property())

    def outputs(self, judge: str) -> list[str]:
        """Names of what a judge says, in order."""
        table = self.table
        return [str(name) for name in table[table["judge"] == judge]["output"].drop_duplicates()]

    @property
    def deciders(self) -> list[str]:
        """Judges that decide, who can flip; the others read a value without a cut."""
        return [name for name in self.judges if self.about(name).decides]

    @property
    def values(self) -> list[str]:
        """Judges whose score is a value on a scale of its own: regressions, masks and the observer."""
        return [name for name in self.judges if self.about(name).value]

    def of(self, judge: str, image: str, part: str = "test", output: str | None = None) -> pd.DataFrame:
        """Rows of one judge and image, indexed by case and output, in the order of the cases."""
        t = self.table
        wanted = (t["judge"] == judge) & (t["image"] == image) & (t["part"] == part)
        if output is not None:
            wanted &= t["output"] == output
        return t[wanted].set_index(["case", "output"])

    def without(self, judge: str, outputs: Sequence[str]) -> "Readings":
        """The same, with a judge's decisions on some outputs struck out (it cannot read them)."""
        table = self.table.copy()
        struck = (table["judge"] == judge) & table["output"].isin(list(outputs))
        table.loc[struck, "decision"] = nan
        return replace(self, table=table)


@dataclass(frozen=True)
class Loaded:
    """The images of one case in the files' units, and the scale that judges see them at."""

    pair: Pair
    source: Volume
    images: dict[str, Array]
    masks: dict[str, Mask]
    scale: float

    @property
    def millilitres(self) -> float:
        """Of a voxel."""
        return float(np.prod(self.source.voxel_size)) * _LITRE


def read_all(inputs: Inputs, judges: Sequence[Judge], settings: AuditSettings) -> Readings:
    """Read every audited case, and the validation cases where those calibrate.

    Args:
        inputs: Cases and restorations.
        judges: Networks; the SUVR observer joins where a case names ``cortex`` and ``reference``.
        settings: Middle slices, cut, where calibration subjects come from.

    Raises:
        UserError: If an image cannot be read or is on another grid than its case.
    """
    observed = _labels_of_observer(inputs)
    jobs = [(pair, "test") for pair in inputs.cases]
    if settings.calibration == "val":
        jobs += [(pair, "calibration") for pair in inputs.validation]
    rows: list[dict[str, Any]] = []
    overlaps: list[dict[str, Any]] = []
    slices: dict[tuple[str, str, str], Array] = {}
    about: list[dict[str, Any]] = []
    panel = [_Asked.of(judge, inputs) for judge in judges]
    with progress("audit", len(jobs), "cases") as shown:
        for (pair, part), case in zip(jobs, _ahead(lambda job: load(job[0], inputs), jobs), strict=True):
            rows += _observe(case, part, settings.suvr_cut, observed)
            stack = {
                name: middle_slices(to_slices(image), settings.slices) for name, image in case.images.items()
            }
            scaled = np.concatenate(list(stack.values()), dtype=np.float32) / np.float32(case.scale)
            for one in panel:
                seen = one.judge.reader.read(scaled)
                parts = dict(zip(stack, np.split(seen, len(stack)), strict=True))
                for name, said, covers in one.say(case, parts, settings.slices):
                    key = {"case": pair.case, "subject": pair.subject, "part": part, "image": name}
                    key["judge"] = one.judge.name
                    rows += [{**key, **answer._asdict()} for answer in said]
                    overlaps += [{**key, **cover._asdict()} for cover in covers if part == "test"]
                    if part == "test" and not covers:
                        slices[pair.case, name, one.judge.name] = parts[name]
            told = image_statistics(case.images[INPUT], case.source.voxel_size, case.scale)
            about.append({"case": pair.case, "subject": pair.subject, "part": part, **told})
            shown.advance(case=pair.case)
    found = {one.judge.name: one.asked for one in panel}
    found[OBSERVER] = Property("observer", (OBSERVER,), settings.suvr_cut)
    return Readings(
        pd.DataFrame(rows, columns=list(COLUMNS)), slices, pd.DataFrame(about), found, pd.DataFrame(overlaps)
    )


@dataclass(frozen=True)
class _Asked:
    """A judge, and what it is asked here."""

    judge: Judge
    asked: Property
    targets: Targets

    @classmethod
    def of(cls, judge: Judge, inputs: Inputs) -> "_Asked":
        """A judge and what it reads in these inputs' rows."""
        target = asked(judge, inputs)
        return cls(judge, property_of(target, inputs.pairs), Targets.of(target, inputs.pairs))

    def say(
        self, case: "Loaded", parts: Mapping[str, Array], wanted: int
    ) -> Iterator[tuple[str, list[Answer], list[Overlap]]]:
        """Answers, and covers of masks, on every image of a case."""
        kind = self.targets.kind
        if not kind.dense:
            label = self.targets.value(case.pair)
            for name, seen in parts.items():
                yield name, answers(self.asked, kind, seen, label), []
            return
        given = case.pair.path(self.targets.target.columns[0])
        truth = middle_slices(self.targets.mask(case.pair, case.source), wanted) if given else None
        clean = masks(parts[CLEAN])
        for name, seen in parts.items():
            yield name, *measured(self.asked, masks(seen), clean, truth, case.millilitres)


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


def _labels_of_observer(inputs: Inputs) -> Targets | None:
    """Where the observer's label comes from: the binary property; None where ``label`` holds another one."""
    target = inputs.recipe.task.target
    if target.kind == "binary":
        return Targets.of(target, inputs.pairs)
    return None if "label" in target.columns else Targets.of(Target(), inputs.pairs)


def _observe(case: Loaded, part: str, cut: float, labels: Targets | None) -> list[dict[str, Any]]:
    if len(case.masks) < 2:
        return []
    pair = case.pair
    label = float(labels.value(pair)) if labels is not None else nan
    label = label if label in (0.0, 1.0) else nan
    key = {"case": pair.case, "subject": pair.subject, "part": part, "judge": OBSERVER}
    rows = []
    for name, image in case.images.items():
        value = composite(image, case.masks["cortex"], case.masks["reference"])
        decision = float(value >= cut) if np.isfinite(value) else nan
        said = Answer(OBSERVER, label, label, value, decision, cut)
        rows.append({**key, "image": name, **said._asdict()})
    return rows


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
