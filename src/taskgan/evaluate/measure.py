"""All measures of one case: the rows of its degraded, clean and restored image."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.grids import MaskCache, relative_path
from taskgan.cohort.pairs import Pair
from taskgan.cohort.restorations import Restorations
from taskgan.cohort.targets import Targets
from taskgan.core.errors import UserError
from taskgan.core.files import value_digest, write_text
from taskgan.evaluate.features import FeatureCollector
from taskgan.evaluate.observers import Observer, ObserverView, findings, observe
from taskgan.images.volumes import Volume
from taskgan.judges.properties import OBSERVER, EvaluationSettings
from taskgan.judges.read import LoadedCase, PropertyReader, load_case_images, read_cases, read_suvr
from taskgan.judges.readings import CLEAN, INPUT, Reading
from taskgan.metrics import quality
from taskgan.recipe import Data
from taskgan.stats import CalibrationLine, repeatability

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Row = dict[str, Any]
SCALE_RATIO = "scale_ratio"
"""Of a restored image's row, which no table has: its mean magnitude, by that of the clean image."""


@dataclass(frozen=True)
class EvaluationContext:
    """What the cases of an evaluation are measured with.

    Attributes:
        restorations: Where the restored images are.
        data: Gives the intensity transform, which is fitted on the degraded image for all images of a case, and the
            column that says which of several images of a subject a row is about.
        readers: ``task`` and ``judge``, or fewer, and what they read.
        labels: Where the SUVR's label comes from; None where the cohort has none.
        observers: What measures by masks.
        settings: Slices.
        out: The evaluation folder; paths in the rows are relative to it.
        positions: Takes what the judge makes of the images, where the geometry is wanted.
        with_input: Whether the degraded image is another version of the clean one, so that it has a row too (see
            :func:`taskgan.cohort.grids.input_is_comparable`).
        masks: Those that were read last.
        line: By which the method changes the SUVR; None where that is not known.
    """

    restorations: Restorations
    data: Data
    readers: Sequence[PropertyReader]
    labels: Targets | None
    observers: tuple[Observer, ...]
    settings: EvaluationSettings
    out: Path
    positions: FeatureCollector | None = None
    with_input: bool = True
    masks: MaskCache = field(default_factory=MaskCache)
    line: CalibrationLine | None = None

    @property
    def mask_columns(self) -> tuple[str, ...]:
        """Masks of ``pairs.csv`` that any measure asks for."""
        needed = [name for one in self.observers for name in one.needs]
        return tuple(dict.fromkeys(["mask", "cortex", "reference", *needed]))

    @property
    def skipped_images(self) -> tuple[str, ...]:
        """Images without rows."""
        return () if self.with_input else (INPUT,)


def measure_cases(pairs: Sequence[Pair], context: EvaluationContext) -> tuple[list[Row], list[Reading]]:
    """Measure the degraded image, the clean image and the restored one of some cases.

    Args:
        pairs: The cases, which are held in memory and read together.
        context: How.

    Returns:
        Rows of ``cases.csv``: methods ``input`` (where it has a row), ``clean`` and the restorations' own; and the
        rows of ``readings.csv``, from which their columns of readers come.

    Raises:
        UserError: If an image or mask cannot be read or is on another grid than the case.
    """
    opened = [_load_case(pair, context) for pair in pairs]
    own, settings = context.restorations.method, context.settings
    readings = read_cases(context.readers, opened, settings.slices, context.skipped_images)
    for case in opened:
        readings += read_suvr(case, settings.suvr_cut, context.labels, context.skipped_images)
    images = [(case, name) for case in opened for name in case.volumes if name not in context.skipped_images]
    if context.positions is not None:
        context.positions.add(
            {(case.pair.case, "restored" if name == own else name): case.scaled(name) for case, name in images}
        )
    common = {case.pair.case: _common_columns(case.pair, context) for case in opened}
    read: dict[tuple[str, str], list[Reading]] = {}
    for one in readings:
        read.setdefault((one.case, one.image), []).append(one)
    rows = []
    for case, name in images:
        key = (case.pair.case, name)
        rows.append(_case_row(case, name, common[case.pair.case], read.get(key, []), context))
        if name == own:
            rows[-1][SCALE_RATIO] = _mean_ratio(case.volumes[name].data, case.volumes[CLEAN].data)
    clean = {row["case"]: row["suvr_restored"] for row in rows if "suvr_restored" in row and row["method"] == CLEAN}
    for row in rows:
        if row["case"] in clean:
            before = row["suvr_reference"] = clean[row["case"]]
            row["suvr_bias"] = row["suvr_restored"] - before
            if context.line is not None and row["method"] == own:
                row["suvr_calibrated"] = float(context.line.corrected(row["suvr_restored"]))
                row["suvr_calibrated_decision"] = float(row["suvr_calibrated"] >= settings.suvr_cut)
    return rows, readings


def measure_once(
    pairs: Sequence[Pair], context: EvaluationContext, folder: Path, request: str
) -> tuple[list[Row], list[Reading]]:
    """The same, kept in a folder for a call with the same request: numbers come back bit by bit."""
    path = folder / f"{value_digest({'cases': [pair.case for pair in pairs], 'request': request}, 32)}.json"
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        rows, readings = measure_cases(pairs, context)
        features = context.positions.of(pairs) if context.positions is not None else {}
        values = {"rows": rows, "readings": readings, "features": features}
        write_text(path, json.dumps(values, default=lambda number: number.item()))
        return rows, readings
    if context.positions is not None:
        context.positions.put(saved["features"])
    return saved["rows"], [Reading(*values) for values in saved["readings"]]


def add_variation(rows: Sequence[Row], pairs: Mapping[str, Pair]) -> None:
    """Add ``suvr_cv`` to rows of ``cases.csv`` whose pairs (by case) are repeats: the SUVR's variation over them."""
    repeats: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if pairs[row["case"]].columns.get("repeat") and np.isfinite(row.get("suvr_restored") or math.nan):
            key = tuple(row.get(name) for name in ("subject", "method", "dose", "condition"))
            repeats.setdefault(key, []).append(row)
    for own in repeats.values():
        if len(own) > 1:
            found = repeatability([row["suvr_restored"] for row in own], [0] * len(own))
            for row in own:
                row["suvr_cv"] = found.variation.estimate


def _mean_ratio(image: Array, clean: Array) -> float:
    """How many times the clean image another one is, by mean magnitude; NaN of empty ones."""
    before, after = (float(np.abs(values).mean(dtype=np.float64)) for values in (clean, image))
    return after / before if before > 0 and after > 0 else math.nan


def _load_case(pair: Pair, context: EvaluationContext) -> LoadedCase:
    if pair.clean is None:
        raise UserError(f"row {pair.row} (case {pair.case}) names no clean image to compare with")
    restorations = context.restorations
    paths = {CLEAN: pair.clean, restorations.method: restorations.images[pair.case]}
    case = load_case_images(pair, paths, context.data.intensity, context.data.axes)
    named = {column: context.masks.read(pair, column, case.source) for column in context.mask_columns}
    return replace(case, masks={column: mask for column, mask in named.items() if mask is not None})


def _case_row(case: LoadedCase, method: str, common: Row, read: Sequence[Reading], context: EvaluationContext) -> Row:
    """One image of a case."""
    volume, truth, pair = case.volumes[method], case.volumes[CLEAN], case.pair
    image = volume.data
    own = method == context.restorations.method
    try:
        measured = _quality_columns(image, truth, case.masks.get("mask"))
    except UserError as error:
        raise UserError(f"{pair.clean} cannot be compared with: {error}") from None
    if method != CLEAN and volume.colours is not None and truth.colours is not None:
        measured["psnr_colour"] = quality.psnr(volume.colours, truth.colours, span=truth.span)
    known = context.masks.values(pair, "truth", case.source) if "findings" in case.masks else None
    shown = (image, truth.data, case.masks, truth.voxel_size, common["condition"], case.source.data, truth.span, known)
    path = {INPUT: pair.degraded, CLEAN: pair.clean}.get(method) or context.restorations.images[pair.case]
    return {
        **common,
        "method": method,
        "seed": context.restorations.seed if own else None,
        "fold": context.restorations.fold if own else None,
        "restored": relative_path(path, context.out),
        **measured,
        **_reading_columns(read, context),
        **observe(context.observers, ObserverView(*shown)),
        "findings": findings(ObserverView(*shown)),
    }


def _reading_columns(readings: Sequence[Reading], context: EvaluationContext) -> Row:
    """The columns of ``cases.csv`` that the readings of one image fill."""
    columns: Row = {}
    for reader in context.readers:
        name, kind = reader.name, reader.property.kind
        mine = [one for one in readings if one.judge == name]
        decided = reader.property.decides and kind in ("binary", "multi_class", "regression")
        single = kind in ("binary", "regression")
        columns[f"{name}_mae"] = mine[0].error
        columns[f"{name}_probability"] = mine[0].prediction if single else math.nan
        if decided:
            decision, truth = [one.decision for one in mine], [one.truth for one in mine]
            columns[f"{name}_decision"] = decision[0] if single else _decided_class(decision)
            columns["label"] = truth[0] if single else _decided_class(truth)
    for one in readings:
        if one.judge == OBSERVER:
            columns |= {"suvr_restored": one.prediction, "suvr_decision": one.decision}
    return columns


def _decided_class(chosen: Sequence[float]) -> float:
    """The number of the class that is the one; NaN where none is."""
    return float(chosen.index(1.0)) if 1.0 in chosen else math.nan


def _common_columns(pair: Pair, context: EvaluationContext) -> Row:
    condition = pair.columns.get(context.data.condition, "") if context.data.condition else ""
    row: Row = {"case": pair.case, "subject": pair.subject, "label": pair.label, "condition": condition}
    for column in ("degraded", "clean", "cortex", "reference", "brain", "lesions"):
        path = pair.path(column)
        row[column] = relative_path(path, context.out) if path is not None else ""
    row["repeat"] = pair.columns.get("repeat", "")
    row["dose"] = _optional_number(pair.columns.get("dose", ""))
    row["suvr_true"] = _optional_number(pair.columns.get("composite_suvr", ""))
    return row


def _optional_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _quality_columns(image: Array, truth: Volume, head: Mask | None) -> Row:
    clean, span = truth.data, truth.span
    similarity = np.ones(clean.shape) if image is clean else quality.ssim_map(image, clean, span=span)
    metrics: Row = {}
    for suffix, mask in (("", None), ("_head", head)):
        if suffix and (mask is None or not mask.any()):
            continue
        metrics[f"psnr{suffix}"] = quality.psnr(image, clean, mask, span=span)
        metrics[f"ssim{suffix}"] = quality.ssim(similarity, mask)
        metrics[f"rmse{suffix}"] = quality.rmse(image, clean, mask)
        metrics[f"rmse_relative{suffix}"] = quality.rmse_relative(image, clean, mask)
    return metrics
