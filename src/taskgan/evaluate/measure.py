"""All measures of one case: the rows of its degraded, clean and restored image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.images import Volume, read_volume
from taskgan.cohort.pairs import Pair
from taskgan.cohort.targets import Targets
from taskgan.errors import UserError
from taskgan.evaluate.features import Positions
from taskgan.evaluate.grids import relative, same_grid
from taskgan.evaluate.masks import Masks
from taskgan.evaluate.observers import Observer, View, observe
from taskgan.evaluate.read_image import answers, questions, reading_columns
from taskgan.evaluate.reading import Reader
from taskgan.evaluate.restorations import Restorations
from taskgan.evaluate.settings import Evaluation
from taskgan.metrics import quality
from taskgan.recipe import Data

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Row = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """What the cases of an evaluation are measured with.

    Attributes:
        restorations: Where the restored images are.
        data: Gives the intensity transform, which is fitted on the degraded image for all images of a case, and the
            column that says which of several images of a subject a row is about.
        readers: ``task`` and ``judge``, or fewer.
        observers: What measures by masks.
        settings: Slices.
        out: The evaluation folder; paths in the rows are relative to it.
        targets: What the readers read.
        positions: Takes what the judge makes of the images, where the geometry is wanted.
        with_input: Whether the degraded image is another version of the clean one, so that it has a row too (see
            :func:`taskgan.evaluate.compared.input_is_comparable`).
        masks: Those that were read last.
    """

    restorations: Restorations
    data: Data
    readers: Mapping[str, Reader]
    observers: tuple[Observer, ...]
    settings: Evaluation
    out: Path
    targets: Targets
    positions: Positions | None = None
    with_input: bool = True
    masks: Masks = field(default_factory=Masks)

    @property
    def columns(self) -> tuple[str, ...]:
        """Masks of ``pairs.csv`` that any measure asks for."""
        asked = [name for one in self.observers for name in one.needs]
        return tuple(dict.fromkeys(["mask", *asked]))


@dataclass(frozen=True)
class _Opened:
    """A case with its images.

    Attributes:
        pair: The case.
        source: Its degraded image.
        truth: Its clean image.
        images: Path and image (X, Y, Z) by method: ``input`` (where it has a row), ``clean``, the restorations' own.
        scaled: The same in network units.
        masks: Those that it has, by column.
    """

    pair: Pair
    source: Volume
    truth: Volume
    images: Mapping[str, tuple[Path, Array]]
    scaled: Mapping[str, Array]
    masks: Mapping[str, Mask]


def measure_cases(pairs: Sequence[Pair], bench: Bench) -> list[Row]:
    """Measure the degraded image, the clean image and the restored one of some cases.

    Args:
        pairs: The cases, which are held in memory and read together.
        bench: How.

    Returns:
        Rows of ``cases.csv``: methods ``input`` (where it has a row), ``clean`` and the restorations' own. Their key
        ``outputs`` has the rows of ``readings.csv``.

    Raises:
        UserError: If an image or mask cannot be read or is on another grid than the case.
    """
    settings, readers = bench.settings, bench.readers
    opened = [_open(pair, bench) for pair in pairs]
    asked = [questions(one.pair, one.source, bench.targets, readers) for one in opened]
    said = answers(readers, asked, [one.scaled for one in opened], settings)
    if bench.positions is not None:
        own = bench.restorations.method
        bench.positions.add(
            {
                (one.pair.case, "restored" if method == own else method): image
                for one in opened
                for method, image in one.scaled.items()
            }
        )
    rows = []
    for one, questioned, told in zip(opened, asked, said, strict=True):
        held = {name: q.anchored(told.get(name, {}).get("clean")) for name, q in questioned.items()}
        common = _common(one.pair, bench)
        for method in one.images:
            read = reading_columns(told, method, held, settings)
            rows.append(_row(one, method, common, read, bench))
    return rows


def _open(pair: Pair, bench: Bench) -> _Opened:
    restorations = bench.restorations
    if pair.clean is None:
        raise UserError(f"row {pair.row} (case {pair.case}) names no clean image to compare with")
    source, truth = read_volume(pair.degraded), read_volume(pair.clean)
    same_grid(truth, source, pair.clean, pair)
    intensity = bench.data.intensity.fit(source.data, str(pair.degraded))
    restored_path = restorations.images[pair.case]
    restored = read_volume(restored_path)
    same_grid(restored, source, restored_path, pair)
    named = {column: bench.masks.read(pair, column, source) for column in bench.columns}
    images = {
        "input": (pair.degraded, source.data),
        "clean": (pair.clean, truth.data),
        restorations.method: (restored_path, restored.data),
    }
    if not bench.with_input:
        del images["input"]
    return _Opened(
        pair,
        source,
        truth,
        images,
        scaled={method: intensity.apply(image) for method, (_, image) in images.items()},
        masks={column: mask for column, mask in named.items() if mask is not None},
    )


def _row(one: _Opened, method: str, common: Row, read: Row, bench: Bench) -> Row:
    """One image of a case."""
    (path, image), truth = one.images[method], one.truth
    own = method == bench.restorations.method
    try:
        measured = _quality(image, truth, one.masks.get("mask"))
    except UserError as error:
        raise UserError(f"{one.pair.clean} cannot be compared with: {error}") from None
    view = View(
        image, truth.data, one.masks, truth.voxel_size, common["condition"], one.source.data, truth.span
    )
    row = {
        **common,
        "method": method,
        "seed": bench.restorations.seed if own else None,
        "fold": bench.restorations.fold if own else None,
        "restored": relative(path, bench.out),
        **measured,
        **read,
        **observe(bench.observers, view),
    }
    of = {"case": one.pair.case, "subject": one.pair.subject, "method": method}
    row["outputs"] = [{**of, **output} for output in row["outputs"]]
    return row


def _common(pair: Pair, bench: Bench) -> Row:
    row: Row = {"case": pair.case, "subject": pair.subject, "label": pair.label}
    row["condition"] = pair.columns.get(bench.data.condition, "") if bench.data.condition else ""
    for column in ("degraded", "clean", "cortex", "reference", "brain", "lesions"):
        path = pair.path(column)
        row[column] = relative(path, bench.out) if path is not None else ""
    for column, name in (("dose", "dose"), ("composite_suvr", "suvr_true")):
        row[name] = _number(pair.columns.get(column, ""))
    return row


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _quality(image: Array, truth: Volume, head: Mask | None) -> Row:
    clean, span = truth.data, truth.span
    similarity = np.ones(clean.shape) if image is clean else quality.ssim_map(image, clean, span=span)
    found: Row = {}
    for suffix, mask in (("", None), ("_head", head)):
        if suffix and (mask is None or not mask.any()):
            continue
        found[f"psnr{suffix}"] = quality.psnr(image, clean, mask, span=span)
        found[f"ssim{suffix}"] = quality.ssim(similarity, mask)
        found[f"rmse{suffix}"] = quality.rmse(image, clean, mask)
        found[f"rmse_relative{suffix}"] = quality.rmse_relative(image, clean, mask)
    return found
