"""A restored volume back as DICOM: the derived series of a job, and the page of it that ``restore --pdf`` adds."""

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.slices import input_files
from taskgan.core.errors import UserError
from taskgan.core.files import atomic, value_digest
from taskgan.core.version import __version__
from taskgan.images.dicom.derive import NOT_FOR_DIAGNOSIS, Derivation, derived_uid, set_file_meta, write_derived
from taskgan.images.dicom.frames import quiet, read_dataset
from taskgan.images.dicom.series import Series, SeriesFilter, find_series
from taskgan.images.dicom.suv import suv_factor
from taskgan.images.orientation import from_ras
from taskgan.images.volumes import read_volume
from taskgan.model.folder import ModelCard
from taskgan.model.restorer import Array, RestoredVolume
from taskgan.restore.inputs import Job
from taskgan.restore.record import AppliedSettings

_PDF_STORAGE = "1.2.840.10008.5.1.4.1.1.104.1"
_LEVELS = (0.25, 0.5, 0.75)
# Of the source: patient and study modules, and the frame of the session.
_KEPT = (
    *("SpecificCharacterSet", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientName"),
    *("PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "StudyDescription"),
)


def source_series(job: Job) -> Series:
    """The degraded series of a job, from its headers."""
    return find_series(job.pair.degraded, SeriesFilter(job.pair.series("degraded")))


def suv_sentence(job: Job) -> str:
    """Body-weight SUV of a series and of its restoration, or one sentence why there is none."""
    place = job.pair.degraded
    if not job.is_dicom or not job.target.is_dir():
        return f"{place}: no SUV, it is no restored DICOM series"
    try:
        figures = []
        for folder, series in ((place, job.pair.series("degraded")), (job.target, "")):
            values = read_volume(folder, series=series).data
            factor = suv_factor(find_series(folder, SeriesFilter(series)))
            figures.append(f"{factor * float(values.max()):.4g}")
    except UserError as error:
        return f"{place}: no SUV, {error}"
    return f"{place}: maximum SUV (body weight) {figures[1]} g/ml, of the input {figures[0]}; factor {factor:.6g}"


def write_restored_series(
    job: Job, image: Array, restored: RestoredVolume, card: ModelCard, settings: AppliedSettings, notes: Sequence[str]
) -> None:
    """Write the derived series of a restored volume (X, Y, Z), nearest to RAS, into the job's target, a folder."""
    series = source_series(job)
    values = from_ras(np.asarray(image, np.float32), series.affine)
    write_derived(job.target, series, values, derivation(job, restored, card, settings, notes))


def derivation(
    job: Job, restored: RestoredVolume, card: ModelCard, settings: AppliedSettings, notes: Sequence[str]
) -> Derivation:
    """What headers say of a restoration. Its key has all that decides a value besides the source."""
    used: dict[str, Any] = {**settings.as_values(), "precision_used": restored.precision, "condition": job.condition}
    used |= {"numeric": dict(job.numbers)} if job.numbers else {}
    several = len(input_files(job.pair, card.data)) > 1
    contrast = f"synthetic {job.condition}" if job.condition else "synthetic" * several
    return Derivation(
        model=card.name,
        description=f"restored by taskgan {__version__} with the model {card.name} ({card.objective}), SHA-256 "
        f"{card.checksum}",
        key=value_digest({"model": card.checksum, **used}, 64),
        version=__version__,
        warnings=tuple(notes),
        contrast=contrast,
    )


def page_path(job: Job) -> Path:
    """Where the page of a restored series goes: beside its folder."""
    return job.target.with_name(f"{job.case}_page.dcm")


def write_page(job: Job) -> Path:
    """Write the page of a restored series beside its folder; the same series give the same bytes.

    Raises:
        UserError: If matplotlib (extra ``report``) is not installed.
    """
    restored = find_series(job.target, SeriesFilter())
    header = read_dataset(restored.first.file, pixels=False)
    source = read_volume(job.pair.degraded, series=job.pair.series("degraded"))
    text = f"{header.SeriesDescription}\n{header.DerivationDescription}\n{header.ImageComments}"
    x, y, _ = source.voxel_size
    document = _page(source.data, read_volume(job.target).data, text, y / x)
    path = page_path(job)
    with atomic(path) as partial, quiet():
        _encapsulated(header, document).save_as(partial, enforce_file_format=True)
    return path


def _page(source: NDArray[np.float32], restored: NDArray[np.float32], text: str, aspect: float = 1.0) -> bytes:
    """A PDF of three levels of (X, Y, Z), nearest to RAS, text below them: grey values in one window, differences in
    the largest one's. ``aspect`` is the edge of a voxel along Y over that along X.
    """
    try:
        from matplotlib.backends.backend_pdf import FigureCanvasPdf
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("--pdf needs matplotlib: pip install 'taskgan[report]'") from None
    figure = Figure(figsize=(8.27, 11.69))
    low, high = (float(np.percentile(source, share)) for share in (0.5, 99.5))
    change = max(float(np.abs(restored - source).max()), float(np.finfo(np.float32).tiny))
    for row, level in enumerate(_LEVELS):
        k = round(level * (source.shape[2] - 1))
        planes = (
            ("input", source[:, :, k], "gray", (low, high)),
            ("restored", restored[:, :, k], "gray", (low, high)),
            (f"difference (±{change:.3g})", restored[:, :, k] - source[:, :, k], "RdBu_r", (-change, change)),
        )
        for column, (title, plane, colours, (start, end)) in enumerate(planes):
            axes = figure.add_axes((0.05 + 0.31 * column, 0.70 - 0.23 * row, 0.28, 0.21))
            # Radiological: the patient's left is on the right.
            axes.imshow(
                plane[::-1].T, cmap=colours, vmin=start, vmax=max(end, start + 1e-12), origin="lower", aspect=aspect
            )
            axes.set_axis_off()
            axes.set_title(f"{title}, slice {k + 1}", fontsize=8)
    figure.text(0.05, 0.95, NOT_FOR_DIAGNOSIS.capitalize(), fontsize=12, weight="bold")
    lines = [line for paragraph in text.split("\n") for line in textwrap.wrap(paragraph, 100)]
    figure.text(0.05, 0.20, "\n".join(lines[:18]), fontsize=8, va="top", parse_math=False)
    buffer = io.BytesIO()
    canvas: Any = FigureCanvasPdf(figure)
    canvas.print_pdf(buffer, metadata={"CreationDate": None})
    return buffer.getvalue()


def _encapsulated(header: Any, document: bytes) -> Any:
    """The data set; ``header`` is of an image of the derived series."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    new = Dataset()
    for keyword in _KEPT:
        setattr(new, keyword, getattr(header, keyword, None))
    if new.SpecificCharacterSet is None:
        del new.SpecificCharacterSet
    new.SOPClassUID = _PDF_STORAGE
    new.SOPInstanceUID = derived_uid("page", header.SeriesInstanceUID)
    new.SeriesInstanceUID = derived_uid("pages", header.SeriesInstanceUID)
    new.Modality, new.ConversionType, new.Manufacturer = "DOC", "WSD", "taskgan"
    new.SeriesNumber, new.InstanceNumber = int(header.SeriesNumber) + 1000, 1
    new.SeriesDescription = f"page of {header.SeriesDescription}"[:64]
    new.ContentDate, new.ContentTime = getattr(header, "ContentDate", None), getattr(header, "ContentTime", None)
    new.AcquisitionDateTime, new.BurnedInAnnotation = None, "NO"
    new.DocumentTitle, new.ConceptNameCodeSequence = new.SeriesDescription, Sequence([])
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    new.SourceInstanceSequence = Sequence([reference])
    new.MIMETypeOfEncapsulatedDocument = "application/pdf"
    new.EncapsulatedDocumentLength = len(document)
    new.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    set_file_meta(new)
    return new
