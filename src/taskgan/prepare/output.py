"""Whether a cohort may be written to a folder, and how it comes there: item by item, in parts or at once."""

import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskgan.cohort.folder import FILE, complete, read_description, write_description
from taskgan.cohort.pairs import DEFAULT_SHARES, SPLITS, split_subjects
from taskgan.core.artefact import is_done, request_digest
from taskgan.core.console import progress, say
from taskgan.core.errors import LeftOut, Problems, UserError
from taskgan.core.files import LOCK, PART, atomic_folder, check_writable, folder_files, value_digest, write_text
from taskgan.core.parse import quoted
from taskgan.core.parts import Part, in_parts, parse_part

Made = dict[str, Any]
_KEPT = ".made.json"


def check_output(out: Path, made_by: str, *, overwrite: bool) -> None:
    """See, before any work, that a cohort of a verb may be written to a folder.

    Raises:
        UserError: If there is something else, or a cohort that was not asked to be replaced.
    """
    check_writable(out.parent, "the cohort")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UserError(f"{out} is not a folder, expected a new or empty one to write the cohort to")
    if not folder_files(out):
        return
    if read_description(out).get("made_by") != made_by:
        verb = made_by.removeprefix("taskgan ")
        raise UserError(f"{out} is not empty and was not made by {verb}; expected a new or empty folder")
    if not overwrite:
        raise UserError(f"{out} holds a cohort; --overwrite replaces it")


def remove_cohort(out: Path, made_by: str) -> None:
    """Remove a cohort that is to be made anew; a UserError where there is something else than the verb made."""
    check_output(out, made_by, overwrite=True)
    if not (out / FILE).is_file():
        return
    # It vouches for nothing any more, but says until the end whose folder this is.
    write_description(out, {k: v for k, v in read_description(out).items() if k not in ("complete", "files")})
    for path in out.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in (FILE, LOCK):
            path.unlink()
    (out / FILE).unlink()


def image_files(paths: Iterable[Path]) -> list[Path]:
    """The files that images are read from; those of a folder of DICOM files at any depth."""
    return [p for path in paths for p in (sorted(path.rglob("*")) if path.is_dir() else [path]) if p.is_file()]


@dataclass(frozen=True)
class Item:
    """A scan, subject or pair of a cohort that is prepared.

    Attributes:
        value: All that ``make`` depends on, with the settings and the files; its text counts.
        make: Writes its images below a folder and gives what the tables need, as JSON's values; a UserError leaves it
            out, Problems forbid the cohort.
    """

    name: str
    subject: str
    value: object
    files: Sequence[Path]
    make: Callable[[Path], Made]


def prepare_items(
    out: Path,
    items: Sequence[Item],
    write: Callable[[Path, dict[str, Made], dict[str, str]], tuple[dict[str, Any], list[str]]],
    *,
    made_by: str,
    what: str,
    source: object,
    request: Mapping[str, Any],
    part: str | None,
    overwrite: bool,
    hint: str = "",
) -> Path:
    """Make a cohort of items, or the K-th of N parts; the part that ends last makes it of what all have kept.

    Args:
        out: Cohort folder to make, which is returned.
        items: All of them; those of a subject are of one part.
        write: Writes the tables to a folder, by what ``make`` gave of items and why others are left out, both by name.
            Gives what ``cohort.yaml`` says and what is said in the end.
        made_by: The verb, as ``cohort.yaml`` says it; ``what`` are the items, e.g. ``scans``, of a ``source``; ``hint``
            ends the sentence on those that are left out.
        request: Arguments of :func:`~taskgan.core.artefact.request_digest`, besides the files; the settings among them.
        part: ``K/N``; None is the whole call.
        overwrite: Replace a cohort of this verb.

    Raises:
        UserError: If ``out`` may not be written.
        Problems: If an item forbids it, or none can be prepared: nothing is written.
        LeftOut: If some cannot be prepared: they are named, the others are written.
    """
    keys = []
    for item in items:
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in item.files]
        values = {"item": str(item.value), "settings": str(request.get("settings")), "files": stats}
        keys.append(value_digest(values, 32))

    def _work(own: Part | None) -> bool:
        if own is None or (out / FILE).is_file():
            digest = request_digest(out, **request, images=[file for item in items for file in item.files])
            if not overwrite and is_done(out / FILE, digest):
                return True
        check_output(out, made_by, overwrite=overwrite)
        mine = list(zip(items, keys, strict=True))
        mine = own.of(mine, lambda one: one[0].subject) if own else mine
        lines: list[str] = []
        with nullcontext() if own else atomic_folder(out) as folder:
            made, left_out = _make_all(mine, out, folder, what, source)
            if folder is not None:
                if not made:
                    raise Problems(f"none of the {what} of {source} can be prepared", list(left_out.values()))
                description, lines = write(folder, made, left_out)
                complete(folder, {**description, "request": digest})
        for line in lines:
            say(line)
        if left_out:
            texts = [f"{name}: {text}" for name, text in left_out.items()]
            raise LeftOut(f"{len(left_out)} of {len(mine)} {what} are left out{hint}", texts)
        return own is None

    key = value_digest({"items": keys})
    in_parts(out, "the cohort", parse_part(part), _work, key=key, beside=True)
    return out


def _make_all(
    items: Sequence[tuple[Item, str]], out: Path, folder: Path | None, what: str, source: object
) -> tuple[dict[str, Made], dict[str, str]]:
    """What is made of items, and why others are left out; see :func:`_make`."""
    made: dict[str, Made] = {}
    left_out, problems = {}, list[str]()
    with progress("prepare", len(items), what) as bar:
        for item, key in items:
            try:
                one = _make(item, out / f"{PART}prepared" / key, folder)
                if "problem" in one:
                    left_out[item.name] = one["problem"]
                else:
                    made[item.name] = one
            except Problems as error:
                problems += error.problems
            bar.advance(case=item.name)
    if problems:
        raise Problems(f"{source} cannot be prepared", problems)
    return made, left_out


def _make(item: Item, own: Path, folder: Path | None) -> Made:
    """An item in the folder of a cohort, or (None) in its own, where a part keeps it until the cohort is made."""
    if (own / _KEPT).is_file():  # written last
        if folder is not None:
            shutil.copytree(own, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(_KEPT))
        return dict(json.loads((own / _KEPT).read_text(encoding="utf-8")))
    try:
        made = item.make(folder or own)
    except Problems:
        raise
    except UserError as error:
        made = {"problem": str(error)}
    if folder is None:
        write_text(own / _KEPT, json.dumps(made))
    return made


def participant(name: str) -> str:
    """``P-01`` to ``sub-P01``: BIDS labels hold letters and digits only."""
    return "sub-" + re.sub(r"[^0-9A-Za-z]", "", name.removeprefix("sub-"))


def name_problems(names: Sequence[str]) -> list[str]:
    """What is wrong with subjects' names: those without a letter or digit, and those that become one name."""
    problems = [f"subject {quoted(name)} has no letter or digit" for name in names if participant(name) == "sub-"]
    before: dict[str, str] = {}
    for name in names:
        other = before.setdefault(participant(name).lower(), name)
        if other != name:
            problems.append(f"subjects {quoted(other)} and {quoted(name)} would both be called {participant(name)}")
    return problems


def assign_splits(
    strata: Mapping[str, str], *, shares: Sequence[float] = DEFAULT_SHARES, seed: int = 0
) -> dict[str, str]:
    """A split for each subject; fewer than three subjects are all ``test``, as there is nothing to learn from.

    ``strata``, by subject, is what is spread evenly over the splits; a UserError if one has fewer than three subjects
    although there are three.
    """
    if len(strata) < len(SPLITS):
        return dict.fromkeys(strata, "test")
    return split_subjects(strata, shares=shares, seed=seed)
