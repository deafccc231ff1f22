"""What a user points at, as a list of images to restore and where each one goes."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from taskgan.cohort.conditions import condition_of, numbers_of, one_hot
from taskgan.cohort.pairs import REQUIRED_TO_RESTORE, Pair, Pairs, is_case_name, read_pairs
from taskgan.core.console import say
from taskgan.core.errors import LeftOut, Problems, UserError
from taskgan.core.parse import quoted
from taskgan.images.dicom.series import ListedSeries, list_series
from taskgan.images.photos import PHOTO_SUFFIXES, is_photo_name
from taskgan.images.volumes import (
    SUFFIXES,
    Volume,
    check_affine,
    is_image_name,
    is_nifti_name,
    read_sidecar,
    sidecar,
    sidecar_and_notes,
    stem,
)
from taskgan.recipe import Data
from taskgan.restore.search import BIDS_SUFFIX, bids_name, holds_volumes, is_bids, is_within, search


@dataclass(frozen=True)
class Job:
    """One image to restore: its row, made up where it comes from no table, and where the restored one goes.

    Images from a table belong in ``restored.csv``. ``condition`` says which of several images (contrasts) is wanted;
    empty where the model makes one. ``numbers`` are what its generator is told (``data.numeric``).
    """

    pair: Pair
    target: Path
    from_table: bool
    condition: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def case(self) -> str:
        """What the restored image is called."""
        return stem(self.target)

    @property
    def is_dicom(self) -> bool:
        """Whether the image is a DICOM series, and the restored one a folder that holds a derived series."""
        return not is_image_name(self.pair.degraded)

    @property
    def is_photo(self) -> bool:
        """Whether the image is a photo, whose colour, bits and metadata the restored one keeps."""
        return is_photo_name(self.pair.degraded)

    @property
    def sidecar(self) -> dict[str, Any]:
        """What the image's sidecar says; nothing of a photo."""
        return {} if self.is_photo else read_sidecar(self.pair.degraded)

    @property
    def sd(self) -> Path:
        """Where the standard deviation over samples goes: NIfTI also of photos, whose files round it."""
        return self.target.with_name(f"{stem(self.target)}_sd.nii.gz")


class UnfitInputError(UserError):
    """An image whose restoration could not be written; the others of a batch are restored without it."""


def check_metadata(job: Job, source: Volume) -> list[str]:
    """See, before the work, whether what an image carries along can be written beside its restoration.

    Returns:
        Notes on what of its sidecar is left out.

    Raises:
        UnfitInputError: If the affine cannot be taken apart, or the sidecar nests too deep.
    """
    image = job.pair.degraded
    try:
        check_affine(image, source)
        return sidecar_and_notes(image, deep=True)[1]
    except UserError as error:
        raise UnfitInputError(f"case {job.case}: {error}") from None


def name_unread(unread: Mapping[Path, str], unfit: Collection[Path], jobs: Sequence[Job], what: str) -> None:
    """Name the images that a batch goes on without, or refuse all of it before anything is written.

    Args:
        unread: What is wrong with images, by target.
        unfit: Those of them whose faults are theirs alone. Others speak of the table: all of it is refused.
        jobs: All images.
        what: What is refused, in words, after how many: "images cannot be restored".

    Raises:
        UserError: If there is one problem and others cannot be restored without it; Problems if there are several.
    """
    problems = list(dict.fromkeys(unread.values()))  # contrasts of one acquisition share what is wrong with it
    if len(unread) < len(jobs) and unread.keys() <= set(unfit):
        if problems:
            say(f"warning: {len(unread)} of {len(jobs)} images are left out, which are named at the end")
    elif len(problems) == 1:
        raise UserError(problems[0])
    elif problems:
        raise Problems(f"{len(unread)} of {len(jobs)} {what}", problems)


def refuse_left_out(left_out: Mapping[Path, str], jobs: Sequence[Job]) -> None:
    """End a batch whose other images are written with LeftOut, if images were left out."""
    if left_out:
        raise LeftOut(f"{len(left_out)} of {len(jobs)} images are left out", list(dict.fromkeys(left_out.values())))


def find_jobs(
    inputs: Sequence[Path],
    out: Path,
    data: Data,
    *,
    split: str | None = None,
    select: Mapping[str, str] | None = None,
    conditions: Sequence[str] = (),
    series: Sequence[str] = (),
    numbers: Mapping[str, str] | None = None,
    sd: bool = False,
    suffix: str = "",
) -> list[Job]:
    """List the images of files, folders and tables. Images are not opened here, but for the headers of DICOM.

    A folder with a ``pairs.csv`` is that table; any other is searched (:mod:`taskgan.restore.search`) for NIfTI
    files, or for DICOM series where it has none, or else for photos, whose places below it are kept. A table's rows
    go to ``<case>.nii.gz``, photos to ``<case>.png``, series to the folder ``<case>``, images of a BIDS data set to
    ``…_desc-taskgan_pet.nii.gz``.

    A model of several conditions makes of each row the one that its column says. Of images without such a column it
    makes all of them, each called ``<case>_<condition>.nii.gz``.

    Args:
        inputs: What the user named.
        out: Output folder, or the output file for a single NIfTI file or photo.
        data: The model's inputs and selection; where a table has the column, rows that the model was not
            made for (another dose) are left out.
        split: Only this split of a table.
        select: Column and value pairs that go before the model's own selection.
        conditions: Only these of the model's conditions; empty is all.
        series: Of folders of DICOM series only these (:meth:`~taskgan.images.dicom.series.ListedSeries.is_meant`).
        numbers: What the model is told (``data.numeric``) of images whose table does not say it.
        sd: Standard deviations will be written too.
        suffix: Of the images that are taken of a BIDS data set; empty: ``pet``.

    Raises:
        UserError: If an input does not exist, holds no images, is asked for what only a table has, or the model does
            not know a condition.
        Problems: If outputs would meet each other or an input, inputs lack what the model takes, or rows are about a
            condition that the model does not know.
    """
    for name in conditions:
        one_hot(name, data)
    jobs: list[Job] = []
    for place in inputs:
        if _is_table(place):
            jobs += _table_jobs(place, out, data, split, select or {}, conditions)
            continue
        if split or select:
            raise UserError(f"{place} is no table: split and select need a pairs.csv")
        if len(data.inputs) > 1:
            columns = ", ".join(data.inputs)
            raise UserError(f"{place} is no table: the model takes {columns}; expected a pairs.csv that has them")
        jobs += _per_condition(_file_jobs(place, out, suffix, series), conditions or data.conditions, out)
    other = next((job.pair.degraded for job in jobs if job.from_table or not job.is_dicom), None)
    if series and other is not None:
        raise UserError(f"{other} is no series of a DICOM folder: --series picks some of these")
    jobs = [_told(job, data, numbers or {}) for job in jobs]
    _check_out(out, inputs[0], jobs)
    _refuse_collisions(jobs, sd)
    return jobs


def _told(job: Job, data: Data, numbers: Mapping[str, str]) -> Job:
    """A job with the numbers that its model is told: its row's, else those given, else the dose of its sidecar."""
    for name in numbers:
        if name not in data.numeric:
            known = ", ".join(data.numeric) or "no number"
            raise UserError(f"--set {name}={numbers[name]}: the model is told {known}")
        if job.pair.columns.get(name):
            raise UserError(f"--set {name}={numbers[name]}: the table says the {name} of case {job.pair.case} itself")
    if "dose" in data.numeric and not (job.pair.columns.get("dose") or "dose" in numbers):
        numbers = {**numbers, "dose": str(job.sidecar.get("DosePercent", ""))}
    pair = replace(job.pair, columns={**job.pair.columns, **numbers}) if numbers else job.pair
    return replace(job, pair=pair, numbers=numbers_of(pair, data)) if data.numeric else job


def _check_out(out: Path, first: Path, jobs: Sequence[Job]) -> None:
    """Whether the output is the file, or the folder, that the inputs want."""
    ends = " or ".join(SUFFIXES) if not jobs[0].is_photo else ".png, .jpg, .tif or .bmp"
    if is_nifti_name(out) and not out.name.endswith(SUFFIXES):
        raise UserError(f"{out} cannot be written; expected a name that ends in {ends}")
    if not is_image_name(out):
        # Of one image a file is meant: a folder of that name would be a surprise.
        if is_image_name(first) and out.suffix[1:].isalpha() and not out.exists():
            raise UserError(
                f"{out} is no image by its name; expected one that ends in {ends}, or a folder that is there already"
            )
        return
    if first.is_file() and not is_image_name(first) and not _is_table(first):
        endings = ", ".join((*SUFFIXES, *PHOTO_SUFFIXES))
        raise UserError(f"{first} is no image by its name; expected one that ends in {endings}")
    if len(jobs) > 1 or not is_image_name(first):
        raise UserError(f"{out} is one file, the input is {len(jobs)} images of {first}; expected a folder")
    if is_photo_name(out) != jobs[0].is_photo:
        raise UserError(f"{out} cannot hold what {first} is; expected a name that ends in {ends}")


def _is_table(place: Path) -> bool:
    return place.name.endswith(".csv") or (place.is_dir() and (place / "pairs.csv").is_file())


def _per_condition(jobs: list[Job], conditions: Sequence[str], out: Path) -> list[Job]:
    """The same images once for every condition, called after it; one named output file keeps its name."""
    if not conditions:
        return jobs
    if is_image_name(out) and len(conditions) > 1:
        raise UserError(
            f"{out} is one file, the model makes {', '.join(conditions)}; expected a folder, or one condition"
        )

    def target(job: Job, name: str) -> Path:
        """Where the image of a condition goes."""
        return out if job.target == out else job.target.with_name(f"{job.case}_{name}{_suffix(job.pair.degraded)}")

    return [replace(job, condition=name, target=target(job, name)) for job in jobs for name in conditions]


def _table_jobs(
    place: Path, out: Path, data: Data, split: str | None, select: Mapping[str, str], conditions: Sequence[str]
) -> list[Job]:
    pairs = read_pairs(place, REQUIRED_TO_RESTORE)
    absent = [column for column in data.inputs if column not in pairs.columns]
    if absent:
        raise UserError(
            f"{pairs.source} lacks the input column{'s' * (len(absent) > 1)} {', '.join(absent)} "
            f"that the model takes; its columns are {', '.join(pairs.columns)}"
        )
    own = {column: value for column, value in data.select.items() if column in pairs.columns}
    criteria = own | dict(select)
    chosen = pairs.select(criteria)
    for note in pairs.lookalikes(criteria):
        say(f"warning: {pairs.source}: {note}")
    if split is not None:
        chosen = _rows_of_split(chosen, split)
    problems = [
        f"row {pair.row} has the case name {pair.case!r}, expected one that can be a file's name"
        for pair in chosen
        if not is_case_name(pair.case)
    ]
    has_condition = bool(data.condition) and data.condition in pairs.columns
    if has_condition and conditions:
        chosen = _rows_of_conditions(chosen, data, conditions)
    if has_condition:
        problems += _unknown_conditions(chosen, data)
    if problems:
        raise Problems(f"{pairs.source} cannot be restored", problems)
    jobs = [
        Job(pair, out / f"{pair.case}{_suffix(pair.degraded)}", True, condition_of(pair, data) if has_condition else "")
        for pair in chosen
    ]
    return jobs if has_condition else _per_condition(jobs, conditions or data.conditions, out)


def _rows_of_conditions(pairs: Pairs, data: Data, conditions: Sequence[str]) -> Pairs:
    """The rows of some conditions."""
    rows = tuple(pair for pair in pairs if pair.columns[data.condition] in conditions)
    if not rows:
        there = ", ".join(dict.fromkeys(pair.columns[data.condition] or "none" for pair in pairs))
        raise UserError(
            f"{pairs.source} has no row to restore with {data.condition} {', '.join(conditions)}: expected some of "
            f"what its rows have, {there}"
        )
    return Pairs(pairs.source, rows)


def _unknown_conditions(pairs: Pairs, data: Data) -> list[str]:
    problems = []
    for pair in pairs:
        try:
            condition_of(pair, data)
        except UserError as error:
            problems.append(str(error))
    return problems


def _rows_of_split(pairs: Pairs, split: str) -> Pairs:
    chosen = pairs.split(split)
    if not chosen.rows:
        names = ", ".join(sorted({pair.split for pair in pairs if pair.split})) or "none"
        raise UserError(f"{pairs.source} has no row of the split {split!r}; its splits are {names}")
    return chosen


def _file_jobs(place: Path, out: Path, suffix: str, selectors: Sequence[str]) -> list[Job]:
    if not place.exists():
        raise UserError(
            f"{place} does not exist; expected a NIfTI file, a photo, a DICOM series, a folder or a pairs.csv"
        )
    if place.is_file() and not is_image_name(place) and (series := list_series(place)):
        return _series_jobs(place.parent, _selected(place, series, selectors), out)
    if place.is_file():
        target = out if is_image_name(out) else out / f"{stem(place)}{_suffix(place)}"
        return [Job(_pair_of_file(place), target, from_table=False)]
    bids = is_bids(place)
    series = [] if bids or holds_volumes(place, out) else list_series(place)
    series = [one for one in series if not is_within(one.folder / "x", out, place)]
    if series:
        return _series_jobs(place, _selected(place, series, selectors), out)
    jobs = []
    for path in search(place, out, (suffix or BIDS_SUFFIX) if bids else ""):
        name = f"{bids_name(path) if bids else stem(path)}{_suffix(path)}"
        jobs.append(Job(_pair_of_file(path), out / path.relative_to(place).with_name(name), from_table=False))
    return jobs


def _selected(place: Path, series: Sequence[ListedSeries], selectors: Sequence[str]) -> Sequence[ListedSeries]:
    chosen = [one for one in series if not selectors or any(map(one.is_meant, selectors))]
    if not chosen:
        there = ", ".join(f"{one.number or one.uid} {one.modality} {quoted(one.description)}" for one in series)
        raise UserError(f"{place} holds no series {' or '.join(selectors)}; it holds {there}")
    return chosen


def _series_jobs(place: Path, series: Sequence[ListedSeries], out: Path) -> list[Job]:
    """Each series goes to a folder: called as its own where that has no other, else by the number in it."""
    alone = Counter(one.folder for one in series)
    jobs = []
    for folder, uid, number, *_ in series:
        name = place.resolve().name if folder == place else "_".join(folder.relative_to(place).parts)
        name = name if alone[folder] == 1 else f"{name}_{number or uid}"
        pair = replace(_pair_of_file(folder), case=name, columns={"degraded": folder.name, "degraded_series": uid})
        jobs.append(Job(pair, out / name, from_table=False))
    return jobs


def _suffix(source: Path) -> str:
    """What a restored image ends in: nothing is lost in any; a series is a folder."""
    if not is_image_name(source):
        return ""
    return ".png" if is_photo_name(source) else ".nii.gz"


def _pair_of_file(path: Path) -> Pair:
    name, columns = stem(path), {"degraded": path.name}
    return Pair(0, name, name, "", degraded=path, clean=None, label=None, columns=columns, folder=path.parent)


def _refuse_collisions(jobs: Sequence[Job], sd: bool) -> None:
    # Every image that a row names counts: the clean one of a cohort must not be replaced either. And so does
    # its sidecar, which pet.nii and pet.nii.gz share. Beside a restored photo it is that one's own.
    named = (job.pair.path(column) for job in jobs for column in job.pair.columns)
    images = {_entry(path) for path in named if path is not None and is_image_name(path)}
    sources = {sidecar(path): path for path in images if _has_sidecar(path)}
    written = [(job, _entry(path)) for job in jobs for path in (job.target, *([job.sd] if sd else []))]
    counts = Counter(path for _, path in written)
    problems = []
    for job, path in written:
        if path in images:
            what = f"onto {path}, an image of the input"
        elif sidecar(path) in sources and not (is_photo_name(path) and path.exists()):
            what = f"to {path}, which shares its sidecar with the input {sources[sidecar(path)]}"
        elif counts[path] > 1:
            what = f"to {path}, and so would another input"
        else:
            continue
        problems.append(f"{job.pair.degraded} would be restored {what}")
    if problems:
        raise Problems("these inputs cannot go to this output", problems)


def _has_sidecar(path: Path) -> bool:
    """Of NIfTI it belongs to the name; few photos have one."""
    return not is_photo_name(path) or sidecar(path).exists()


def _entry(path: Path) -> Path:
    """The place in its folder: what a write replaces, also where a link lies there."""
    return path.parent.resolve() / path.name
