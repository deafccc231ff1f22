"""The acquisitions behind a list of images to restore: checked, then fitted once each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.core.console import progress
from taskgan.core.errors import UserError
from taskgan.images.volumes import Volume, read_sidecar, read_volume, stem
from taskgan.physics.sequences import Mdme, SpinEcho
from taskgan.recipe import Data
from taskgan.relaxometry.acquisition import Acquisition, Columns, check_signed, rows_by_input
from taskgan.relaxometry.fit import RelaxometryMaps, fit_maps, synthesise
from taskgan.relaxometry.noise import check_identifiable
from taskgan.relaxometry.protocol import SynthesisSettings, contrast_sequence, input_protocol
from taskgan.restore.inputs import Job, UnfitInputError, check_metadata, find_jobs, name_unread
from taskgan.restore.record import INTENSITY_FACTOR, seen_pairs


@dataclass(frozen=True)
class Scan:
    """One acquisition, under the name of its maps, and the images that are made of it.

    Attributes:
        source: Where the protocol is from.
        targets: By condition: the sequence, where that is from, and what to warn of.
    """

    name: str
    acquisition: Acquisition
    jobs: tuple[Job, ...]
    protocol: Mdme
    source: str
    targets: Mapping[str, tuple[SpinEcho, str, list[str]]]


def find_scans(
    jobs: Sequence[Job], columns: Columns, setup: SynthesisSettings, most: int | None = None
) -> tuple[list[Scan], dict[Path, str]]:
    """Group images by acquisition (the first ``most``) and check each: its protocol, its targets, its files.

    Returns:
        The acquisitions, and by target why the images of others are left out: what was made of them could not be
        written.

    Raises:
        UserError: If one cannot be fitted.
        Problems: If several cannot: all of them.
    """
    numbers = rows_by_input([job.pair for job in jobs], columns)[:most]
    groups = [[jobs[number] for number in group] for group in numbers]
    subjects = Counter(group[0].pair.subject for group in groups)
    scans: list[Scan] = []
    unread: dict[Path, str] = {}
    unfit: set[Path] = set()
    with progress("check", len(groups), "acquisitions") as bar:
        for group in groups:
            pair = group[0].pair
            alone = subjects[pair.subject] == 1 and "/" not in pair.subject
            try:
                scans.append(_scan(group, columns, setup, pair.subject if alone else stem(pair.degraded)))
            except UserError as error:
                unread[group[0].target] = str(error)
                unfit |= {group[0].target} if isinstance(error, UnfitInputError) else set()
            bar.advance()
    name_unread(unread, unfit, [group[0] for group in groups], "acquisitions cannot be fitted")
    left_out = {job.target: unread[g[0].target] for g in groups for job in g if g[0].target in unread}
    return scans, left_out


def _scan(group: Sequence[Job], columns: Columns, setup: SynthesisSettings, name: str) -> Scan:
    pair = group[0].pair
    acquisition = Acquisition.from_row(pair, columns)
    protocol, source = input_protocol(acquisition.real, setup.protocol_file)
    where = {"file": "the protocol file", "default": "the default protocol"}.get(source, f"{acquisition.name}")
    check_identifiable(protocol, setup.fit, where)
    targets = {job.condition: contrast_sequence(job.condition, _true_image(job), setup.protocol_file) for job in group}
    source_image = read_volume(pair.degraded)
    for job in group:
        check_metadata(job, source_image)
    check_signed(acquisition.read(), protocol, acquisition.name)
    return Scan(name, acquisition, tuple(group), protocol, source, targets)


def _true_image(job: Job) -> Path | None:
    """The row's clean image, where the row says which contrast it is."""
    return job.pair.clean if job.condition in job.pair.columns.values() else None


def fit_scan(scan: Scan, setup: SynthesisSettings) -> tuple[RelaxometryMaps, Volume]:
    """Maps of an acquisition, and the degraded image for its grid and header; a UserError where it has no signal."""
    source = read_volume(scan.jobs[0].pair.degraded)
    fitted = fit_maps(
        scan.acquisition.read(),
        scan.protocol,
        voxel_mm=source.voxel_size,
        settings=setup.fit,
        name=f"the input of {scan.acquisition.name}",
    )
    return fitted, source


_DARK = 0.2  # of the brightest: below it noise and partial volume decide the ratio


@dataclass(frozen=True)
class Calibration:
    """What contrasts are multiplied with (others: 1), and for ``restored.yaml`` whom that is from."""

    factors: Mapping[str, float] = field(default_factory=dict)
    seen: Mapping[str, Any] = field(default_factory=lambda: {"subjects": 0})


def gain_warning(jobs: Sequence[Job]) -> str:
    """A warning where contrasts have units that the input's signal does not tell; empty where none has.

    The sidecars of what ``taskgan prepare mr`` wrote say so: each conventional image has an ``IntensityFactor`` of
    its own. Images of the simulator share one gain; of others nothing is known.
    """
    contrasts = {
        job.condition for job in jobs if job.pair.clean is not None and INTENSITY_FACTOR in read_sidecar(job.pair.clean)
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
    """Fit the first training acquisitions of a table and compare their contrasts with the true ones; writes nothing.

    The factor of a contrast is the mean over acquisitions of the median ratio of true to synthetic signal where the
    synthetic one is above a fifth of its 99th percentile: partial volume and motion, which concern few voxels,
    hardly move it.

    Raises:
        UserError: If there are no training rows, or none with a true image of a contrast.
    """
    jobs = find_jobs([place], out, data, split="train")
    scans, _ = find_scans([job for job in jobs if job.pair.clean is not None], columns, setup, most=acquisitions)
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
    factors = {name: round(float(np.mean(values)), 6) for name, values in ratios.items()}
    return Calibration(factors, seen_pairs(used))
