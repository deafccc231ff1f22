"""``taskgan prepare folder``: any folder of images, degraded as one wishes, as a cohort."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from taskgan.cohort.folder import complete, read_description
from taskgan.cohort.pairs import DEFAULT_SHARES, SPLITS, is_case_name
from taskgan.core.artefact import check_left_out
from taskgan.core.console import say
from taskgan.core.errors import LeftOut, Problems, UserError
from taskgan.core.files import PathLike, checksum
from taskgan.core.lock import exclusive
from taskgan.core.parse import quoted
from taskgan.images.photos import is_photo_name
from taskgan.prepare.output import assign_splits
from taskgan.prepare.photos import PhotoPreparation, PhotoSource, begin_cohort, describe, measure
from taskgan.prepare.table import InputTable, TableRow, read_table

MADE_BY = "taskgan prepare folder"
REQUIRED = ("image",)
_OWN = ("image", "case", "subject", "split", "label", "degraded", "clean")


class FolderPreparation(PhotoPreparation):
    """How a folder of images becomes a cohort.

    Attributes:
        subject: Without a table: ``image`` takes every image for a subject of its own, ``folder`` all images of one
            folder for one.
        splits: Shares of train, val and test by subject, where no table says the split.
    """

    subject: Literal["image", "folder"] = "image"
    splits: tuple[float, float, float] = DEFAULT_SHARES


@exclusive("out", "the cohort", beside=True)
def prepare_folder(
    folder: PathLike,
    out: PathLike,
    settings: FolderPreparation,
    *,
    table: PathLike | None = None,
    workers: int = 0,
    overwrite: bool = False,
) -> Path:
    """Make a cohort of a folder of images, or go on with one that was interrupted.

    Args:
        folder: PNG, JPEG, TIFF, BMP, WebP and GIF, at any depth. They are the clean images and stay where they are.
        out: Cohort folder; absent, empty, or begun with the same settings.
        settings: Degradation, splits.
        table: CSV with a row for each image: ``image`` (path below the folder) and, where known, ``subject``,
            ``case``, ``split``, ``label`` and any further columns. Only images that it names are taken.
        workers: Threads; 0 takes every core.
        overwrite: Begin anew what this verb made before.

    Returns:
        The cohort folder.

    Raises:
        UserError: If the folder or table cannot be read, or ``out`` holds something else.
        Problems: If rows are wrong or all images are damaged.
        LeftOut: If some images are damaged: they are named, the cohort is made of the others.
    """
    folder, out = Path(folder), Path(out)
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist; expected a folder of images")
    read = read_table(Path(table), REQUIRED) if table is not None else None
    unsplit = _folder_sources(folder, out, settings) if read is None else _table_sources(folder, read)
    sources = _with_splits(unsplit, settings)
    table_checksum = "" if read is None else checksum(read.source)
    description = describe("photos", MADE_BY, settings, table={"sha256": table_checksum})
    left_out: dict[str, str] = {}
    begun = begin_cohort(out, sources, settings, description, overwrite=overwrite, workers=workers, left_out=left_out)
    if not begun:
        say(f"{out} is complete: {len(sources)} images; nothing to do")
        check_left_out(out, read_description(out))
        return out
    count, sources = len(sources), [source for source in sources if source.case not in left_out]
    people = {str(source.columns["subject"]): source.columns["split"] for source in sources}
    splits = {name: sum(split == name for split in people.values()) for name in SPLITS}
    measured = {"images": len(sources), "subjects": len(people), **splits, **measure(sources, settings, out)}
    complete(out, description | {"measured": measured} | ({"left_out": left_out} if left_out else {}))
    counts = ", ".join(f"{count} {name}" for name, count in splits.items() if count)
    say(f"{out}: {len(sources)} images of {len(people)} subjects ({counts}) (taskgan info {out})")
    if left_out:
        raise LeftOut(f"{len(left_out)} of {count} images are left out", list(left_out.values()))
    return out


def _folder_sources(folder: Path, out: Path, settings: FolderPreparation) -> list[PhotoSource]:
    inside = out.resolve()
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if is_photo_name(path)
        and path.is_file()
        and not path.name.startswith(".")
        and not path.resolve().is_relative_to(inside)
    ]
    if not paths:
        raise UserError(f"{folder} holds no PNG, JPEG, TIFF, BMP, WebP or GIF image")
    sources = []
    for path in paths:
        place = path.relative_to(folder).with_suffix("")
        case = "_".join(place.parts)
        subject = case if settings.subject == "image" else "_".join(place.parts[:-1]) or folder.resolve().name
        sources.append(PhotoSource(case, path, place, {"subject": subject, "split": "", "label": ""}))
    path_of_case: dict[str, Path] = {}
    if problems := [
        f"{source.path} and {other} would both be the case {source.case}"
        for source in sources
        if (other := path_of_case.setdefault(source.case.lower(), source.path)) != source.path
    ]:
        raise Problems(f"{folder} cannot be prepared", problems)
    return sources


def _table_sources(folder: Path, table: InputTable) -> list[PhotoSource]:
    problems: list[str] = []
    sources: dict[str, PhotoSource] = {}
    split_of: dict[str, str] = {}
    places: dict[str, str] = {}
    further = [name for name in table.columns if name not in _OWN]
    for line in table.lines:
        wrong = _row_problem(line, folder)
        place = Path(line["image"]).with_suffix("") if not wrong else Path()
        case = line["case"] or "_".join(place.parts)
        subject = line["subject"] or case
        if not wrong and case.lower() in sources:
            wrong = f"would be the case {case} like {sources[case.lower()].path}"
        if not wrong and str(place).lower() in places:
            wrong = f"would be written to the place of {places[str(place).lower()]}"
        if not wrong and split_of.setdefault(subject, line["split"]) != line["split"]:
            splits = f"{quoted(line['split'])}, another row into {quoted(split_of[subject])}"
            wrong = f"puts subject {subject} into split {splits}"
        if wrong:
            problems.append(f"row {line.number} ({line['image'] or 'no image'}) {wrong}")
            continue
        places[str(place).lower()] = line["image"]
        extra = {name: line[name] for name in further}
        columns: dict[str, object] = {"subject": subject, "split": line["split"], "label": line["label"], **extra}
        sources[case.lower()] = PhotoSource(case, folder / line["image"], place, columns)
    if problems:
        raise Problems(f"{table.source} cannot be prepared", problems)
    return list(sources.values())


def _row_problem(line: TableRow, folder: Path) -> str:
    """What is wrong with a row alone, as the end of a sentence."""
    image = Path(line["image"])
    if not line["image"]:
        return "names no image"
    if image.is_absolute() or ".." in image.parts:
        return f"lies outside of {folder}; expected a path below it"
    if not (folder / image).is_file():
        return f"is not in {folder}"
    if not is_photo_name(image):
        return "is no PNG, JPEG, TIFF, BMP, WebP or GIF"
    if line["split"] and line["split"] not in SPLITS:
        return f"has split {quoted(line['split'])}, expected train, val or test"
    if line["case"] and not is_case_name(line["case"]):
        return f"has case {quoted(line['case'])}, expected one that can be a file's name"
    try:
        known = math.isfinite(float(line["label"] or 0))
    except ValueError:
        known = False
    if not known:
        return f"has label {quoted(line['label'])}, expected a number (text may go into a column of its own)"
    return ""


def _with_splits(sources: Sequence[PhotoSource], settings: FolderPreparation) -> list[PhotoSource]:
    """Splits by subject where none are given; a UserError if some rows have one and others none."""
    splits = {str(source.columns["split"]) for source in sources}
    if "" not in splits:
        return list(sources)
    if len(splits) > 1:
        raise UserError("some rows of the table have a split and others none; expected all or none")
    split = assign_splits(
        {str(source.columns["subject"]): "" for source in sources}, shares=settings.splits, seed=settings.seed
    )
    return [
        replace(source, columns={**source.columns, "split": split[str(source.columns["subject"])]})
        for source in sources
    ]
