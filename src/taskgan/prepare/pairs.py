"""``taskgan prepare pairs``: two folders of images, degraded and clean, paired by name."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from taskgan.cohort.grids import relative_path
from taskgan.cohort.pairing import Coarse, pairing_notes, scale_notes, scale_ratio
from taskgan.cohort.pairs import SPLITS, write_pairs
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import PathLike, versions
from taskgan.images.photos import is_photo_name
from taskgan.images.volumes import is_image_name, read_volume, stem
from taskgan.prepare.images import grid_difference
from taskgan.prepare.output import Item, Made, assign_splits, check_output, prepare_items
from taskgan.prepare.table import InputTable, read_table

MADE_BY = "taskgan prepare pairs"
_OWN = ("case", "subject", "split", "label")
_SHOWN = 10


def prepare_pairs(
    low: PathLike,
    high: PathLike,
    out: PathLike,
    *,
    table: PathLike | None = None,
    seed: int = 0,
    part: str | None = None,
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
        part: ``K/N``: only every N-th subject from the K-th on; the part that ends last makes the cohort.
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
    table = Path(table) if table is not None else None
    place = table.parent if table is not None else Path()
    known = _known(read_table(table, ("case",)), pairs) if table is not None else {}
    subjects = {name: name.partition("_")[0] if name.startswith("sub-") else name for name in pairs}
    subjects |= {name: row["subject"] for name, row in known.items() if row.get("subject")}
    further = [key for key in next(iter(known.values()), {}) if key not in _OWN]
    items = [Item(name, subjects[name], (name, both), both, partial(_compare, *both)) for name, both in pairs.items()]

    def _write(folder: Path, made: dict[str, Made], left_out: dict[str, str]) -> tuple[Made, list[str]]:
        blocks = {name: [Coarse.load(image) for image in one["coarse"]] for name, one in made.items()}
        coarse = [(name, subjects[name], low, high) for name, (low, high) in blocks.items()]
        ratios = [(name, scale_ratio(y, x)) for name, _, x, y in coarse]
        said = [*notes, *scale_notes(ratios, "the clean images", "their degraded ones"), *pairing_notes(coarse)]
        splits = _splits(made, subjects, known, seed)
        rows = [
            {
                "case": name,
                "subject": subjects[name],
                "split": splits[name],
                "degraded": relative_path(pairs[name][0], out),
                "clean": relative_path(pairs[name][1], out),
                "label": known.get(name, {}).get("label", ""),
                **{key: _seen_from(out, known.get(name, {}).get(key, ""), place) for key in further},
            }
            for name in made
        ]
        write_pairs(folder / "pairs.csv", rows)
        measured = {"pairs": len(made), "subjects": len({subjects[name] for name in made})}
        photos = is_photo_name(pairs[next(iter(made))][0])
        values: Made = {"kind": "photos" if photos else "volumes", "made_by": MADE_BY, "seed": seed}
        values |= {"versions": versions(), "notes": said, "left_out": left_out, "measured": measured}
        end = f"{out}: {len(made)} pairs of {measured['subjects']} subjects (taskgan info {out})"
        return values, [*(f"warning: {note}" for note in said), end]

    request = {"table": table, "seed": seed, "names": list(pairs)}
    how: Made = {"made_by": MADE_BY, "what": "pairs", "source": f"{low} and {high}", "part": part}
    return prepare_items(out, items, _write, request=request, overwrite=overwrite, **how)


def _compare(low: Path, high: Path, _: Path) -> Made:
    """Both images of a pair in blocks."""
    one, other = read_volume(low), read_volume(high)
    if wrong := grid_difference(one.data.shape, one.affine, other.data.shape, other.affine):
        hint = _hint(low, other.data.shape)
        raise UserError(f"the degraded image {low} {wrong} like the clean image {high}{hint}")
    return {"coarse": [Coarse.of(one.data).dump(), Coarse.of(other.data).dump()]}


def _paired(low: Path, high: Path, out: Path) -> tuple[dict[str, tuple[Path, Path]], list[str]]:
    """Pairs by case, and notes on images that have no counterpart."""
    images = [_images(folder, out) for folder in (low, high)]
    common = [name for name in images[0] if name in images[1]]
    if not common:
        first = next(iter(images[0].values()))
        raise UserError(f"{high} holds no image called like one of {low}, expected names such as {first.name}")
    notes = []
    for folder, own, other in ((low, images[0], images[1]), (high, images[1], images[0])):
        alone = [own[name].name for name in own if name not in other]
        if alone:
            more = f" and {len(alone) - _SHOWN} more" * (len(alone) > _SHOWN)
            notes.append(f"{folder}: no counterpart of {', '.join(alone[:_SHOWN])}{more}")
    return {name: (images[0][name], images[1][name]) for name in common}, notes


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
