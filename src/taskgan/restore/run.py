"""``taskgan restore``: files in, files out, on the same grid, in the same units."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from taskgan.cohort.folder import write_derivative_description
from taskgan.cohort.slices import Case, load_case
from taskgan.core.artefact import commit_more
from taskgan.core.cluster import on_scheduler
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, value_digest
from taskgan.core.parts import Part, in_parts, parse_part
from taskgan.core.tensors import warn_of_emulated_bf16
from taskgan.images.photos import photo_bits
from taskgan.images.volumes import is_image_name, read_volume, write_volume
from taskgan.model.engines import check_engine, check_precision
from taskgan.model.folder import ModelCard
from taskgan.model.restorer import RestoredVolume, Restorer
from taskgan.model.shelf import models_called, nearest, positive
from taskgan.restore.checks import check_images, contradiction
from taskgan.restore.inputs import Job, find_jobs, name_unread, refuse_left_out
from taskgan.restore.record import (
    RECORD,
    Origin,
    RestorationProgress,
    RestorationRecord,
    is_written,
    refuse_existing,
    restored_sidecar,
    write_image_sidecar,
    write_restored,
)
from taskgan.restore.refine import Refinement, RestoreSettings, enlargement, restore_refined
from taskgan.restore.search import is_bids
from taskgan.restore.series import page_path, suv_sentence, write_page, write_restored_series


def restore(
    model: PathLike,
    inputs: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    generator: nn.Module | None = None,
    samples: int = 0,
    seed: int = 0,
    split: str | None = None,
    select: Mapping[str, str] | None = None,
    conditions: Sequence[str] = (),
    numbers: Mapping[str, str] | None = None,
    batch_size: int = 4,
    precision: str = "auto",
    engine: str = "torch",
    index: PathLike | None = None,
    threads: int = 0,
    series: Sequence[str] = (),
    suv: bool = False,
    pdf: bool = False,
    enlarge: float | str = 1,
    refinement: Refinement | None = None,
    remarks: Sequence[str] = (),
    part: str | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Apply a model to images. Everything is checked before anything is written.

    Of several photos or series that no table lists, those that cannot be read are named and left out, and so are
    images whose affine or sidecar could not be written: the others are restored, the record says what is missing, and
    the call fails at its end. Called again with the same arguments, it goes on: images that are there, made by the
    same model, from the same source, with the same settings, are kept, if they have the checksums that their
    sidecars vouch for. A finished one says so.

    Args:
        model: Model folder, or a run folder that has one; or a name of :mod:`taskgan.model.shelf`, by which the model
            of a family is taken that saw images most like the first one.
        inputs: One or several: NIfTI files or photos, folders of them, or tables (``pairs.csv``, or a folder that
            holds one), DICOM series, studies or a DICOMDIR.
        out: Folder. For a single image it may be a file: ``.nii.gz`` of NIfTI, ``.png``, ``.jpg``, ``.tif`` or
            ``.bmp`` of a photo.
        generator: The module, where the model was trained with a G of the user's own.
        samples: 0 restores once; N (at least 2) draws N restorations with dropout on and writes their mean and,
            as ``<name>_sd.nii.gz``, their standard deviation.
        seed: Of the samples.
        split: Of a table, only this split.
        select: Of a table, only rows with these values; they go before the model's own selection.
        conditions: Only these of the model's conditions (contrasts); empty makes of a table's row the one that it is
            about, and of other images all.
        numbers: What the model is told (``data.numeric``) of images without a table, e.g. ``{"dose": "5"}``.
        batch_size: Slices at once: memory, not results.
        precision: ``auto``, ``32`` or ``bf16`` (on the CPU; a GPU, where there is one, works in float32).
        engine: What computes, see :mod:`taskgan.model.engines`.
        index: Folder of a centre's own models; None is those of ``TASKGAN_MODELS``.
        threads: CPU threads; 0 leaves it to torch.
        series: Of studies and folders of DICOM series only these: number, identifier, modality, or pattern of the
            description with ``*`` and ``?``; empty is all.
        suv: Say the body-weight SUV of each PET series, or why there is none.
        pdf: Of each series write a page of input, restored image and difference, ``<name>_page.dcm``.
        enlarge: Give photos so many times more pixels along each axis first; ``auto``: as many as the training inputs
            had fewer, by the model card.
        refinement: What is done beyond the model: values kept, mirror images averaged, weights between two models.
        remarks: What else the results shall say among their warnings.
        part: ``K/N``: only every N-th subject from the K-th on; the part that ends last writes table and record.
        scheduler: Address of a Dask scheduler, whose workers restore a subject each, on their own devices.
        overwrite: Replace existing output.

    Returns:
        ``out``.

    Raises:
        UserError: If the model, an argument or the output does not allow it, or another process writes there.
        Problems: If images cannot be restored: all of them, and nothing is written.
        Failed: If the model holds NaN.
        LeftOut: If images, or those of which it makes NaN, were left out; the others are written.
    """
    out, refinement, shared = Path(out), refinement or Refinement(), parse_part(part)
    _check_call(out, generator, shared, scheduler)
    places = _checked_places(inputs, out)
    refinement.check(samples)
    if scheduler:  # whose workers stand elsewhere
        out, places, refinement = out.resolve(), [place.resolve() for place in places], refinement.resolved()
    torch.set_num_threads(threads or torch.get_num_threads())
    wished: dict[str, Any] = {"split": split, "select": select, "conditions": conditions, "series": series}
    wished["numbers"] = numbers
    mode, computes = check_precision(precision), check_engine(engine)
    if not Path(model).exists():
        model = _listed_model(str(model), places, out, wished, Path(index) if index else None)
    model = Path(model).resolve() if scheduler else model
    options: dict[str, Any] = {"precision": mode, "batch_size": batch_size, "engine": computes}
    options["between"] = refinement.mixture
    restorer = _restorer(model, options, generator)
    assert restorer.card is not None
    card = restorer.card
    if samples:
        restorer.check_samples(samples)
    jobs = find_jobs(places, out, card.data, sd=samples > 0, suffix=card.seen.suffix, **wished)
    _check_pages(jobs if pdf else ())
    kept = refinement.kept(card, jobs)
    larger = enlargement(enlarge, card, jobs)
    settings = RestoreSettings(precision, samples, seed, refinement.average, kept, card.mixed, larger, engine)

    def _each(own: Sequence[Job], written: Collection[Path], notes: Mapping[Path, list[str]]) -> dict[Path, str]:
        if scheduler:
            return _restore_on(scheduler, own, written, notes, (model, options, settings))
        return _restore_each(own, written, notes, restorer, settings)

    def _work(own: Part | None) -> bool:
        whole = _restore_jobs(_each, card, jobs, out, settings, remarks, own, overwrite=overwrite)
        if own is None:
            if any(map(is_bids, places)) and not is_image_name(out) and not is_bids(out):
                write_derivative_description(out, f"Images restored by {card.name}")
            if pdf:
                _add_pages(jobs, out)
            for job in jobs if suv else ():
                say(suv_sentence(job))
        return whole

    targets = [str(job.target.relative_to(out)) for job in jobs] if shared else []
    key = value_digest({"model": card.checksum, "settings": settings.as_values(), "targets": targets})
    in_parts(out, "the restored images", shared, _work, key=key, beside=is_image_name(out))
    return out


def _check_call(out: Path, generator: nn.Module | None, part: Part | None, scheduler: str | None) -> None:
    if part and is_image_name(out):
        raise UserError(f"{out} is a file; expected a folder, whose images --part shares out")
    if scheduler and generator is not None:
        raise UserError("a generator of your own does not travel to the workers of a scheduler")


def _check_pages(jobs: Sequence[Job]) -> None:
    if other := next((job.pair.degraded for job in jobs if not job.is_dicom), None):
        raise UserError(f"{other} is no DICOM series: --pdf writes a page into the study of one")


def _add_pages(jobs: Sequence[Job], out: Path) -> None:
    """Write a page into the study of each series; the record vouches for them too."""
    pages = {job.case: write_page(job) for job in jobs}
    commit_more(out / RECORD, pages.values())
    for case, page in pages.items():
        say(f"{page}: a page of {case}")


def _checked_places(inputs: PathLike | Sequence[PathLike], out: Path) -> list[Path]:
    """What the user points at, if it is anything and the output is no other file."""
    places = [Path(place) for place in ([inputs] if isinstance(inputs, str | os.PathLike) else inputs)]
    if not places:
        raise UserError(
            "there is nothing to restore; expected NIfTI files, photos, DICOM series, folders or a pairs.csv"
        )
    if out.exists() and not out.is_dir() and not is_image_name(out):
        raise UserError(f"{out} is a file; expected a folder, or a name that ends in .nii.gz or .png")
    return places


def _listed_model(name: str, at: Sequence[Path], out: Path, wished: Mapping[str, Any], index: Path | None) -> Path:
    """The folder of a model by its name; of a family the one nearest to the first image, which it says."""
    if name.startswith((".", "/")) or Path(name).suffix:
        raise UserError(f"{name} does not exist; expected a model folder or the name of a listed model")
    models = models_called(name, index)
    card, numbers = models[0].card, set(wished["numbers"] or ())
    first = find_jobs(at, out, card.data.untold, suffix=card.seen.suffix, **{**wished, "numbers": None})[0]
    dose = positive(first.pair.columns.get("dose") or first.sidecar.get("DosePercent"))
    known = numbers | {column for column, value in first.pair.columns.items() if value} | ({"dose"} if dose else set())
    models = [one for one in models if numbers <= set(one.card.data.numeric) <= known] or models  # can be told
    image = read_volume(first.pair.degraded, axes=card.data.axes, series=first.pair.series("degraded"))
    best, why = nearest(models, image.voxel_size, dose)
    say(why)
    return best.folder


def _restorer(model: PathLike, options: Mapping[str, Any], generator: nn.Module | None = None) -> Restorer:
    gpu = torch.cuda.is_available() and options["precision"] != "bf16" and options["engine"] == "torch"
    device = "cuda" if gpu else "cpu"
    warn_of_emulated_bf16(options["precision"], device)
    return Restorer.from_folder(model, generator=generator, **options, device=device)


_Each = Callable[[Sequence[Job], Collection[Path], Mapping[Path, list[str]]], dict[Path, str]]


def _restore_jobs(
    each: _Each,
    card: ModelCard,
    jobs: Sequence[Job],
    out: Path,
    settings: RestoreSettings,
    remarks: Sequence[str],
    part: Part | None,
    *,
    overwrite: bool,
) -> bool:
    """Restore the images of a part that are missing; of all, close the record too. Says whether all are there."""
    line = {"calibration": card.calibration} if card.calibration and settings.plain else {}
    record = None if is_image_name(out) else RestorationRecord(out, Origin.from_card(card), settings, jobs, line)
    status = _earlier_progress(record, jobs, Origin.from_card(card), settings, overwrite=overwrite)
    if status == "done":
        say(f"{out}: already done (--overwrite restores anew)")
        return True
    own = part.of(jobs, lambda job: job.pair.subject) if part else jobs
    notes, unread, unfit = check_images(own, card, settings)
    name_unread(unread, unfit, jobs, "images cannot be restored")
    notes = {target: [*own, *remarks] for target, own in notes.items()}
    if record is not None:
        record.open()
    for job in own if status == "new" else ():
        page_path(job).unlink(missing_ok=True)  # of a restoration that this one replaces
    good = [job for job in own if job.target not in unread]
    written = {
        job.target for job in good if status == "unfinished" and is_written(job, Origin.from_card(card), settings)
    }
    if written:
        say(f"{out}: going on, {len(written)} of {len(good)} images are there")
    left_out = unread | each(good, written, notes)
    if record is not None and part is None:
        record.close(left_out)
    count = len(own) - len(left_out)
    say(f"{out}: {count} image{'s' * (count != 1)} restored by {card.name}")
    refuse_left_out(left_out, own)
    return part is None


def _earlier_progress(
    record: RestorationRecord | None, jobs: Sequence[Job], origin: Origin, settings: RestoreSettings, *, overwrite: bool
) -> RestorationProgress:
    """What an earlier call has left; of one output file the sidecar tells."""
    if record is not None:
        return record.check(overwrite=overwrite)
    if not overwrite and all(is_written(job, origin, settings) for job in jobs):
        return "done"
    if not overwrite:
        refuse_existing(jobs, settings.samples)
    return "new"


def _restore_each(
    jobs: Sequence[Job],
    written: Collection[Path],
    notes: Mapping[Path, list[str]],
    restorer: Restorer,
    settings: RestoreSettings,
) -> dict[Path, str]:
    """Restore and write; gives why some were left out, by target."""
    card, case = restorer.card, None
    assert card is not None
    left_out: dict[Path, str] = {}
    with progress("restore", len(jobs), "images", start=len(written)) as bar:
        for job in jobs:
            _warn(job, notes)
            if job.target in written:
                continue
            # The next row is often about another contrast of the same acquisition.
            case = load_case(job.pair, card.data, clean=False, known=case, enlarge=settings.enlarge)
            # A thousandth of the range is nothing in 8 bits and 65 levels in 16.
            exact = settings.precision == "auto" and job.is_photo and photo_bits(job.pair.degraded) > 8
            able = (restorer.in_float32() if exact else restorer).with_numbers(job.numbers)
            restored = restore_refined(able, job, case, settings)
            if not (np.isfinite(restored.image).all() and (restored.sd is None or np.isfinite(restored.sd).all())):
                left_out[job.target] = f"{card.name} makes NaN or infinite values of {job.pair.degraded}"
            else:
                notes[job.target] += contradiction(job, case, restored, card)
                _write_image(job, case, restored, card, settings, notes[job.target])
            bar.advance(case=job.case)
    return left_out


def _restore_on(
    scheduler: str,
    jobs: Sequence[Job],
    written: Collection[Path],
    notes: Mapping[Path, list[str]],
    setup: tuple[PathLike, Mapping[str, Any], RestoreSettings],
) -> dict[Path, str]:
    """The same on the workers of a scheduler, a subject each; ``setup`` is of :func:`_subject_restorer`."""
    subjects: dict[str, list[Job]] = {}
    for job in jobs:
        _warn(job, notes)
        if job.target not in written:
            subjects.setdefault(job.pair.subject, []).append(job)
    tasks = [(own, {job.target: notes[job.target] for job in own}) for own in subjects.values()]
    left_out: dict[Path, str] = {}
    with progress("restore", len(jobs), "images", start=len(written)) as bar:
        for count, why in on_scheduler(scheduler, _subject_restorer, setup, tasks):
            left_out |= why
            bar.advance(count)
    return {job.target: left_out[job.target] for job in jobs if job.target in left_out}


def _subject_restorer(
    model: PathLike, options: Mapping[str, Any], settings: RestoreSettings
) -> Callable[[tuple[Sequence[Job], Mapping[Path, list[str]]]], tuple[int, dict[Path, str]]]:
    """What restores the images of a subject on a worker; it keeps the model from one to the next."""
    restorer = _restorer(model, options)

    def _restore(task: tuple[Sequence[Job], Mapping[Path, list[str]]]) -> tuple[int, dict[Path, str]]:
        jobs, notes = task
        return len(jobs), _restore_each(jobs, (), notes, restorer, settings)

    return _restore


def _warn(job: Job, notes: Mapping[Path, Sequence[str]]) -> None:
    if notes[job.target]:
        say(f"warning: {job.pair.degraded} has {'; and '.join(notes[job.target])}")


def _write_image(
    job: Job, case: Case, restored: RestoredVolume, card: ModelCard, settings: RestoreSettings, notes: Sequence[str]
) -> None:
    """The mean last: where it exists, all that belongs to it does."""
    what = f"mean of {settings.samples} restored images" if settings.samples else "restored image"
    images = [(job.target, restored.image, what)]
    if restored.sd is not None:
        spread = f"standard deviation over {settings.samples} restored images"
        images.insert(0, (job.sd, restored.sd, spread))
    for path, image, description in images:
        side = restored_sidecar(job, restored, card, settings, notes, what=description)
        if path == job.target and job.is_photo:
            side |= write_restored(job, image, settings.enlarge)
        elif path == job.target and job.is_dicom:
            write_restored_series(job, case.source.in_file_axes(image), restored, card, settings, notes)
        else:
            values = case.source.in_file_axes(image.astype(np.float32, copy=False))
            write_volume(path, values, case.source.file_affine, like=case.source.header)
        write_image_sidecar(path, side)
