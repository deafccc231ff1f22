"""Which restored image belongs to which case: our own folders, and those of any other tool."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taskgan.cohort.pairs import Pair, Pairs
from taskgan.core.artefact import differing, read_record
from taskgan.core.errors import UserError
from taskgan.core.files import checksum
from taskgan.core.parse import quoted
from taskgan.core.tables import read_table
from taskgan.images.photos import is_photo_name
from taskgan.images.volumes import is_image_name, read_sidecar, stem
from taskgan.recipe import Recipe, parse_recipe

RESERVED = ("input", "clean")


@dataclass(frozen=True)
class Restorations:
    """A folder of restored images.

    Attributes:
        seed: Training seed, or None where unknown.
        fold: Cross-validation fold, or None where unknown.
        images: Restored image of every case that is both in the folder and in the cohort.
        origin: ``restored.yaml``, empty for another tool's folder.
    """

    folder: Path
    method: str
    seed: int | None
    fold: int | None
    images: dict[str, Path]
    origin: dict[str, Any] = field(repr=False)

    @property
    def recipe(self) -> Recipe:
        """What ``restored.yaml`` recorded of the recipe; the defaults of another tool's folder."""
        return recorded_recipe(self.origin, self.folder / "restored.yaml")


def recorded_recipe(record: Mapping[str, Any], source: Path) -> Recipe:
    """The recipe that a record holds, or the defaults. ``record``: ``restored.yaml`` or ``evaluation.yaml``; empty for
    another tool's folder.
    """
    recorded = record.get("recipe")
    if not isinstance(recorded, dict):
        return Recipe()
    known = {key: recorded[key] for key in ("data", "task", "judge") if key in recorded}
    return parse_recipe(known, str(source))


def find_restorations(folder: Path, pairs: Pairs, method: str | None = None) -> Restorations:
    """Match restored images with the cases of a cohort.

    A folder of ``taskgan restore`` says which is which in ``restored.csv``. In any other folder an image is a
    case's if it is called after the case (``<case>.nii.gz``, ``<case>.png``) or after its degraded image.

    Raises:
        UserError: If the folder or an image that it lists does not exist, it is unfinished, no case matches, an
            image says that it was restored from another one, or the method has no name or the name of a reference
            row.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist; expected a folder of restored images")
    origin = read_record(folder / "restored.yaml")
    if origin.get("status", "complete") != "complete":
        raise UserError(f"{folder} holds an unfinished restoration; call taskgan restore again, it goes on")
    wrong = differing(folder / "restored.yaml", origin) if origin else None
    if wrong:
        raise UserError(f"{wrong[0]} since it was restored; call taskgan restore with --overwrite")
    name = method or origin.get("method")
    if not name:
        raise UserError(f"{folder} has no restored.yaml that names its method; say it with --method")
    if name in RESERVED:
        raise UserError(f"a method cannot be called {quoted(name)}: that is the name of the cohort's own images")
    listed = folder / "restored.csv"
    images = _from_table(listed, pairs) if listed.is_file() else _by_name(folder, pairs)
    if not images:
        first = pairs.rows[0]
        example = first.case + (".png" if is_photo_name(first.degraded) else ".nii.gz")
        raise UserError(f"{folder} holds no image of a case in {pairs.source}; expected names such as {example}")
    _check_sources(images, pairs)
    return Restorations(
        folder, str(name), _number(folder, origin, "seed"), _number(folder, origin, "fold"), images, origin
    )


def _from_table(table: Path, pairs: Pairs) -> dict[str, Path]:
    rows = [row for _, row in read_table(table, ("case", "restored"))]
    nameless = [row["case"] for row in rows if not row["restored"]]
    if nameless:
        raise UserError(f"{table} names no restored image for the case {nameless[0]}")
    known = {pair.case for pair in pairs}
    images = {row["case"]: table.parent / row["restored"] for row in rows if row["case"] in known}
    absent = [str(path) for path in images.values() if not path.exists()]
    if absent:
        raise UserError(f"{table} lists {len(absent)} images that do not exist, the first is {absent[0]}")
    return images


def _check_sources(images: dict[str, Path], pairs: Pairs) -> None:
    """Two cohorts may call their subjects alike: an image that says what it was made from is believed."""
    for pair in pairs:
        was = read_sidecar(images[pair.case]).get("SourceChecksum") if pair.case in images else None
        if was and pair.degraded.exists() and was != checksum(pair.degraded):
            raise UserError(
                f"{images[pair.case]} was restored from another image than {pair.degraded}; "
                "expected the cohort that it was restored from"
            )


def _by_name(folder: Path, pairs: Pairs) -> dict[str, Path]:
    # A NIfTI file counts before a picture of the same name.
    paths = sorted(folder.iterdir(), key=lambda path: (not is_photo_name(path), path.name))
    files = {stem(path): path for path in paths if is_image_name(path)}
    stems = [stem(pair.degraded) for pair in pairs]

    def of(pair: Pair) -> Path | None:
        """The file that is called like the case, else like its degraded image where that is no other's."""
        own = stem(pair.degraded)
        return files.get(pair.case) or (files.get(own) if stems.count(own) == 1 else None)

    return {pair.case: place for pair in pairs if (place := of(pair)) is not None}


def _number(folder: Path, origin: dict[str, Any], key: str) -> int | None:
    value = origin.get(key)
    if value is not None and not isinstance(value, int):
        raise UserError(f"{folder / 'restored.yaml'} has the {key} {value!r}, expected a whole number")
    return value
