"""``taskgan prepare pairs``: two folders of images, degraded and clean, paired by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taskgan.cohort.folder import FILE, complete
from taskgan.cohort.grids import relative_path
from taskgan.cohort.pairing import Coarse, pairing_notes, scale_notes, scale_ratio
from taskgan.cohort.pairs import SPLITS, write_pairs
from taskgan.core.artefact import is_done, request_digest
from taskgan.core.console import progress, say
from taskgan.core.errors import LeftOut, Problems, UserError
from taskgan.core.files import PathLike, atomic_folder, versions
from taskgan.core.lock import exclusive
from taskgan.images.photos import is_photo_name
from taskgan.images.volumes import is_image_name, read_volume, stem
from taskgan.prepare.images import grid_difference
from taskgan.prepare.output import assign_splits, check_output
from taskgan.prepare.table import InputTable, read_table

MADE_BY = "taskgan prepare pairs"
_OWN = ("case", "subject", "split", "label")
_SHOWN = 10


@exclusive("out", "the cohort", beside=True)
def prepare_pairs(
    low: PathLike,
    high: PathLike,
    out: PathLike,
    *,
    table: PathLike | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Make a cohort of two folders: images of the same name below them are a pair. They stay where they are.

    Args:
        low: Degraded images, NIfTI or photos.
        high: Clean ones.
        out: Cohort folder to make.
        table: A row for a pair: ``case`` (the name without its ending) and, where known, ``subject``, ``label``,
            ``split`` and further columns. Without, each pair is a subject (``sub-01`` of a BIDS name), all of one
            split if there are fewer than three.
        seed: Of splits.
        overwrite: Replace a cohort that this verb made before.

    Returns:
        The cohort folder.

    Raises:
        UserError: If a folder is missing or empty, or ``out`` may not be written.
        Problems: If no pair can be read, or the table does not fit.
        LeftOut: If some pairs cannot be read, or are of two sizes: they are named, the others are written.
    """
    low, high, out = Path(low), Path(high), Path(out)
    if low.resolve() == high.resolve():
        raise UserError(f"{low} is given for both the degraded and the clean images, expected two folders")
    check_output(out, MADE_BY, overwrite=True)
    pairs, notes = _paired(low, high, out)
    known = _known(read_table(Path(table), ("case",)), pairs) if table is not None else {}
    files = [path for one in pairs.values() for path in one]
    request = request_digest(out, table=Path(table) if table else None, seed=seed, images=files, names=list(pairs))
    if not overwrite and is_done(out / FILE, request):
        return out
    check_output(out, MADE_BY, overwrite=overwrite)
    subjects = {name: known.get(name, {}).get("subject") or _subject(name) for name in pairs}
    left_out, coarse = _check(pairs, subjects)
    usable = {name: paths for name, paths in pairs.items() if name not in left_out}
    if not usable:
        raise Problems(f"no pair of {low} and {high} can be read", list(left_out.values()))
    notes += scale_notes([(c, scale_ratio(y, x)) for c, _, x, y in coarse], "the clean images", "their degraded ones")
    notes += pairing_notes(coarse)
    splits = _splits(usable, subjects, known, seed)
    with atomic_folder(out) as folder:
        place = Path(table).parent if table is not None else Path()
        further = [key for key in next(iter(known.values()), {}) if key not in _OWN]
        rows = [
            {
                "case": name,
                "subject": subjects[name],
                "split": splits[name],
                "degraded": relative_path(paths[0], out),
                "clean": relative_path(paths[1], out),
                "label": known.get(name, {}).get("label", ""),
                **{key: _seen_from(out, known.get(name, {}).get(key, ""), place) for key in further},
            }
            for name, paths in usable.items()
        ]
        write_pairs(folder / "pairs.csv", rows)
        measured = {"pairs": len(usable), "subjects": len({subjects[name] for name in usable})}
        photos = is_photo_name(next(iter(usable.values()))[0])
        values: dict[str, Any] = {"kind": "photos" if photos else "volumes", "made_by": MADE_BY, "seed": seed}
        values |= {"versions": versions(), "notes": notes, "left_out": left_out, "measured": measured}
        complete(folder, {**values, "request": request})
    for note in notes:
        say(f"warning: {note}")
    say(f"{out}: {len(usable)} pairs of {measured['subjects']} subjects (taskgan info {out})")
    if left_out:
        raise LeftOut(f"{len(left_out)} of {len(pairs)} pairs are left out", list(left_out.values()))
    return out


def _paired(low: Path, high: Path, out: Path) -> tuple[dict[str, tuple[Path, Path]], list[str]]:
    """Pairs by case, and notes on images that have no counterpart."""
    found = [_images(folder, out) for folder in (low, high)]
    common = [name for name in found[0] if name in found[1]]
    if not common:
        first = next(iter(found[0].values()))
        raise UserError(f"{high} holds no image called like one of {low}, expected names such as {first.name}")
    notes = []
    for folder, own, other in ((low, found[0], found[1]), (high, found[1], found[0])):
        alone = [own[name].name for name in own if name not in other]
        if alone:
            more = f" and {len(alone) - _SHOWN} more" * (len(alone) > _SHOWN)
            notes.append(f"{folder}: no counterpart of {', '.join(alone[:_SHOWN])}{more}")
    return {name: (found[0][name], found[1][name]) for name in common}, notes


def _images(folder: Path, out: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist; expected a folder of images")
    inside = out.resolve()
    named: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or not is_image_name(path) or not path.is_file() or inside in path.resolve().parents:
            continue
        name = "_".join((*path.relative_to(folder).parts[:-1], stem(path)))
        if name in named:
            raise UserError(f"{named[name]} and {path} would both be the case {name}")
        named[name] = path
    if not named:
        raise UserError(f"{folder} holds no NIfTI image and no photo")
    return named


def _known(table: InputTable, pairs: Mapping[str, Any]) -> dict[str, Mapping[str, str]]:
    """Rows of the table by case."""
    problems, rows = [], {}
    for line in table.lines:
        if line["case"] not in pairs:
            problems.append(f"row {line.number} has case {line['case'] or 'no name'}, which no pair of images is")
        elif line["case"] in rows:
            problems.append(f"row {line.number} repeats the case {line['case']}")
        elif line["split"] not in ("", *SPLITS):
            problems.append(f"row {line.number} has split {line['split']}, expected train, val or test")
        rows[line["case"]] = line.values
    if problems:
        raise Problems(f"{table.source} does not fit", problems)
    return rows


def _seen_from(out: Path, text: str, folder: Path) -> str:
    """A value of the table; a file's path as the cohort names it."""
    path = folder / text
    return relative_path(path, out) if text and is_image_name(path) and path.is_file() else text


def _subject(name: str) -> str:
    return name.partition("_")[0] if name.startswith("sub-") else name


def _check(
    pairs: Mapping[str, tuple[Path, Path]], subjects: Mapping[str, str]
) -> tuple[dict[str, str], list[tuple[str, str, Coarse, Coarse]]]:
    """Why pairs are left out, by case, and the others in blocks."""
    left_out: dict[str, str] = {}
    coarse = []
    with progress("check", len(pairs), "pairs") as bar:
        for name, (low, high) in pairs.items():
            try:
                one, other = read_volume(low), read_volume(high)
                if wrong := grid_difference(one.data.shape, one.affine, other.data.shape, other.affine):
                    raise UserError(
                        f"the degraded image {low} {wrong} like the clean image {high}{_hint(low, other.data.shape)}"
                    )
                coarse.append((name, subjects[name], Coarse.of(one.data), Coarse.of(other.data)))
            except UserError as error:
                left_out[name] = str(error)
            bar.advance(case=name)
    return left_out, coarse


def _hint(path: Path, shape: Sequence[int]) -> str:
    """How images of two sizes are brought together."""
    if not is_photo_name(path):
        return " (taskgan prepare pet --resample brings volumes onto one grid)"
    return f"; enlarge it first, as ImageMagick does: magick {path.name} -resize {shape[0]}x{shape[1]}! LARGE.png"


def _splits(
    usable: Mapping[str, Any], subjects: Mapping[str, str], known: Mapping[str, Mapping[str, str]], seed: int
) -> dict[str, str]:
    given = {name: known.get(name, {}).get("split", "") for name in usable}
    if all(given.values()):
        return given
    labels = {subjects[name]: known.get(name, {}).get("label", "") for name in usable}
    dealt = assign_splits(labels, seed=seed)
    return {name: dealt[subjects[name]] for name in usable}
