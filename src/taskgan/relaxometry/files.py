"""``taskgan restore relaxometry``: maps fitted once a subject, every contrast of its rows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort.pairs import REQUIRED_TO_RESTORE, Pair, read_pairs
from taskgan.core.artefact import is_done, request_digest
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError
from taskgan.core.lock import locked
from taskgan.images.volumes import Volume, is_image_name, write_volume
from taskgan.physics.sequences import CONTRASTS, Mdme, SpinEcho
from taskgan.recipe import Data, Recipe
from taskgan.relaxometry.acquisition import Columns, Relaxometry, acquisition_columns
from taskgan.relaxometry.fit import RelaxometryMaps, synthesise
from taskgan.relaxometry.protocol import ProtocolFile, SynthesisSettings
from taskgan.relaxometry.scans import Calibration, Scan, calibrate, find_scans, fit_scan, gain_warning
from taskgan.restore.inputs import Job, find_jobs, refuse_left_out
from taskgan.restore.record import (
    INTENSITY_FACTOR,
    RECORD,
    SEQUENCE_FIELDS,
    Origin,
    RestorationRecord,
    check_output,
    is_image_written,
    is_written,
    method_sidecar,
    write_image_sidecar,
)

METHOD = "relaxometry"
MAPS = "maps"
"""Folder of the maps, below the output."""
_UNITS = {"T1map": ("s", 1e-3), "T2map": ("s", 1e-3), "PDmap": ("arbitrary", 1.0), "TB1map": ("percent", 100.0)}


def restore_by_relaxometry(
    inputs: Sequence[Path],
    out: Path,
    *,
    recipe: Recipe,
    protocol_file: ProtocolFile | None = None,
    settings: Relaxometry | None = None,
    split: str | None = None,
    select: Mapping[str, str] | None = None,
    conditions: Sequence[str] = (),
    maps: bool = False,
    calibration: int = 0,
    overwrite: bool = False,
) -> Path:
    """Fit T1, T2, density and B1, and synthesise the contrasts. Everything is checked before anything is written.

    It leaves what restoring with a model leaves (``restored.yaml``, ``restored.csv``, sidecars), and goes on where
    an interrupted call stopped. A row is about the contrast in its column ``data.condition`` (default ``contrast``);
    of a table without it, every contrast is made.

    Args:
        inputs: Tables with the columns of :func:`taskgan.physics.sequences.input_columns`, or folders that hold one.
        out: Folder.
        recipe: Selects rows, and says how an evaluation reads the images.
        protocol_file: Protocol that goes before the sidecars.
        settings: Of the fit.
        split: Only this split.
        select: Only rows with these values; they go before the recipe's own selection.
        conditions: Only these contrasts.
        maps: Write T1, T2, density and B1 too.
        calibration: Training acquisitions of the first table from which each contrast gets a factor, for images
            that have a receiver gain of their own; 0 takes the input's units.
        overwrite: Replace existing output.

    Returns:
        ``out``.

    Raises:
        UserError: If an argument, the table, the protocol or the output does not allow it.
        Problems: If subjects cannot be fitted: all of them, and nothing is written.
        Failed: If images were left out: the affine or sidecar of their input could not be written beside them, or
            the fit makes nothing of it; the others are written.
    """
    if not inputs:
        raise UserError("there is nothing to restore; expected a pairs.csv")
    if is_image_name(out):
        raise UserError(f"{out} is called like an image; relaxometry makes several, expected a folder")
    setup = SynthesisSettings(settings or Relaxometry(), protocol_file or ProtocolFile())
    wished = {"split": split, "select": select, "conditions": conditions}
    with locked(out, "the restored images"):
        asked: dict[str, Any] = {"fit": setup.fit, "given": setup.protocol_file, "wished": wished, "n": calibration}
        request = request_digest(out, inputs=inputs, recipe=recipe, maps=maps, **asked)
        if not overwrite and is_done(out / RECORD, request):
            return out
        options: dict[str, Any] = {"maps": maps, "calibration": calibration, "overwrite": overwrite}
        return _restore(inputs, out, recipe, setup, wished, request, **options)


def _restore(
    inputs: Sequence[Path],
    out: Path,
    recipe: Recipe,
    setup: SynthesisSettings,
    wished: Mapping[str, Any],
    request: str,
    *,
    maps: bool,
    calibration: int,
    overwrite: bool,
) -> Path:
    """A folder that :func:`restore_by_relaxometry` has locked and that is not done."""
    columns, data = _inputs(inputs, recipe.data, setup.protocol_file)
    jobs = find_jobs(inputs, out, data, **wished)
    if series := next((job.pair.degraded for job in jobs if job.is_dicom), None):
        raise UserError(f"{series} is a DICOM series, expected NIfTI: taskgan prepare mr makes a cohort of such series")
    there = check_output(out, jobs, 0, overwrite=overwrite)
    scans, left_out = find_scans(jobs, columns, setup)
    further = [path for scan in scans if maps for path in map_paths(out, scan.name).values()]
    if not (there or overwrite) and (present := [path for path in further if path.exists()]):
        raise UserError(f"{present[0]} exists; choose another output or pass --overwrite")
    gains = "" if calibration else gain_warning(jobs)
    if gains:
        say(f"warning: {gains}")
    wanted = sorted({job.condition for job in jobs})
    factors = Calibration()
    if calibration:
        factors = calibrate(inputs[0], out, columns, data, setup, acquisitions=calibration, contrasts=wanted)
    setup = replace(setup, factors=factors.factors)
    origin = Origin.without_weights(METHOD, setup, recipe, data, factors.seen)
    about: dict[str, Any] = {"protocol": _sources(scans), "request": request} | ({"warnings": [gains]} if gains else {})
    record = RestorationRecord(out, origin, setup, jobs, about)
    resumes = record.check(overwrite=overwrite) == "unfinished"
    record.open()
    if written := {job.target for job in jobs if resumes and is_written(job, origin, setup)}:
        say(f"{out}: going on, {len(written)} of {len(jobs)} images are there")
    with progress("restore", len(jobs), "images", start=len(written)) as shown:
        for scan in scans:
            left = [job for job in scan.jobs if job.target not in written]
            if not left and (not maps or has_maps(out, scan.name, scan.jobs[0], setup, origin)):
                continue
            try:
                fitted, source = fit_scan(scan, setup)
            except UserError as error:
                left_out |= {job.target: str(error) for job in scan.jobs}
                continue
            if maps:
                write_maps(out, scan.name, scan.jobs[0].pair, fitted, source, setup, origin)
            for job in left:
                if not _write(job, scan, fitted, source, setup, origin):
                    left_out[job.target] = f"the fit makes NaN or infinite values of {job.pair.degraded}"
                shown.advance(case=job.case)
    record.close(left_out, further=further)
    many, count = "s" * (len(scans) != 1), len(jobs) - len(left_out)
    following = f"taskgan evaluate {out} COHORT -o EVALUATION"
    say(f"{out}: {count} images of {len(scans)} acquisition{many} synthesised ({following})")
    refuse_left_out(left_out, jobs)
    return out


def _inputs(inputs: Sequence[Path], data: Data, protocol_file: ProtocolFile) -> tuple[Columns, Data]:
    """The first table's columns, and the recipe's data with them and with the contrasts that can be asked for."""
    place = inputs[0]
    if place.is_dir() and not (place / "pairs.csv").is_file():
        raise UserError(f"{place} holds no pairs.csv, which relaxometry needs to know delays and echoes")
    if place.is_file() and place.suffix != ".csv":
        raise UserError(f"{place} is no table; relaxometry needs a pairs.csv to know delays and echoes")
    pairs = read_pairs(place, REQUIRED_TO_RESTORE)
    columns = acquisition_columns(pairs)
    condition = data.condition or "contrast"
    named = {pair.columns[condition] for pair in pairs} - {""} if condition in pairs.columns else set()
    own = (*data.conditions, *(target.name for target in protocol_file.targets), *CONTRASTS, *sorted(named))
    known = tuple(name for name in dict.fromkeys(own) if not named or name in named)
    own_data = {"inputs": tuple(columns), "condition": condition, "conditions": known}
    return columns, data.untold.model_copy(update=own_data)


def _sources(scans: Sequence[Scan]) -> dict[str, object]:
    """For ``restored.yaml``: where times and angles are from; the numbers are in each image's sidecar."""
    by_condition: dict[str, set[str]] = {}
    for scan in scans:
        for condition, (_, source, _) in scan.targets.items():
            by_condition.setdefault(condition, set()).add(source)
    return {
        "input": ", ".join(sorted({scan.source for scan in scans})),
        "contrasts": {name: ", ".join(sorted(sources)) for name, sources in by_condition.items()},
    }


def _write(
    job: Job, scan: Scan, maps: RelaxometryMaps, source: Volume, setup: SynthesisSettings, origin: Origin
) -> bool:
    """Synthesise and write an image; False where it would hold NaN or infinite values."""
    target, _, notes = scan.targets[job.condition]
    for note in notes:
        say(f"warning: {job.case} is {note}")
    side = synthetic_sidecar(job, target, maps, scan.protocol, setup, origin, notes)
    image = synthesise(maps, target) * np.float32(setup.factors.get(job.condition, 1.0))
    if not np.isfinite(image).all():
        return False
    write_volume(job.target, image, source.affine, like=source.header)
    write_image_sidecar(job.target, side)
    return True


def synthetic_sidecar(
    job: Job,
    target: SpinEcho,
    maps: RelaxometryMaps,
    protocol: Mdme,
    setup: SynthesisSettings,
    origin: Origin,
    notes: Sequence[str],
) -> dict[str, Any]:
    """The sidecar of a synthesised image: the scanner's fields, the sequence that it stands for, how it was made."""
    inversion = {} if target.ti is None else {"InversionTime": target.ti / 1000}
    settings = setup.as_values() | ({"condition": job.condition} if job.condition else {})
    what = f"{target.name} synthesised from fitted T1, T2 and density"
    fields = _base_sidecar(job.pair, origin, settings, what, notes)
    if job.condition in setup.factors:
        fields.pop(INTENSITY_FACTOR, None)  # it leads to the input's units, which the image has left
    return fields | {
        "SequenceName": f"synthetic {target.name}",
        "RepetitionTime": target.tr / 1000,
        "EchoTime": target.te / 1000,
        **inversion,
        "InputProtocol": protocol.model_dump(mode="json"),
        "InputNoise": maps.noise,
    }


def map_paths(out: Path, name: str) -> dict[str, Path]:
    """Where the maps of an acquisition go, by BIDS suffix."""
    return {suffix: out / MAPS / f"{name}_{suffix}.nii.gz" for suffix in _UNITS}


def has_maps(out: Path, name: str, job: Job, setup: SynthesisSettings, origin: Origin) -> bool:
    """Whether an interrupted call left the very maps of an acquisition, of which ``job`` is one of the images."""
    acquisition = replace(job, condition="")
    return all(is_image_written(path, acquisition, origin, setup) for path in map_paths(out, name).values())


def write_maps(
    out: Path, name: str, pair: Pair, maps: RelaxometryMaps, source: Volume, setup: SynthesisSettings, origin: Origin
) -> None:
    """Write T1 and T2 in seconds, density in the input's units and B1 in per cent of nominal, as BIDS has them."""
    for suffix, values in maps.by_suffix().items():
        unit, factor = _UNITS[suffix]
        side = _base_sidecar(pair, origin, setup.as_values(), f"{suffix} fitted to all delays and echoes", ())
        if suffix != "PDmap":
            side.pop(INTENSITY_FACTOR, None)  # the others have units of their own
        path, image = map_paths(out, name)[suffix], (values * factor).astype(values.dtype)
        write_volume(path, image, source.affine, like=source.header)
        write_image_sidecar(path, side | {"Units": unit, "InputNoise": maps.noise})


def _base_sidecar(
    pair: Pair, origin: Origin, settings: dict[str, Any], what: str, notes: Sequence[str]
) -> dict[str, Any]:
    fields = method_sidecar(pair, origin, settings, what, notes)
    return {key: value for key, value in fields.items() if key not in SEQUENCE_FIELDS}
