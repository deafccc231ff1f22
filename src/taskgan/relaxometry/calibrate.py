"""One factor for each contrast, from training subjects: conventional images have a receiver gain of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort.images import read_sidecar, read_volume
from taskgan.cohort.people import image_digests, subject_digests
from taskgan.core.console import progress
from taskgan.core.errors import UserError
from taskgan.recipe import Data
from taskgan.relaxometry.acquisition import Columns
from taskgan.relaxometry.record import SynthesisSettings
from taskgan.relaxometry.scans import find_scans, fit_scan
from taskgan.relaxometry.synthesis import synthesise
from taskgan.restore.inputs import Job, find_jobs
from taskgan.restore.record import INTENSITY_FACTOR

_DARK = 0.2  # of the brightest: below it noise and partial volume decide the ratio


@dataclass(frozen=True)
class Calibration:
    """What a contrast is multiplied with, and whose images that is from.

    Attributes:
        factors: By contrast; the others have 1.
        seen: For ``restored.yaml``: whom it learnt from.
    """

    factors: Mapping[str, float] = field(default_factory=dict)
    seen: Mapping[str, Any] = field(default_factory=lambda: {"subjects": 0})


def gain_warning(jobs: Sequence[Job]) -> str:
    """A warning where contrasts have units that the input's signal does not tell; empty where none has.

    The sidecars of what ``taskgan prepare mr`` wrote say so: each conventional image has an ``IntensityFactor`` of
    its own. Images of the simulator share one gain; of others nothing is known.
    """
    contrasts = {
        job.condition
        for job in jobs
        if job.pair.clean is not None and INTENSITY_FACTOR in read_sidecar(job.pair.clean)
    }
    if not contrasts:
        return ""
    return (
        f"the true images of {', '.join(sorted(contrasts))} have a scale of their own ({INTENSITY_FACTOR} in their "
        "sidecars), the synthesised ones have the input's: errors between them say nothing about the fit without "
        "--calibrate N, a factor for each contrast from N training subjects"
    )


def calibrate(
    place: Path,
    out: Path,
    columns: Columns,
    data: Data,
    setup: SynthesisSettings,
    *,
    acquisitions: int,
    contrasts: Sequence[str],
) -> Calibration:
    """Fit the first training acquisitions of a table and compare their contrasts with the true ones.

    The factor of a contrast is the mean over acquisitions of the median ratio of true to synthetic signal where the
    synthetic one is above a fifth of its 99th percentile: partial volume and motion, which concern few voxels,
    hardly move it.

    Args:
        place: The table.
        out: Where restored images will go; nothing is written.
        columns: Of the input.
        data: Inputs, condition and selection.
        setup: Of the fit.
        acquisitions: How many are used, at most.
        contrasts: Contrasts that need a factor.

    Raises:
        UserError: If there are no training rows, or none with a true image of a contrast.
    """
    jobs = find_jobs([place], out, data, split="train")
    scans = find_scans([job for job in jobs if job.pair.clean is not None], columns, setup, most=acquisitions)
    ratios: dict[str, list[float]] = {}
    used = []
    with progress("calibrate", len(scans), "acquisitions") as bar:
        for scan in scans:
            maps, _ = fit_scan(scan, setup)
            for job in scan.jobs:
                image = synthesise(maps, scan.targets[job.condition][0])
                bright = image > _DARK * np.percentile(image[image > 0], 99)
                assert job.pair.clean is not None
                true = read_volume(job.pair.clean).data
                if true.shape != image.shape:
                    raise UserError(f"{job.pair.clean} is on another grid than {job.pair.degraded.name}")
                ratios.setdefault(job.condition, []).append(float(np.median(true[bright] / image[bright])))
                used.append(job.pair)
            bar.advance()
    missing = [name for name in contrasts if not ratios.get(name) or not np.mean(ratios[name]) > 0]
    if missing:
        raise UserError(
            f"{place} has no training image of {', '.join(missing)} to calibrate by; expected some, or no --calibrate"
        )
    return Calibration(
        {name: round(float(np.mean(values)), 6) for name, values in ratios.items()},
        {
            "subjects": len({pair.subject for pair in used}),
            "people": list(subject_digests(used)),
            "images": list(image_digests(used)),
        },
    )
