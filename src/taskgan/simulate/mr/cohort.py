"""``taskgan simulate mr``: a subject from the plan to its files, and the cohort folder in the words of BIDS 1.10.

Names that every multi-contrast MR cohort shares are in :mod:`taskgan.physics.mdme`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.folder import write_participants
from taskgan.cohort.pairs import write_pairs
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, write_json
from taskgan.core.version import __version__
from taskgan.images.volumes import write_volume
from taskgan.physics import sequences
from taskgan.physics.sequences import MASK_TYPES, PARTS, Mdme, SpinEcho, input_path, target_path
from taskgan.physics.tissues import Tissue, draw_tissues, effective_tissues, index
from taskgan.simulate.anatomy import WHITE, Anatomy
from taskgan.simulate.deform import Interpolation, draw_shape, rotation
from taskgan.simulate.mr.body import Movement, body, draw_disease, scanned_head, truth_masks
from taskgan.simulate.mr.scan import acquire_mdme, acquire_target, draw_fields
from taskgan.simulate.mr.settings import KINDS, MrSimulation, MrSubject, plan_subjects
from taskgan.simulate.workers import TRUTH_FOLDER, CohortKind, Record, record_path, simulate_cohort

MASKS = MASK_TYPES
"""Masks of the truth and their ``Type``."""
_MASK_TEXT = {
    "head": "Most of the voxel is head",
    "brain": "Most of the voxel is brain",
    "lesions": "At least half of the voxel is white-matter lesion, tumour or oedema",
    "tumour": "At least half of the voxel is solid tumour",
    "white": "Nearly pure healthy white matter",
    "grey": "Nearly pure healthy grey matter without striatum and thalamus",
    "csf": "Nearly pure cerebrospinal fluid",
}
PARTICIPANTS = {
    "patient": "1: patient, 0: control",
    "pathology": "control, lesions (white-matter lesions) or tumour (metastasis with oedema)",
    "lesion_count": "White-matter lesions that were drawn; some are too small for the lesion mask",
    "lesion_ml": "Volume of white-matter lesion, tumour and oedema by their fractions, in millilitres",
    "tumour_ml": "Volume of solid tumour by its fraction, in millilitres",
    "anatomy": "Anatomy that the subject was made from",
    "split": "train, val or test",
}
_README = """\
Simulated multi-contrast MR at 3 T, made by taskgan {version}. No person was scanned.

sub-*/anat holds the input, a multi-delay multi-echo acquisition (acq-delayNNNN: saturation delay in ms, real and
imaginary parts, which have a sign), and the conventional contrasts: T1w, acq-flair_T1w (T1-FLAIR), T2w, FLAIR
(T2-FLAIR), acq-stir_T2w (STIR) and PDw. Units are arbitrary and the same in all images of a subject: 1 is the
signal of fully relaxed water at nominal gain. derivatives/truth holds masks. pairs.csv lists one pair per subject
and contrast, cohort.yaml the settings, seed, versions and measured figures.
"""


def truth_path(subject: str, name: str) -> Path:
    """Path of a mask of :data:`MASKS`."""
    return TRUTH_FOLDER / subject / "anat" / f"{subject}_desc-{name}_mask.nii.gz"


def input_sidecar(protocol: Mdme, td: float, te: float, slice_mm: float) -> dict[str, Any]:
    """Sidecar of an input image. Times are in seconds.

    The delay after saturation is BIDS's ``InversionTime``: a saturation by more than 90° inverts in part.
    """
    return {
        **_scanner(slice_mm),
        "SequenceName": "MDME (QRAPMASTER)",
        "ScanningSequence": "SE",
        "RepetitionTime": protocol.tr / 1000,
        "RepetitionTimeExcitation": protocol.tr / 1000,
        "EchoTime": te / 1000,
        "InversionTime": td / 1000,
        "FlipAngle": protocol.excitation_deg,
        "SaturationFlipAngle": protocol.saturation_deg,
        "Units": "arbitrary",
    }


def target_sidecar(target: SpinEcho, slice_mm: float) -> dict[str, Any]:
    """Sidecar of a conventional image. Times are in seconds."""
    inversion = {} if target.ti is None else {"InversionTime": target.ti / 1000}
    return {
        **_scanner(slice_mm),
        "SequenceName": target.name,
        "ScanningSequence": "SE" if target.ti is None else ["SE", "IR"],
        "RepetitionTime": target.tr / 1000,
        "EchoTime": target.te / 1000,
        **inversion,
        "FlipAngle": 90,
        "Units": "arbitrary",
    }


def _scanner(slice_mm: float) -> dict[str, Any]:
    return {
        "Manufacturer": "Simulated",
        "ManufacturersModelName": "taskgan signal equations",
        "SoftwareVersions": f"taskgan {__version__}",
        "MagneticFieldStrength": 3,
        "BodyPart": "BRAIN",
        "MRAcquisitionType": "2D",
        "SliceThickness": slice_mm,
    }


def simulate_mr(out: PathLike, settings: MrSimulation | None = None, *, workers: int = 0, **how: Any) -> Path:
    """Make a cohort, see :func:`~taskgan.simulate.workers.simulate_cohort`."""
    kind = CohortKind(
        name="mr",
        plan=plan_subjects,
        make=make_subject,
        title="Simulated multi-contrast MR",
        truth="True lesions and tissues",
        readme=_README,
        write_tables=_write_tables,
        measure=_cohort_metrics,
        sentence=lambda wanted, records: (
            f"{sum(r['kind'] != 'control' for r in records)} of them patients, {len(wanted.targets)} contrasts each "
            f"(taskgan info {out})"
        ),
        further=lambda wanted: {
            "inputs": list(input_columns(wanted.mdme)),
            "contrasts": {str(sequences.CONTRASTS.index(target.name)): target.name for target in wanted.targets},
        },
        device="geometry",
        detailed=True,
    )
    return simulate_cohort(Path(out), settings or MrSimulation(), kind, workers=workers, **how)


def input_columns(protocol: Mdme) -> dict[str, tuple[int, int, str]]:
    """Columns of a protocol's images, see :func:`taskgan.physics.sequences.input_columns`."""
    return sequences.input_columns(len(protocol.delays), len(protocol.echoes))


def _write_tables(out: Path, settings: MrSimulation, records: Sequence[Record]) -> None:
    write_participants(out, PARTICIPANTS, [{"participant_id": r["subject"], **_subject_columns(r)} for r in records])
    columns = input_columns(settings.mdme)
    rows = []
    for r in records:
        name = r["subject"]
        inputs = {
            column: input_path(name, settings.mdme.delays[delay - 1], echo, part).as_posix()
            for column, (delay, echo, part) in columns.items()
        }
        degraded = inputs.pop("degraded")
        truth = {sequences.mask_column(mask): truth_path(name, mask).as_posix() for mask in MASKS}
        for target in settings.targets:
            rows.append(
                {
                    "case": sequences.case_name(name, target.name),
                    "subject": name,
                    "split": r["split"],
                    "contrast": target.name,
                    "degraded": degraded,
                    "clean": target_path(name, target.name).as_posix(),
                    "label": sequences.CONTRASTS.index(
                        target.name
                    ),  # its place among all six, also where a cohort has fewer
                    **inputs,
                    **truth,
                    **{key: value for key, value in _subject_columns(r).items() if key != "split"},
                }
            )
    write_pairs(out / "pairs.csv", rows)


def _subject_columns(record: Record) -> dict[str, object]:
    """What the tables say of a subject."""
    volume = record["volume_ml"]
    return {
        "patient": int(record["kind"] != "control"),
        "pathology": record["kind"],
        "lesion_count": record["lesion_count"],
        "lesion_ml": f"{volume['plaque'] + volume['tumour'] + volume['oedema']:.3f}",
        "tumour_ml": f"{volume['tumour']:.3f}",
        "anatomy": record["anatomy"],
        "split": record["split"],
    }


def _cohort_metrics(settings: MrSimulation, records: Sequence[Record]) -> dict[str, Any]:
    """What the cohort turned out to be."""
    with_lesions = [r for r in records if r["kind"] == "lesions"]
    measured: dict[str, Any] = {
        "subjects": len(records),
        **{kind: sum(r["kind"] == kind for r in records) for kind in KINDS},
        "negative_after_shortest_delay": round(
            float(np.mean([r["negative_after_shortest_delay"] for r in records])), 4
        ),
    }
    if with_lesions:
        measured["lesions_per_subject"] = round(float(np.mean([r["lesion_count"] for r in with_lesions])), 2)
        measured["lesion_ml_per_subject"] = round(float(np.mean([r["volume_ml"]["plaque"] for r in with_lesions])), 3)
    return measured


def draw_movement(settings: MrSimulation, rng: np.random.Generator) -> Movement:
    """How the head lies in a target against the input; exactly where it lay if the settings are zero."""
    angles = np.radians(rng.normal(0.0, 1.0, 3) * settings.motion_deg)
    return Movement(rotation(angles), rng.normal(0.0, 1.0, 3) * settings.motion_mm)


def make_subject(subject: MrSubject, settings: MrSimulation, anatomy: Anatomy, folder: Path) -> dict[str, Any]:
    """Simulate one subject and write its files, the record last.

    Returns:
        The record: disease, tissues as the input and each target see them, movements, volumes.

    Raises:
        UserError: If a patient's anatomy has no white matter in view.
    """
    geometry = settings.geometry
    grid = geometry.grid
    seeds = np.random.SeedSequence([settings.seed, subject.number]).spawn(5 + 2 * len(settings.targets))
    shape_rng, disease_rng, tissue_rng, field_rng, noise_rng, *own = map(np.random.default_rng, seeds)
    shape = draw_shape(shape_rng, (0.0, -16.0, geometry.centre_mm))
    template = Interpolation(anatomy)
    head = scanned_head(template, grid, shape, Movement.none())
    if subject.kind != "control" and not (head.fractions[WHITE] > 0.5).any():
        raise UserError(f"{anatomy.name} has no white matter in the scanner's view, expected some for lesions")
    disease = draw_disease(subject.kind, head, grid, disease_rng)
    fractions = body(head, disease, grid, Movement.none())
    truth = truth_masks(fractions)
    tissues = draw_tissues(tissue_rng, spread=settings.spread)
    fields = draw_fields(settings, grid, truth["head"], field_rng)
    inputs = acquire_mdme(fractions, tissues, fields, settings, noise_rng)
    _write_inputs(subject, settings, inputs, folder)
    for name in MASKS:
        mask, side = truth[name].astype(np.uint8), {"Type": MASKS[name], "Description": _MASK_TEXT[name]}
        write_volume(folder / truth_path(subject.name, name), mask, grid.affine, side=side)
    effective_by_target: dict[str, Any] = {}
    for number, target in enumerate(settings.targets):
        effect_rng, target_noise_rng = own[2 * number : 2 * number + 2]
        movement = draw_movement(settings, effect_rng)
        effective = effective_tissues(tissues, effect_rng, difference=settings.difference)
        still = not (settings.motion_mm or settings.motion_deg)
        there = fractions if still else body(scanned_head(template, grid, shape, movement), disease, grid, movement)
        image = acquire_target(there, effective, fields, target, settings, target_noise_rng)
        side = target_sidecar(target, geometry.slice_mm)
        write_volume(folder / target_path(subject.name, target.name), image, grid.affine, side=side)
        effective_by_target[target.name] = {"shift_mm": _rounded(movement.shift), "tissues": _tissue_table(effective)}
    ml = float(np.prod(grid.voxel_mm)) / 1000.0
    volume = {
        name: float(fractions[index(name)].sum(dtype=np.float64)) * ml
        for name in ("plaque", "tumour", "oedema", "white", "grey", "csf")
    }
    shortest = inputs[1, 1].real[truth["brain"]]
    record = {
        "subject": subject.name,
        "kind": subject.kind,
        "split": subject.split,
        "anatomy": f"{anatomy.name}-{subject.name}" if settings.one_template else anatomy.name,
        "atrophy": round(head.atrophy, 4),
        "gain": round(fields.gain, 5),
        "lesion_count": len(disease.plaques),
        "lesion_places": dict(disease.places),
        "lesion_voxels": int(truth["lesions"].sum()),
        "volume_ml": {name: round(value, 3) for name, value in volume.items()},
        "negative_after_shortest_delay": round(float((shortest < 0).mean()), 5),
        "tissues": _tissue_table(tissues),
        "targets": effective_by_target,
    }
    write_json(folder / record_path(subject.name), record)
    return record


def _write_inputs(
    subject: MrSubject, settings: MrSimulation, inputs: dict[tuple[int, int], NDArray[np.complex64]], folder: Path
) -> None:
    protocol, geometry = settings.mdme, settings.geometry
    for (delay, echo), image in inputs.items():
        td, te = protocol.delays[delay - 1], protocol.echoes[echo - 1]
        side = input_sidecar(protocol, td, te, geometry.slice_mm)
        for part in PARTS:
            values = np.ascontiguousarray(getattr(image, part))
            path = folder / input_path(subject.name, td, echo, part)
            write_volume(path, values, geometry.grid.affine, side=side)


def _tissue_table(tissues: dict[str, Tissue]) -> dict[str, list[float]]:
    """T1 and T2 in ms, density."""
    return {name: _rounded((tissue.t1, tissue.t2, tissue.pd)) for name, tissue in tissues.items()}


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]
