"""``taskgan restore relaxometry``: maps fitted once a subject, every contrast of its rows from them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskgan.cohort.images import Volume, read_volume, stem, write_volume
from taskgan.cohort.mdme import CONTRASTS
from taskgan.cohort.pairs import REQUIRED_TO_RESTORE, read_pairs
from taskgan.console import progress, say
from taskgan.errors import Problems, UserError
from taskgan.recipe import Data, Recipe
from taskgan.relaxometry.acquisition import Acquisition, Columns, check_signed, columns_of, shared
from taskgan.relaxometry.fit import Maps, fit_maps
from taskgan.relaxometry.identifiable import check_identifiable
from taskgan.relaxometry.protocol import Given, input_protocol, target_of
from taskgan.relaxometry.record import Setup, map_paths, origin_of, side_of, write_maps
from taskgan.relaxometry.settings import Relaxometry
from taskgan.relaxometry.synthesis import synthesise
from taskgan.restore.inputs import Job, find_jobs, is_image_name
from taskgan.restore.origin import Origin
from taskgan.restore.record import Record, is_written
from taskgan.simulate.mr.sequences import Mdme, Target


def restore_by_relaxometry(
    inputs: Sequence[Path],
    out: Path,
    *,
    recipe: Recipe,
    given: Given | None = None,
    settings: Relaxometry | None = None,
    split: str | None = None,
    select: Mapping[str, str] | None = None,
    conditions: Sequence[str] = (),
    maps: bool = False,
    overwrite: bool = False,
) -> Path:
    """Fit T1, T2, density and B1, and synthesise the contrasts. Everything is checked before anything is written.

    It leaves what restoring with a model leaves (``restored.yaml``, ``restored.csv``, sidecars), and goes on where
    an interrupted call stopped. A row is about the contrast in its column ``data.condition`` (default ``contrast``);
    of a table without it, every contrast is made.

    Args:
        inputs: Tables with the columns of :func:`taskgan.cohort.mdme.input_columns`, or folders that hold one.
        out: Folder.
        recipe: Selects rows, and says how an evaluation reads the images.
        given: Protocol that goes before the sidecars.
        settings: Of the fit.
        split: Only this split.
        select: Only rows with these values; they go before the recipe's own selection.
        conditions: Only these contrasts.
        maps: Write T1, T2, density and B1 too.
        overwrite: Replace existing output.

    Returns:
        ``out``.

    Raises:
        UserError: If an argument, the table, the protocol or the output does not allow it.
        Problems: If subjects cannot be fitted: all of them, and nothing is written.
    """
    if not inputs:
        raise UserError("there is nothing to restore; expected a pairs.csv")
    if is_image_name(out):
        raise UserError(f"{out} is called like an image; relaxometry makes several, expected a folder")
    setup = Setup(settings or Relaxometry(), given or Given())
    columns, data = _inputs(inputs, recipe.data, setup.given)
    jobs = find_jobs(inputs, out, data, split=split, select=select, conditions=conditions)
    origin = origin_of(setup, recipe, data)
    scans = _scans(jobs, columns, setup)
    about = {"protocol": _sources(scans)}
    record = Record(out, origin, setup, jobs, about)
    resumes = record.check(overwrite=overwrite)
    if maps and not (resumes or overwrite):
        _refuse_maps(out, scans)
    record.open()
    kept = {job.target for job in jobs if resumes and is_written(job, origin, setup)}
    if kept:
        say(f"{out}: going on, {len(kept)} of {len(jobs)} images are there")
    with progress("restore", len(jobs), "images", start=len(kept)) as shown:
        for scan in scans:
            left = [job for job in scan.jobs if job.target not in kept]
            mapped = all(path.is_file() for path in map_paths(out, scan.name).values()) and resumes
            if not left and (mapped or not maps):
                continue
            fitted, source = _fit(scan, setup)
            if maps:
                write_maps(out, scan.name, scan.jobs[0].pair, fitted, source, setup, origin)
            for job in left:
                _write(job, scan, fitted, source, setup, origin)
                shown.advance(case=job.case)
    record.close()
    people = len(scans)
    say(
        f"{out}: {len(jobs)} image{'s' * (len(jobs) != 1)} of {people} acquisition{'s' * (people != 1)} synthesised "
        f"(taskgan evaluate {out} COHORT -o EVALUATION)"
    )
    return out


@dataclass(frozen=True)
class _Scan:
    """One acquisition and what is made of it: targets, where they are from and what to warn of, by condition."""

    name: str
    acquisition: Acquisition
    jobs: tuple[Job, ...]
    protocol: Mdme
    source: str
    targets: Mapping[str, tuple[Target, str, list[str]]]


def _inputs(inputs: Sequence[Path], data: Data, given: Given) -> tuple[Columns, Data]:
    """The first table's columns, and the recipe's data with them and with the contrasts that can be asked for."""
    place = inputs[0]
    if place.is_dir() and not (place / "pairs.csv").is_file():
        raise UserError(f"{place} holds no pairs.csv, which relaxometry needs to know delays and echoes")
    if place.is_file() and place.suffix != ".csv":
        raise UserError(f"{place} is no table; relaxometry needs a pairs.csv to know delays and echoes")
    pairs = read_pairs(place, REQUIRED_TO_RESTORE)
    columns = columns_of(pairs)
    condition = data.condition or "contrast"
    named = {pair.columns[condition] for pair in pairs} - {""} if condition in pairs.columns else set()
    own = (*data.conditions, *(target.name for target in given.targets), *CONTRASTS, *sorted(named))
    known = tuple(name for name in dict.fromkeys(own) if not named or name in named)
    return columns, data.model_copy(
        update={"inputs": tuple(columns), "condition": condition, "conditions": known}
    )


def _scans(jobs: Sequence[Job], columns: Columns, setup: Setup) -> list[_Scan]:
    """Check every acquisition: its protocol, its targets, its images."""
    groups = [[jobs[number] for number in numbers] for numbers in shared([job.pair for job in jobs], columns)]
    subjects = Counter(group[0].pair.subject for group in groups)
    scans, problems = [], []
    with progress("check", len(groups), "acquisitions") as shown:
        for group in groups:
            pair = group[0].pair
            alone = subjects[pair.subject] == 1 and "/" not in pair.subject
            try:
                scans.append(_scan(group, columns, setup, pair.subject if alone else stem(pair.degraded)))
            except UserError as error:
                problems.append(str(error))
            shown.advance()
    if len(problems) == 1:
        raise UserError(problems[0])
    if problems:
        raise Problems(f"{len(problems)} of {len(groups)} acquisitions cannot be fitted", problems)
    return scans


def _scan(group: Sequence[Job], columns: Columns, setup: Setup, name: str) -> _Scan:
    pair = group[0].pair
    acquisition = Acquisition.of(pair, columns)
    protocol, source = input_protocol(acquisition.real, setup.given)
    where = {"file": "the protocol file", "default": "the default protocol"}.get(
        source, f"{acquisition.name}"
    )
    check_identifiable(protocol, setup.fit, where)
    targets = {job.condition: target_of(job.condition, _true_image(job), setup.given) for job in group}
    check_signed(acquisition.read(), protocol, acquisition.name)
    return _Scan(name, acquisition, tuple(group), protocol, source, targets)


def _true_image(job: Job) -> Path | None:
    """The row's clean image, where the row says which contrast it is."""
    return job.pair.clean if job.condition in job.pair.columns.values() else None


def _sources(scans: Sequence[_Scan]) -> dict[str, object]:
    """For ``restored.yaml``: where times and angles are from; the numbers are in each image's sidecar."""
    found: dict[str, set[str]] = {}
    for scan in scans:
        for condition, (_, source, _) in scan.targets.items():
            found.setdefault(condition, set()).add(source)
    return {
        "input": ", ".join(sorted({scan.source for scan in scans})),
        "contrasts": {name: ", ".join(sorted(sources)) for name, sources in found.items()},
    }


def _refuse_maps(out: Path, scans: Sequence[_Scan]) -> None:
    there = [path for scan in scans for path in map_paths(out, scan.name).values() if path.exists()]
    if there:
        raise UserError(f"{there[0]} exists; choose another output or pass --overwrite")


def _fit(scan: _Scan, setup: Setup) -> tuple[Maps, Volume]:
    source = read_volume(scan.jobs[0].pair.degraded)
    fitted = fit_maps(
        scan.acquisition.read(),
        scan.protocol,
        voxel_mm=source.voxel_size,
        settings=setup.fit,
        name=f"the input of {scan.acquisition.name}",
    )
    return fitted, source


def _write(job: Job, scan: _Scan, maps: Maps, source: Volume, setup: Setup, origin: Origin) -> None:
    target, _, notes = scan.targets[job.condition]
    for note in notes:
        say(f"warning: {job.case} is {note}")
    side = side_of(job, target, maps, scan.protocol, setup, origin, notes)
    write_volume(job.target, synthesise(maps, target), source.affine, like=source.header, side=side)
