"""What is said of images before and after a model is applied: unfit ones, and those unlike what it saw."""

from collections.abc import Sequence
from pathlib import Path

from taskgan.cohort.conditions import numeric_warnings
from taskgan.cohort.slices import Case, load_case
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError
from taskgan.degrade.degradation import Degradation
from taskgan.images.dicom.derive import check_derivable
from taskgan.images.photos import Photo, check_format, frame_count, read_photo
from taskgan.images.statistics import image_statistics, photo_statistics
from taskgan.model.folder import ModelCard, domain_warnings
from taskgan.model.restorer import RestoredVolume
from taskgan.restore.inputs import Job, UnfitInputError, check_metadata
from taskgan.restore.refine import RestoreSettings
from taskgan.restore.series import source_series

_RESOLUTION = 1.5  # times the sizes that a model saw
_CONTRADICTS = 0.02  # of the range, by root mean square: five levels of 255


def contradiction(job: Job, case: Case, restored: RestoredVolume, card: ModelCard) -> list[str]:
    """Of a photo whose degradation the card knows: whether its restoration, degraded again, is another image.

    The input itself, taken for a restoration, agrees better: what was added is not in it.
    """
    chain = Degradation(card.seen.degradation) if card.seen.degradation else None
    if not job.is_photo or chain is None or not chain.linear:
        return []
    image, degraded = restored.image, case.source.data[:, :, 0]
    error = chain.consistency(Photo(image).luminance, degraded)
    if error <= max(_CONTRADICTS, chain.consistency(degraded, degraded)):
        return []
    say(f"warning: {job.pair.degraded} does not agree with its restoration (back-projection error {error:.3f})")
    return [f"a restoration that contradicts it: degraded again, they differ by {error:.3f} (white is 1)"]


def check_images(
    jobs: Sequence[Job], card: ModelCard, settings: RestoreSettings
) -> tuple[dict[Path, list[str]], dict[Path, str], set[Path]]:
    """Read every image once.

    Returns:
        The warnings of each, and why some were left out, by target; those whose faults are theirs alone.
    """
    unread: dict[Path, str] = {}
    unfit: set[Path] = set()
    notes: dict[Path, list[str]] = {}
    case: Case | None = None
    plain = card.data.model_copy(update={"context": ()})  # smoothing can fail no image
    with progress("check", len(jobs), "images") as bar:
        for job in jobs:
            try:
                case = load_case(job.pair, plain, clean=False, known=case, enlarge=settings.enlarge)
                carried = check_metadata(job, case.source)
                notes[job.target] = [*_domain_warnings(job, case, card), *carried]
                notes[job.target] += case.source.notes
                if (kept := settings.kept) is not None and not kept.sd_mm:
                    kept.labels(job.pair, case.source)
                if job.is_photo and job.target.suffix.lower() != ".png":  # which holds everything
                    check_format(job.target, read_photo(job.pair.degraded))
                if job.is_dicom:
                    check_derivable(source_series(job), job.pair.degraded)
            except UserError as error:
                unread[job.target] = str(error)
                alone = (job.is_photo or job.is_dicom) and not job.from_table
                unfit |= {job.target} if alone or isinstance(error, UnfitInputError) else set()
            bar.advance()
    return notes, unread, unfit


def _domain_warnings(job: Job, case: Case, card: ModelCard) -> list[str]:
    """What the image has that the model did not see."""
    known = job.sidecar | {"dose": job.pair.columns.get("dose")}
    statistics = (photo_statistics if job.is_photo else image_statistics)(case.source.data)
    warnings = domain_warnings(case.source.voxel_size, case.intensity.scale, card, statistics, known)
    warnings += numeric_warnings(job.numbers, card.data)
    return warnings + (_photo_warnings(job, case, card) if job.is_photo else [])


def _photo_warnings(job: Job, case: Case, card: ModelCard) -> list[str]:
    """Of a photo: another resolution than the model's, frames that are not restored."""
    size = min(case.source.data.shape[:2])
    low, high = min(card.seen.plane[0][0], card.seen.plane[1][0]), max(card.seen.plane[0][1], card.seen.plane[1][1])
    warnings = []
    if not low / _RESOLUTION <= size <= high * _RESOLUTION:
        first, last = (f"{n} pixels" for n in case.source.data.shape[:2])
        text = f"{first} by {last}, the model saw {low} to {high}: it restores the pixels as they are"
        factor = "auto" if card.seen.factor > 1 else f"{max(2, round(low / size))}"
        warnings.append(text + (f" (--enlarge {factor} enlarges them first)" if size < low else ""))
    frames = frame_count(job.pair.degraded)
    return warnings + [f"{frames} frames, of which the first is restored"] * (frames > 1)
