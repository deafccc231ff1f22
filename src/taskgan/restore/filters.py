"""``taskgan restore gaussian`` and ``restore nlm``: rivals without learning, tuned on validation subjects."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taskgan import __version__
from taskgan.cohort.grids import input_is_comparable
from taskgan.cohort.pairs import REQUIRED_TO_RESTORE, Pairs, read_pairs
from taskgan.cohort.slices import Array, Case, load_case, smoothed, to_volume
from taskgan.core.artefact import is_done, request_digest
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError
from taskgan.core.lock import locked
from taskgan.images.volumes import check_affine, is_image_name, read_volume, write_volume
from taskgan.judges.read import suvr_line
from taskgan.metrics.quality import psnr
from taskgan.recipe import Data, Recipe
from taskgan.restore.inputs import Job, UnfitInputError, check_metadata, find_jobs, name_unread, refuse_left_out
from taskgan.restore.record import (
    INTENSITY_FACTOR,
    RECORD,
    Origin,
    RestorationRecord,
    check_output,
    is_written,
    method_sidecar,
    seen_pairs,
    write_image_sidecar,
    write_restored,
)

Parameters = Mapping[str, float]
GRIDS: dict[str, tuple[Parameters, ...]] = {
    "gaussian": tuple({"sd_mm": sd} for sd in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 8.0)),
    "nlm": tuple({"h": h, "patch": patch} for patch in (3, 5) for h in (0.15, 0.3, 0.6, 0.9, 1.2, 1.8, 2.4)),
}
"""What is tried: the SD of a 3D Gaussian; of non-local means the strength h in units of the intensity transform's
scale, and the edge of a patch in voxels."""
_DISTANCE = 3  # voxels on either side in which non-local means look for alike patches


@dataclass(frozen=True)
class FilterSettings:
    """What decides a number: one of :data:`GRIDS`; no samples are drawn."""

    parameters: Parameters
    samples: int = 0

    def as_values(self) -> dict[str, Any]:
        """Plain values."""
        return dict(self.parameters)


def filtered(method: str, image: Array, parameters: Parameters, voxel_size: Sequence[float]) -> Array:
    """An image (X, Y, Z), network units, behind a filter; edges of voxels are in mm.

    ``gaussian``, or ``nlm``: 3D non-local means (Coupé et al. 2008, 10.1109/TMI.2007.906087).

    Raises:
        UserError: If scikit-image is missing.
    """
    if method == "gaussian":
        return smoothed(image, parameters["sd_mm"], voxel_size)
    try:
        from skimage.restoration import denoise_nl_means
    except ImportError:
        raise UserError("nlm needs scikit-image, which is not installed: pip install 'taskgan[report]'") from None
    flat = image[:, :, 0] if image.shape[2] == 1 else image
    patch, h = int(parameters["patch"]), parameters["h"]
    restored = denoise_nl_means(flat, patch_size=patch, patch_distance=_DISTANCE, h=h, fast_mode=True)
    return np.asarray(restored, dtype=np.float32).reshape(image.shape)


def restore_by_filter(
    method: str,
    inputs: Sequence[Path],
    out: Path,
    *,
    recipe: Recipe,
    split: str | None = None,
    select: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Choose a filter's parameters on the validation subjects of the first table, by PSNR, and apply it.

    It leaves what restoring with a model leaves (``restored.yaml``, ``restored.csv``, sidecars); the record says what
    every parameter reached.

    Args:
        method: One of :data:`GRIDS`.
        inputs: Tables (``pairs.csv``), or folders that hold one.
        out: Folder.
        recipe: Selects rows, scales images, and says how an evaluation reads them.
        split: Only this split.
        select: Only rows with these values; they go before the recipe's own selection.
        overwrite: Replace existing output.

    Returns:
        ``out``.

    Raises:
        UserError: If an argument, the table or the output does not allow it.
        Failed: If images were left out, whose affine or sidecar could not be written; the others are.
    """
    if is_image_name(out):
        raise UserError(f"{out} is called like an image; {method} restores the images of a table, expected a folder")
    alone = {"inputs": ("degraded",), "neighbours": 0, "context": (), "patch": None, "colour": "luminance"}
    data = recipe.data.untold.model_copy(update=alone)
    pairs = _table(inputs, data, method)
    with locked(out, "the restored images"):
        request = request_digest(
            out, method=method, inputs=inputs, recipe=recipe, split=split, select=select, version=__version__
        )
        if not overwrite and is_done(out / RECORD, request):
            return out
        jobs = find_jobs(inputs, out, data, split=split, select=select)
        check_output(out, jobs, 0, overwrite=overwrite)
        notes, left_out = _check(jobs)
        validation = _validation(pairs, data, select or {})
        scores = grid_scores(method, validation, data)
        best = int(np.argmax(scores))
        setup = FilterSettings(GRIDS[method][best])
        chosen = ", ".join(f"{name} {value:g}" for name, value in setup.parameters.items())
        say(f"{method}: {chosen} has the best PSNR on {len(validation)} validation images, {scores[best]:.2f} dB")
        grid = [{**tried, "psnr": round(score, 4)} for tried, score in zip(GRIDS[method], scores, strict=True)]
        origin = Origin.without_weights(method, setup, recipe, data, seen_pairs(validation.rows))
        line = suvr_line(validation, data, lambda case: _apply(method, case, setup.parameters))
        metadata: dict[str, Any] = {"validation": grid, "request": request}
        metadata |= {"calibration": asdict(line)} if line is not None else {}
        record = RestorationRecord(out, origin, setup, jobs, metadata)
        resumes = record.check(overwrite=overwrite) == "unfinished"
        record.open()
        for job in _progress([job for job in jobs if job.target in notes]):
            if resumes and is_written(job, origin, setup):
                continue
            case = load_case(job.pair, data, clean=False)
            image = case.intensity.invert(_apply(method, case, setup.parameters))
            side = method_sidecar(job.pair, origin, setup.as_values(), f"{method} filter", notes[job.target])
            side.pop(INTENSITY_FACTOR, None)  # of the degraded image alone: the clean ones have their own
            if job.is_photo:
                side |= write_restored(job, image)
            else:
                write_volume(job.target, image, case.source.affine, like=case.source.header)
            write_image_sidecar(job.target, side)
        record.close(left_out)
    say(f"{out}: {len(notes)} image{'s' * (len(notes) != 1)} restored by {method}")
    refuse_left_out(left_out, jobs)
    return out


def _check(jobs: Sequence[Job]) -> tuple[dict[Path, list[str]], dict[Path, str]]:
    """What the sidecars of images say, and why some images are left out, by target."""
    notes: dict[Path, list[str]] = {}
    left_out: dict[Path, str] = {}
    for job in jobs:
        try:
            notes[job.target] = check_metadata(job, read_volume(job.pair.degraded))
        except UnfitInputError as error:
            left_out[job.target] = str(error)
    name_unread(left_out, left_out, jobs, "images cannot be restored")
    return notes, left_out


def grid_scores(method: str, pairs: Pairs, data: Data) -> list[float]:
    """Mean PSNR (dB) over images (rows with a clean one) of every entry of a filter's grid."""
    scores = []
    for pair in _progress(tuple(pairs), f"tune {method}"):
        case = load_case(pair, data)
        check_affine(pair.degraded, case.source)
        assert case.clean is not None
        clean = to_volume(case.clean)
        span = None if case.source.span is None else case.source.span / case.intensity.scale
        scores.append([psnr(_apply(method, case, tried), clean, span=span) for tried in GRIDS[method]])
    return [float(mean) for mean in np.mean(scores, axis=0)]


def _apply(method: str, case: Case, parameters: Parameters) -> Array:
    return filtered(method, to_volume(case.inputs[:, 0]), parameters, case.source.voxel_size)


def _progress(items: Sequence[Any], title: str = "restore") -> Any:
    with progress(title, len(items), "images") as bar:
        for item in items:
            yield item
            bar.advance()


def _table(inputs: Sequence[Path], data: Data, method: str) -> Pairs:
    """The first table.

    Raises:
        UserError: If there is none, or its inputs are no versions of its clean images.
    """
    place = inputs[0] if inputs else Path("nothing")
    if not (place.suffix == ".csv" or (place / "pairs.csv").is_file()):
        raise UserError(f"{place} is no table; {method} needs a pairs.csv whose validation subjects it is tuned on")
    pairs = read_pairs(place, REQUIRED_TO_RESTORE)
    if not input_is_comparable(pairs, data):
        raise UserError(
            f"{pairs.source} has several clean images of one input, which {method} cannot make of it; expected one"
        )
    return pairs


def _validation(pairs: Pairs, data: Data, select: Mapping[str, str]) -> Pairs:
    """The validation rows of the doses (or what else is selected) that are restored."""
    own = {column: str(value) for column, value in data.select.items() if column in pairs.columns}
    own |= {column: value for column, value in select.items() if column != "split"}
    chosen = (pairs.select(own) if own else pairs).split("val")
    rows = tuple(pair for pair in chosen if pair.clean is not None)
    if not rows:
        raise UserError(f"{pairs.source} has no row of the split 'val' with a clean image, expected some to tune on")
    return Pairs(pairs.source, rows)
