"""Clean photos to pairs: cropped and resized where asked, degraded, written once; an interrupted call goes on."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from taskgan.cohort.folder import is_complete, write_description
from taskgan.cohort.grids import relative_path
from taskgan.cohort.pairs import write_pairs
from taskgan.core.console import progress
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import check_writable, checksum, remove_partial, usable_cores, versions, write_rows
from taskgan.core.settings import Settings
from taskgan.core.tables import csv_rows
from taskgan.degrade.degradation import Degradation
from taskgan.images.photos import Photo, read_photo, write_photo
from taskgan.images.volumes import read_volume
from taskgan.prepare.output import remove_cohort
from taskgan.recipe.generator import Step

Array = NDArray[np.float32]
FILE = "sources.csv"
_COLUMNS = ("case", "image", "sha256")
_LEAST = 16  # pixels along an edge: a smaller image has nothing to restore
_MEASURED = 200


@dataclass(frozen=True)
class PhotoSource:
    """One clean photo.

    Attributes:
        case: Its name in the cohort.
        path: The file.
        place: Where its images go below ``degraded`` and ``clean``, without a suffix.
        columns: Of its row in ``pairs.csv``: ``subject``, ``split``, ``label`` and further ones.
    """

    case: str
    path: Path
    place: Path
    columns: dict[str, object] = field(default_factory=dict)

    def degraded(self, out: Path) -> Path:
        """Where the degraded image goes."""
        return out / "degraded" / f"{self.place}.png"

    def clean(self, out: Path) -> Path:
        """Where the clean image goes, if it is not the user's own."""
        return out / "clean" / f"{self.place}.png"


class SourceRecord(NamedTuple):
    """Where the images of a case are, and the SHA-256 of the file that they were made from."""

    place: str
    sha256: str


def source_records(sources: Sequence[PhotoSource]) -> dict[str, SourceRecord]:
    """What the images would be made from, by case; a UserError where a file cannot be read."""
    records = {}
    with progress("check", len(sources), "images") as bar:
        for source in sources:
            try:
                records[source.case] = SourceRecord(source.place.as_posix(), checksum(source.path))
            except OSError as error:
                raise UserError(f"{source.path} cannot be read: {error.strerror}") from None
            bar.advance()
    return records


def check_unchanged(out: Path, marks: Mapping[str, SourceRecord]) -> None:
    """Of a complete cohort: it was made of these images, else a UserError."""
    held = _read_records(out)
    other = [case for case in dict.fromkeys((*marks, *held)) if marks.get(case) != held.get(case)]
    if other:
        raise UserError(
            f"{out} is complete, but of other images: {len(other)} of {len(marks)} are not those that it was made "
            f"of, such as {other[0]}; take another folder, or --overwrite"
        )


def reset_sources(out: Path, marks: Mapping[str, SourceRecord]) -> None:
    """Take away what an interrupted call made of other files, then write down what the images are made from.

    In this order: an image that is there was made from what the file says, whenever the call is killed.
    """
    for place in (mark.place for case, mark in _read_records(out).items() if marks.get(case) != mark):
        for kind in ("degraded", "clean"):
            (out / kind / f"{place}.png").unlink(missing_ok=True)
    rows = ({"case": case, "image": mark.place, "sha256": mark.sha256} for case, mark in marks.items())
    write_rows(out / FILE, _COLUMNS, rows)


def _read_records(out: Path) -> dict[str, SourceRecord]:
    if not (out / FILE).is_file():
        return {}
    return {row["case"]: SourceRecord(row["image"], row["sha256"]) for _, row in csv_rows(out / FILE, _COLUMNS)}


class PhotoPreparation(Settings):
    """How photos become pairs. The same files and settings make the same bytes.

    Attributes:
        degradation: Steps from the clean to the degraded image.
        crop: Edge of the square that is cut from the middle, pixels; 0 keeps the whole image.
        size: Shorter edge that images are brought to after the crop, pixels; 0 keeps theirs.
        colour: Write colours; without, luminance. (Networks see luminance of either, but with ``data.colour: rgb``.)
        seed: Of noise and of splits.
    """

    degradation: tuple[Step, ...] = Field(min_length=1)
    crop: int = Field(default=0, ge=0)
    size: int = Field(default=0, ge=0)
    colour: bool = False
    seed: int = Field(default=0, ge=0)

    @property
    def keeps_clean(self) -> bool:
        """Whether the clean images are the user's own files, which are referenced, not copied."""
        return not self.crop and not self.size


def _make_images(
    sources: Sequence[PhotoSource],
    marks: Mapping[str, SourceRecord],
    settings: PhotoPreparation,
    out: Path,
    workers: int,
) -> dict[str, str]:
    """Write the images of a cohort that are not there; gives why some cannot be read or cut, by case.

    An image that a killed call left is kept if it was made from the same file. Threads (0: one a core) share the work:
    decoding and encoding, which is most of it, runs outside of Python.
    """
    remove_partial(out)
    reset_sources(out, marks)
    waiting = [
        source for source in sources if not (source.degraded(out).is_file() and _clean(source, settings, out).is_file())
    ]
    chain, problems = Degradation(settings.degradation), {}
    with (
        progress("prepare", len(sources), "images", start=len(sources) - len(waiting)) as bar,
        ThreadPoolExecutor(workers or usable_cores()) as pool,
    ):
        jobs = {pool.submit(_make, source, settings, chain, out): source for source in waiting}
        try:
            for job in as_completed(jobs):
                try:
                    job.result()
                except UserError as error:
                    problems[jobs[job].case] = str(error)
                bar.advance(case=jobs[job].case)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {source.case: problems[source.case] for source in sources if source.case in problems}


def begin_cohort(
    out: Path,
    sources: Sequence[PhotoSource],
    settings: PhotoPreparation,
    description: dict[str, Any],
    *,
    overwrite: bool,
    workers: int,
    left_out: dict[str, str] | None = None,
) -> bool:
    """Write description, images and ``pairs.csv`` of a cohort, or go on with those that were begun.

    Args:
        out: Cohort folder.
        sources: The clean photos.
        settings: How.
        description: Of the cohort; its sections after ``settings`` and ``degradation`` say what it is made from.
        overwrite: Begin anew what this verb made before.
        workers: Threads; 0 takes every core.
        left_out: Takes the cases whose images are damaged, and why; None: there may be none.

    Returns:
        Whether there was something to do; False where the cohort is complete.

    Raises:
        UserError: If ``out`` holds something else, or was made of other images or with other settings.
        Problems: If images are damaged.
    """
    check_writable(out, "the cohort")
    if overwrite:
        remove_cohort(out, str(description["made_by"]))
    marks = source_records(sources)
    parts = [name for name in ("settings", "degradation", "table", "lists") if name in description]
    if is_complete(out, description, parts):
        check_unchanged(out, marks)
        return False
    write_description(out, description)
    problems = _make_images(sources, marks, settings, out, workers)
    if problems and (left_out is None or len(problems) == len(sources)):
        raise Problems(f"{len(problems)} of {len(sources)} images cannot be prepared", list(problems.values()))
    if left_out is not None:
        left_out |= problems
    usable = [source for source in sources if source.case not in problems]
    write_pairs(out / "pairs.csv", pair_rows(usable, settings, out))
    return True


def pair_rows(sources: Sequence[PhotoSource], settings: PhotoPreparation, out: Path) -> list[dict[str, object]]:
    """The rows of ``pairs.csv``; a clean image of the user's is named as seen from the cohort."""
    rows = []
    for source in sources:
        columns = dict(source.columns)
        row = {"case": source.case, "subject": columns.pop("subject"), "split": columns.pop("split")}
        row["degraded"] = source.degraded(out).relative_to(out).as_posix()
        row["clean"] = relative_path(_clean(source, settings, out), out)
        rows.append(row | columns)
    return rows


def describe(kind: str, made_by: str, settings: PhotoPreparation, **sections: Any) -> dict[str, Any]:
    """What ``cohort.yaml`` says of a cohort that is begun; ``sections`` say what it is made from."""
    return {
        "kind": kind,
        "made_by": made_by,
        "seed": settings.seed,
        "degradation": {"steps": Degradation(settings.degradation).to_dicts()},
        "settings": settings.model_dump(mode="json", exclude={"degradation"}),
        **sections,
        "versions": versions(),
        "complete": False,
    }


def measure(sources: Sequence[PhotoSource], settings: PhotoPreparation, out: Path) -> dict[str, float]:
    """What the degradation amounts to, over at most 200 of the images, evenly picked.

    Returns:
        ``input_psnr``: mean over the images in dB, range 1. ``clean_back_projection``: mean back-projection error of
        the clean images (see :meth:`~taskgan.degrade.degradation.Degradation.consistency`), the least that a
        restoration can be asked for.
    """
    chain = Degradation(settings.degradation)
    picked = np.unique(np.linspace(0, len(sources) - 1, min(_MEASURED, len(sources))).round().astype(int))
    psnr, error = [], []
    for source in (sources[k] for k in picked):
        clean = read_volume(_clean(source, settings, out)).data[:, :, 0].astype(np.float64)
        degraded = read_volume(source.degraded(out)).data[:, :, 0].astype(np.float64)
        psnr.append(-10 * np.log10(max(float(np.mean((clean - degraded) ** 2)), 1e-12)))
        error.append(chain.consistency(clean, degraded))
    return {"input_psnr": round(float(np.mean(psnr)), 2), "clean_back_projection": round(float(np.mean(error)), 5)}


def _clean(source: PhotoSource, settings: PhotoPreparation, out: Path) -> Path:
    return source.path if settings.keeps_clean else source.clean(out)


def _make(source: PhotoSource, settings: PhotoPreparation, chain: Degradation, out: Path) -> None:
    """The degraded image last: where it is, the clean one is."""
    photo = read_photo(source.path)
    pixels = photo.pixels if settings.colour else photo.luminance[:, :, None]
    pixels = _resized(_cropped(pixels, settings.crop, source.path), settings.size)
    if min(pixels.shape[:2]) < _LEAST:
        raise UserError(
            f"{source.path} has {pixels.shape[0]}×{pixels.shape[1]} pixels, expected at least {_LEAST}×{_LEAST}"
        )
    if not settings.keeps_clean:
        top = np.float32(2**photo.bits - 1)
        pixels = np.rint(np.clip(pixels, 0, 1) * top) / top  # degraded is what is written
        write_photo(source.clean(out), _without_metadata(photo, pixels), durable=False)
    rng = np.random.default_rng([settings.seed, *hashlib.sha256(source.case.encode()).digest()[:8]])
    degraded = chain.apply(pixels, rng).astype(np.float32)
    write_photo(source.degraded(out), _without_metadata(photo, degraded), durable=False)


def _without_metadata(photo: Photo, pixels: Array) -> Photo:
    """Other pixels, the same bits and colour profile, and nothing of who, where and when."""
    profile = photo.profile if pixels.shape[2] == photo.pixels.shape[2] else None
    return replace(photo, pixels=pixels, alpha=None, profile=profile, exif=b"", dpi=None)


def _cropped(pixels: Array, edge: int, path: Path) -> Array:
    if not edge:
        return pixels
    if min(pixels.shape[:2]) < edge:
        raise UserError(f"{path} has {pixels.shape[0]}×{pixels.shape[1]} pixels, too few for a crop of {edge}×{edge}")
    x, y = ((n - edge) // 2 for n in pixels.shape[:2])
    return pixels[x : x + edge, y : y + edge]


def _resized(pixels: Array, edge: int) -> Array:
    """Lanczos, which takes out what the smaller image cannot hold."""
    from PIL import Image

    shape = pixels.shape[:2]
    if not edge or min(shape) == edge:
        return pixels
    width, height = (max(1, round(n * edge / min(shape))) for n in shape)
    bands = [np.ascontiguousarray(pixels[:, :, band].T) for band in range(pixels.shape[2])]
    resized = [np.asarray(Image.fromarray(band).resize((width, height), Image.Resampling.LANCZOS)) for band in bands]
    return np.asarray(np.clip(np.stack([band.T for band in resized], axis=2), 0, 1), dtype=np.float32)
