"""What every image of a cohort was made from, so that an image of another source is never taken for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from taskgan.core.console import progress
from taskgan.core.errors import UserError
from taskgan.core.files import checksum, write_rows
from taskgan.core.tables import csv_rows

FILE = "sources.csv"
_COLUMNS = ("case", "image", "sha256")


@dataclass(frozen=True)
class PhotoSource:
    """One clean photo.

    Attributes:
        case: Its name in the cohort.
        path: The file.
        place: Where its images go below ``degraded`` and ``clean``, without a suffix.
        columns: Of its row in ``pairs.csv``: ``subject``, ``split``, ``label`` and further ones.
    """

    case: str
    path: Path
    place: Path
    columns: dict[str, object] = field(default_factory=dict)

    def degraded(self, out: Path) -> Path:
        """Where the degraded image goes."""
        return degraded_path(out, self.place)

    def clean(self, out: Path) -> Path:
        """Where the clean image goes, if it is not the user's own."""
        return clean_path(out, self.place)


class SourceRecord(NamedTuple):
    """Where the images of a case are, and the SHA-256 of the file that they were made from."""

    place: str
    sha256: str


def degraded_path(out: Path, place: Path | str) -> Path:
    """Of a cohort."""
    return out / "degraded" / f"{place}.png"


def clean_path(out: Path, place: Path | str) -> Path:
    """Of a cohort that does not refer to the user's own."""
    return out / "clean" / f"{place}.png"


def source_records(sources: Sequence[PhotoSource]) -> dict[str, SourceRecord]:
    """What the images would be made from, by case.

    Raises:
        UserError: If a file cannot be read.
    """
    records = {}
    with progress("check", len(sources), "images") as bar:
        for source in sources:
            try:
                records[source.case] = SourceRecord(source.place.as_posix(), checksum(source.path))
            except OSError as error:
                raise UserError(f"{source.path} cannot be read: {error.strerror}") from None
            bar.advance()
    return records


def check_unchanged(out: Path, marks: Mapping[str, SourceRecord]) -> None:
    """Of a complete cohort: it was made of these images.

    Raises:
        UserError: If images differ, came or went.
    """
    held = _read_records(out)
    other = [case for case in dict.fromkeys((*marks, *held)) if marks.get(case) != held.get(case)]
    if other:
        raise UserError(
            f"{out} is complete, but of other images: {len(other)} of {len(marks)} are not those that it was made "
            f"of, such as {other[0]}; take another folder, or --overwrite"
        )


def reset_sources(out: Path, marks: Mapping[str, SourceRecord]) -> None:
    """Take away what an interrupted call made of other files, then write down what the images are made from.

    In this order: an image that is there was made from what the file says, whenever the call is killed.
    """
    for place in (mark.place for case, mark in _read_records(out).items() if marks.get(case) != mark):
        for path in (degraded_path(out, place), clean_path(out, place)):
            path.unlink(missing_ok=True)
    rows = ({"case": case, "image": mark.place, "sha256": mark.sha256} for case, mark in marks.items())
    write_rows(out / FILE, _COLUMNS, rows)


def _read_records(out: Path) -> dict[str, SourceRecord]:
    if not (out / FILE).is_file():
        return {}
    return {row["case"]: SourceRecord(row["image"], row["sha256"]) for _, row in csv_rows(out / FILE, _COLUMNS)}
