"""All measures of one case: the rows of its degraded, clean and restored image."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.images import Volume, read_volume
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.targets import Targets
from taskgan.errors import UserError
from taskgan.evaluate import quality
from taskgan.evaluate.features import Positions
from taskgan.evaluate.read_image import questions, read_image
from taskgan.evaluate.reading import Reader
from taskgan.evaluate.restorations import Restorations
from taskgan.evaluate.settings import Evaluation
from taskgan.evaluate.suvr import composite
from taskgan.recipe import Data, Target

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Row = dict[str, Any]


def measure_case(
    pair: Pair,
    restorations: Restorations,
    data: Data,
    readers: Mapping[str, Reader],
    settings: Evaluation,
    out: Path,
    positions: Positions | None = None,
    targets: Targets | None = None,
) -> list[Row]:
    """Measure the degraded image, the clean image and the restored one.

    Args:
        pair: The case.
        restorations: Where its restored image is.
        data: Gives the intensity transform, which is fitted on the degraded image for all three.
        readers: ``task`` and ``judge``, or fewer.
        settings: Cut and slices.
        out: The evaluation folder; paths in the rows are relative to it.
        positions: Takes what the judge makes of the three images, where the geometry is wanted.
        targets: What the readers read; None is a binary property in the column ``label``.

    Returns:
        Three rows of ``cases.csv``: methods ``input``, ``clean`` and the restorations' own. Their key ``outputs``
        has the rows of ``readings.csv``.

    Raises:
        UserError: If an image or mask cannot be read or is on another grid than the case.
    """
    if pair.clean is None:
        raise UserError(f"row {pair.row} (case {pair.case}) names no clean image to compare with")
    source, truth = read_volume(pair.degraded), read_volume(pair.clean)
    same_grid(truth, source, pair.clean, pair)
    intensity = data.intensity.fit(source.data, str(pair.degraded))
    restored_path = restorations.images[pair.case]
    restored = read_volume(restored_path)
    same_grid(restored, source, restored_path, pair)
    masks = {column: _mask(pair, column, source) for column in ("mask", "cortex", "reference")}
    volumes = {
        "input": (pair.degraded, source.data),
        "clean": (pair.clean, truth.data),
        restorations.method: (restored_path, restored.data),
    }
    common = _common(pair, out)
    targets = targets or Targets.of(Target(), Pairs(pair.folder, (pair,)))
    asked = questions(pair, source, intensity.apply(truth.data), targets, readers, settings)
    rows = []
    for method, (path, image) in volumes.items():
        own = method == restorations.method
        scaled = intensity.apply(image)
        if positions is not None:
            positions.add(pair.case, "restored" if own else method, scaled)
        try:
            measured = _quality(image, truth.data, masks["mask"])
        except UserError as error:
            raise UserError(f"{pair.clean} cannot be compared with: {error}") from None
        row = {
            **common,
            "method": method,
            "seed": restorations.seed if own else None,
            "fold": restorations.fold if own else None,
            "restored": relative(path, out),
            **measured,
            **read_image(scaled, asked, readers, settings),
            **_suvr(image, truth.data, masks, settings.suvr_cut),
        }
        of = {"case": pair.case, "subject": pair.subject, "method": method}
        row["outputs"] = [{**of, **output} for output in row["outputs"]]
        rows.append(row)
    return rows


def same_grid(image: Volume, source: Volume, path: Path, pair: Pair) -> None:
    """Refuse an image whose shape or affine is not the case's (0.1 mm at the far corner is tolerated).

    Raises:
        UserError: It names the file and both grids.
    """
    if image.data.shape != source.data.shape:
        raise UserError(
            f"{path} has shape {'×'.join(map(str, image.data.shape))}, expected "
            f"{'×'.join(map(str, source.data.shape))} like {pair.degraded}"
        )
    corner = np.array([*source.data.shape, 1.0])
    off = float(np.linalg.norm((image.affine - source.affine) @ corner))
    if off > 0.1 or not np.allclose(image.affine, source.affine, atol=1e-2):
        raise UserError(
            f"{path} is on another grid than {pair.degraded}: the far corner is {off:.2f} mm away"
        )


def relative(path: Path, folder: Path) -> str:
    """``path`` as seen from ``folder``, so that the two can move together."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _mask(pair: Pair, column: str, source: Volume) -> Mask | None:
    path = pair.path(column)
    if path is None:
        return None
    volume = read_volume(path)
    same_grid(volume, source, path, pair)
    return np.asarray(volume.data > 0.5)


def _common(pair: Pair, out: Path) -> Row:
    row: Row = {"case": pair.case, "subject": pair.subject, "label": pair.label}
    for column in ("degraded", "clean", "cortex", "reference"):
        path = pair.path(column)
        row[column] = relative(path, out) if path is not None else ""
    for column, name in (("dose", "dose"), ("composite_suvr", "suvr_true")):
        row[name] = _number(pair.columns.get(column, ""))
    return row


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _quality(image: Array, clean: Array, head: Mask | None) -> Row:
    similarity = quality.ssim_map(image, clean)
    found: Row = {}
    for suffix, mask in (("", None), ("_head", head)):
        if suffix and (mask is None or not mask.any()):
            continue
        found[f"psnr{suffix}"] = quality.psnr(image, clean, mask)
        found[f"ssim{suffix}"] = quality.ssim(similarity, mask)
        found[f"rmse{suffix}"] = quality.rmse(image, clean, mask)
        found[f"rmse_relative{suffix}"] = quality.rmse_relative(image, clean, mask)
    return found


def _suvr(image: Array, clean: Array, masks: Mapping[str, Mask | None], cut: float) -> Row:
    cortex, reference = masks["cortex"], masks["reference"]
    if cortex is None or reference is None:
        return {}
    before, after = composite(clean, cortex, reference), composite(image, cortex, reference)
    decision = int(after >= cut) if np.isfinite(after) else None
    return {
        "suvr_reference": before,
        "suvr_restored": after,
        "suvr_bias": after - before,
        "suvr_decision": decision,
    }
