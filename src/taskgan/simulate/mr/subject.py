"""One subject, from the plan to its files."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.core.files import write_json
from taskgan.images.volumes import write_volume
from taskgan.physics.sequences import PARTS, input_path, target_path
from taskgan.physics.tissues import Tissue, draw_tissues, effective_tissues, index
from taskgan.simulate.anatomy import WHITE, Anatomy
from taskgan.simulate.deform import Interpolation, draw_shape, rotation
from taskgan.simulate.mr.bids import MASKS, input_sidecar, mask_sidecar, target_sidecar, truth_path
from taskgan.simulate.mr.body import Movement, body, scanned_head, truth_masks
from taskgan.simulate.mr.lesions import draw_disease
from taskgan.simulate.mr.scan import acquire_mdme, acquire_target, draw_fields
from taskgan.simulate.mr.settings import MrSimulation, MrSubject
from taskgan.simulate.workers import record_path


def draw_movement(settings: MrSimulation, rng: np.random.Generator) -> Movement:
    """How the head lies in a target against the input; exactly where it lay if the settings are zero."""
    angles = np.radians(rng.normal(0.0, 1.0, 3) * settings.motion_deg)
    return Movement(rotation(angles), rng.normal(0.0, 1.0, 3) * settings.motion_mm)


def make_subject(subject: MrSubject, settings: MrSimulation, anatomy: Anatomy, folder: Path) -> dict[str, Any]:
    """Simulate one subject and write its files, the record last.

    Args:
        subject: From the plan.
        settings: Of the cohort.
        anatomy: The subject's, detailed.
        folder: The cohort.

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
        mask = truth[name].astype(np.uint8)
        write_volume(folder / truth_path(subject.name, name), mask, grid.affine, side=mask_sidecar(name))
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
