"""The acquisitions behind a list of images to restore: checked, then fitted once each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskgan.cohort.images import Volume, read_volume, stem
from taskgan.core.console import progress
from taskgan.core.errors import Problems, UserError
from taskgan.relaxometry.acquisition import Acquisition, Columns, check_signed, rows_by_input
from taskgan.relaxometry.fit import RelaxometryMaps, fit_maps
from taskgan.relaxometry.identifiable import check_identifiable
from taskgan.relaxometry.protocol import contrast_sequence, input_protocol
from taskgan.relaxometry.record import SynthesisSettings
from taskgan.restore.inputs import Job
from taskgan.simulate.mr.sequences import Mdme, SpinEcho


@dataclass(frozen=True)
class Scan:
    """One acquisition and what is made of it.

    Attributes:
        name: By which its maps are called.
        acquisition: Its files.
        jobs: Images that are made of it.
        protocol: Of the input.
        source: Where that is from.
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
) -> list[Scan]:
    """Group images by acquisition and check each: its protocol, its targets, its files.

    Args:
        jobs: The images.
        columns: Of the input.
        setup: Of the fit.
        most: Only the first so many acquisitions; None is all.

    Raises:
        UserError: If one cannot be fitted.
        Problems: If several cannot: all of them.
    """
    numbers = rows_by_input([job.pair for job in jobs], columns)[:most]
    groups = [[jobs[number] for number in group] for group in numbers]
    subjects = Counter(group[0].pair.subject for group in groups)
    scans, problems = [], []
    with progress("check", len(groups), "acquisitions") as bar:
        for group in groups:
            pair = group[0].pair
            alone = subjects[pair.subject] == 1 and "/" not in pair.subject
            try:
                scans.append(_scan(group, columns, setup, pair.subject if alone else stem(pair.degraded)))
            except UserError as error:
                problems.append(str(error))
            bar.advance()
    if len(problems) == 1:
        raise UserError(problems[0])
    if problems:
        raise Problems(f"{len(problems)} of {len(groups)} acquisitions cannot be fitted", problems)
    return scans


def _scan(group: Sequence[Job], columns: Columns, setup: SynthesisSettings, name: str) -> Scan:
    pair = group[0].pair
    acquisition = Acquisition.from_row(pair, columns)
    protocol, source = input_protocol(acquisition.real, setup.protocol_file)
    where = {"file": "the protocol file", "default": "the default protocol"}.get(
        source, f"{acquisition.name}"
    )
    check_identifiable(protocol, setup.fit, where)
    targets = {
        job.condition: contrast_sequence(job.condition, _true_image(job), setup.protocol_file)
        for job in group
    }
    check_signed(acquisition.read(), protocol, acquisition.name)
    return Scan(name, acquisition, tuple(group), protocol, source, targets)


def _true_image(job: Job) -> Path | None:
    """The row's clean image, where the row says which contrast it is."""
    return job.pair.clean if job.condition in job.pair.columns.values() else None


def fit_scan(scan: Scan, setup: SynthesisSettings) -> tuple[RelaxometryMaps, Volume]:
    """Maps of an acquisition, and the degraded image for its grid and header.

    Raises:
        UserError: If a file cannot be read or has no signal.
    """
    source = read_volume(scan.jobs[0].pair.degraded)
    fitted = fit_maps(
        scan.acquisition.read(),
        scan.protocol,
        voxel_mm=source.voxel_size,
        settings=setup.fit,
        name=f"the input of {scan.acquisition.name}",
    )
    return fitted, source
