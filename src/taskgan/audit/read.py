"""What every judge reads of the audited cases, once or from evaluations; and what their degraded images are like."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage, stats

from taskgan.audit.inputs import AuditInputs, AuditSettings
from taskgan.audit.judges import Judge, audited_target
from taskgan.cohort.grids import MaskCache, input_is_comparable
from taskgan.cohort.pairs import Pair
from taskgan.cohort.targets import Targets
from taskgan.core.console import progress
from taskgan.core.files import checksum
from taskgan.judges.properties import OBSERVER, Property, target_property
from taskgan.judges.read import LoadedCase, PropertyReader, load_case_images, read_cases, read_suvr, suvr_targets
from taskgan.judges.readings import CLEAN, INPUT, Reading, Readings, readings_table
from taskgan.stats import adjusted_p_values

Item = TypeVar("Item")
Made = TypeVar("Made")
_AHEAD = 2
_OBSERVER_MASKS = ("cortex", "reference")


def read_cohort(inputs: AuditInputs, judges: Sequence[Judge], settings: AuditSettings) -> tuple[Readings, pd.DataFrame]:
    """Read every audited case, and the validation cases where those calibrate.

    Args:
        inputs: Cases and restorations, and what evaluations have read of them.
        judges: Networks; the SUVR observer joins where a case names ``cortex`` and ``reference``.
        settings: Middle slices, cut, where calibration subjects come from.

    Returns:
        The readings; and one row a case that says what its degraded image is like
        (:func:`image_statistics`), none where nothing is calibrated.

    Raises:
        UserError: If an image cannot be read or is on another grid than its case.
    """
    panel = []
    for judge in judges:
        target = audited_target(judge, inputs)
        learnt, asked = Targets.for_table(target, inputs.pairs), target_property(target, inputs.pairs)
        panel.append(PropertyReader(judge.name, judge.reader, learnt, asked))
    labels = suvr_targets(inputs.recipe.task.target, inputs.pairs)
    skip = () if input_is_comparable(inputs.pairs, inputs.recipe.data) else (INPUT,)
    known = _earlier_readings(inputs, judges, [one.name for one in panel])
    pairs = [*inputs.cases, *(inputs.validation if settings.calibration == "val" else ())]
    missing = [_missing_judges(pair, inputs, [*(one.name for one in panel), OBSERVER], known, skip) for pair in pairs]
    rows: list[Reading] = []
    statistics: list[dict[str, Any]] = []
    calibrated = settings.calibration != "none"
    jobs = [(pair, names) for pair, names in zip(pairs, missing, strict=True) if names or calibrated]
    with progress("audit", len(jobs), "cases") as bar:
        opened = _prefetch(lambda job: load_case(job[0], inputs, images=bool(job[1])), jobs)
        for (pair, names), case in zip(jobs, opened, strict=True):
            rows += read_cases([one for one in panel if one.name in names], [case], settings.slices, skip)
            rows += read_suvr(case, settings.suvr_cut, labels, skip) if OBSERVER in names else []
            if calibrated:
                values = image_statistics(case.source.data, case.source.voxel_size, case.scale)
                statistics.append({"case": pair.case, "subject": pair.subject, "split": pair.split, **values})
            bar.advance(case=pair.case)
    # A judge that lacks an image of a case reads all of them again: masks are held against the clean image's.
    table = pd.concat([readings_table(rows), known]) if len(known) else readings_table(rows)
    table = table.drop_duplicates(["case", "image", "judge", "output"])
    order = {pair.case: number for number, pair in enumerate(pairs)}
    table = table[table["case"].isin(list(order))]
    order |= {name: number for number, name in enumerate([*(one.name for one in panel), OBSERVER])}
    table = table.sort_values(["case", "judge"], key=lambda names: names.map(order), kind="stable", ignore_index=True)
    properties = {one.name: one.property for one in panel}
    properties[OBSERVER] = Property("observer", (OBSERVER,), settings.suvr_cut)
    return Readings(table, properties), pd.DataFrame(statistics)


def load_case(pair: Pair, inputs: AuditInputs, *, images: bool = True) -> LoadedCase:
    """Read a case: input, clean and all that was restored of it, with the masks of the SUVR; or the input alone.

    Raises:
        UserError: If an image cannot be read or is on another grid.
    """
    data = inputs.recipe.data
    if not images:
        return load_case_images(pair, {}, data.intensity, data.axes)
    case = load_case_images(pair, _paths(pair, inputs), data.intensity, data.axes)
    named = {column: MaskCache().read(pair, column, case.source) for column in _OBSERVER_MASKS}
    return replace(case, masks={column: mask for column, mask in named.items() if mask is not None})


def _paths(pair: Pair, inputs: AuditInputs) -> dict[str, Path]:
    assert pair.clean is not None  # inputs hold no other rows
    return {CLEAN: pair.clean} | {r.method: r.images[pair.case] for r in inputs.restorations if pair.case in r.images}


def _earlier_readings(inputs: AuditInputs, judges: Sequence[Judge], names: Sequence[str]) -> pd.DataFrame:
    """What evaluations have read by these judges and the observer, under the names that they have here."""
    tables = []
    for evaluation in inputs.evaluations:
        own = ((evaluation.record.get("readers") or {}).get("judge") or {}).get("checksum")
        called = {OBSERVER: OBSERVER}
        for judge, name in zip(judges, names, strict=True):
            if own and judge.weights is not None and judge.weights.is_file() and checksum(judge.weights) == own:
                called["judge"] = name
        table = evaluation.table[evaluation.table["judge"].isin(list(called))]
        tables.append(table.assign(judge=table["judge"].map(called)))
    return pd.concat(tables, ignore_index=True) if tables else readings_table([])


def _missing_judges(
    pair: Pair, inputs: AuditInputs, names: Sequence[str], known: pd.DataFrame, skip: Sequence[str]
) -> list[str]:
    """Judges that have not read all images of a case."""
    images = {INPUT, *_paths(pair, inputs)} - set(skip)
    mine = known[known["case"] == pair.case]
    missing = [name for name in names if not images <= set(mine[mine["judge"] == name]["image"])]
    observed = all(pair.path(column) for column in _OBSERVER_MASKS)
    return [name for name in missing if name != OBSERVER or observed]


def _prefetch(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
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


Array = NDArray[np.float32]
STATISTICS = ("noise", "scale", "smoothness", "extent")
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class ImageShift:
    """A statistic whose distribution differs, or not, between calibration and test subjects.

    Attributes:
        name: Of the statistic.
        calibration: Its median among calibration subjects.
        test: Among test subjects.
        p: Of the two-sample Kolmogorov–Smirnov test.
        adjusted: The same after Holm's correction for the number of statistics.
    """

    name: str
    calibration: float
    test: float
    p: float
    adjusted: float

    @property
    def is_significant(self) -> bool:
        """Whether the two sets are told apart at the level of 5 %."""
        return self.adjusted < SIGNIFICANCE


def image_statistics(image: Array, voxel_size: tuple[float, float, float], scale: float) -> dict[str, float]:
    """What a degraded image is like, by numbers that need neither a label nor a judge.

    Args:
        image: (X, Y, Z), the file's units.
        voxel_size: mm.
        scale: What intensities are divided by.

    Returns:
        ``noise``: robust SD of the in-plane second difference inside the head, over ``scale``; ``scale``;
        ``smoothness``: correlation of in-plane neighbours' second differences (post-filter, interpolation);
        ``extent``: litres that are brighter than a tenth of the 99th percentile.
    """
    inside = image > 0.1 * float(np.percentile(image, 99))
    second = ndimage.convolve1d(image, [1.0, -2.0, 1.0], axis=0) / np.float32(np.sqrt(6.0))
    flat = ndimage.binary_erosion(inside, np.ones((3, 1, 1), dtype=bool))  # the head's own edge is no noise
    values = second[flat]
    if values.size < 2:
        return dict.fromkeys(STATISTICS, float("nan"))
    noise = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    both = flat[:, 1:] & flat[:, :-1]
    ahead, behind = second[:, 1:][both], second[:, :-1][both]
    alike = float(np.corrcoef(ahead, behind)[0, 1]) if ahead.size > 1 and ahead.std() and behind.std() else 0.0
    litres = float(inside.sum()) * float(np.prod(voxel_size)) * 1e-6
    return {"noise": noise / scale, "scale": scale, "smoothness": alike, "extent": litres}


def image_shifts(calibration: pd.DataFrame, test: pd.DataFrame) -> list[ImageShift]:
    """Test every statistic (columns :data:`STATISTICS`) for a difference between calibration and test subjects.

    Two-sample Kolmogorov–Smirnov, p corrected by Holm (1979). A large p is no proof of likeness: with few subjects
    only gross differences are seen.

    """
    samples = {name: (calibration[name].dropna(), test[name].dropna()) for name in STATISTICS}
    samples = {name: both for name, both in samples.items() if all(map(len, both))}
    ps = [float(stats.ks_2samp(*both, method="auto").pvalue) for both in samples.values()]
    return [
        ImageShift(name, float(first.median()), float(second.median()), p, adjusted)
        for (name, (first, second)), p, adjusted in zip(samples.items(), ps, adjusted_p_values(ps), strict=True)
    ]
