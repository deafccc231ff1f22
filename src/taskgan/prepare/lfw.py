"""``taskgan prepare lfw``: Labeled Faces in the Wild as a cohort for super-resolution, with pairs to verify."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from taskgan.cohort.folder import complete
from taskgan.cohort.pairs import SPLITS
from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, checksum, versions, write_rows
from taskgan.core.lock import exclusive
from taskgan.degrade.degradation import Degradation
from taskgan.images.photos import is_photo_name
from taskgan.prepare.lfw_lists import (
    NAMES,
    LfwSubset,
    PairList,
    case_of,
    check_lists,
    draw_subset,
    find_list,
    read_list,
)
from taskgan.prepare.photos import PhotoPreparation, begin_cohort, measure
from taskgan.prepare.sources import PhotoSource

MADE_BY = "taskgan prepare lfw"
VERIFICATION = "verification.csv"


class LfwPreparation(PhotoPreparation):
    """How LFW becomes a cohort.

    Attributes:
        validation: Share of the people who are not in the test list that is split off for validation.
        subset: A part of it, for a demo; None is all.
    """

    validation: float = Field(default=0.1, gt=0, lt=1)
    subset: LfwSubset | None = None


@exclusive("out", "the cohort", beside=True)
def prepare_lfw(
    folder: PathLike,
    out: PathLike,
    settings: LfwPreparation,
    *,
    train_list: PathLike | None = None,
    test_list: PathLike | None = None,
    workers: int = 0,
    overwrite: bool = False,
) -> Path:
    """Make a cohort of LFW, LFW-a or its deep-funneled images, or go on with one that was interrupted.

    Whoever is on a pair of ``pairsDevTest.txt`` is a test person, with all images; all others are training people, a
    share of them for validation. ``label`` numbers the people, ``subject`` is the name. ``verification.csv`` has the
    pairs of both lists: ``set`` (train or test), the cases ``first`` and ``second``, and ``same`` (1 or 0).

    Args:
        folder: Holds a folder for each person with images called ``<person>_<number>.jpg``, or the folder that does.
        out: Cohort folder; absent, empty, or begun with the same settings.
        settings: Degradation, crop, shares.
        train_list: ``pairsDevTrain.txt``; None looks in the folder and beside it.
        test_list: ``pairsDevTest.txt``, likewise.
        workers: Threads; 0 takes every core.
        overwrite: Begin anew what this verb made before.

    Returns:
        The cohort folder.

    Raises:
        UserError: If a folder or list cannot be read, or ``out`` holds something else.
        Problems: If lists are malformed, name images that are missing, or share a person; or if images are damaged.
    """
    out = Path(out)
    named = {"train": train_list, "test": test_list}
    images, lists = find_data(Path(folder), {k: Path(v) if v is not None else None for k, v in named.items()})
    description = _description(lists, settings)
    if settings.subset is not None:
        images, lists = draw_subset(images, lists, settings.subset, settings.seed)
    split = split_people(list(images), lists["test"].people, settings)
    sources = _sources(images, split)
    if not begin_cohort(out, sources, settings, description, overwrite=overwrite, workers=workers):
        say(f"{out} is complete: {len(sources)} images of {len(images)} people; nothing to do")
        return out
    _write_verification(out / VERIFICATION, lists)
    people = {name: sum(assigned == name for assigned in split.values()) for name in SPLITS}
    test = [source for source in sources if source.columns["split"] == "test"]
    measured = {"images": len(sources), "people": len(images), **people, **measure(test, settings, out)}
    complete(out, description | {"measured": measured})
    counts = ", ".join(f"{count} {name}" for name, count in people.items())
    pairs = sum(len(one.pairs) for one in lists.values())
    say(
        f"{out}: {len(sources)} images of {len(images)} people ({counts}), {pairs} pairs to verify (taskgan info {out})"
    )
    return out


def find_data(folder: Path, list_paths: Mapping[str, Path | None]) -> tuple[dict[str, list[Path]], dict[str, PairList]]:
    """Images by person and both lists, which fit each other.

    Args:
        folder: LFW's.
        list_paths: The lists ``train`` and ``test``; None looks in the folder and beside it.

    Raises:
        UserError: If a folder or list cannot be read.
        Problems: If lists are malformed, name images that are missing, or share a person.
    """
    images = find_images(folder)
    lists = {name: read_list(find_list(list_paths.get(name), NAMES[name], folder)) for name in NAMES}
    check_lists(lists, {path.stem: person for person, paths in images.items() for path in paths}, folder)
    return images, lists


def find_images(folder: Path) -> dict[str, list[Path]]:
    """Images of every person, both sorted by name.

    Raises:
        UserError: If the folder is missing, neither it nor the one folder in it is laid out so, or an image is there
            in two formats.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist; expected LFW's folder, which holds one for each person")
    by_person = _people(folder)
    if by_person:
        return by_person
    inside = [people for place in sorted(folder.iterdir()) if place.is_dir() and (people := _people(place))]
    if len(inside) != 1:
        raise UserError(
            f"{folder} holds {len(inside) or 'no'} folders of images called PERSON/PERSON_0001.jpg; expected LFW's "
            "folder, or one that holds it alone"
        )
    return inside[0]


def _people(folder: Path) -> dict[str, list[Path]]:
    images = {}
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        start = f"{place.name}_"
        paths = sorted(path for path in place.iterdir() if is_photo_name(path) and path.name.startswith(start))
        names = Counter(path.stem.lower() for path in paths)
        twice = [path.name for path in paths if names[path.stem.lower()] > 1]
        if twice:
            raise UserError(f"{place} holds {' and '.join(twice)}, expected one image of a number")
        if paths:
            images[place.name] = paths
    return images


def split_people(people: Sequence[str], test: frozenset[str], settings: LfwPreparation) -> dict[str, str]:
    """A split for every person.

    Args:
        people: Everybody, sorted.
        test: Whoever is on a test pair.
        settings: Share of validation, and seed.

    Raises:
        UserError: If fewer than two are left for training and validation.
    """
    others = [person for person in people if person not in test]
    if len(others) < 2:
        raise UserError(
            f"{len(others)} people are not on a test pair, expected at least two: one to learn from, one to validate"
        )
    count = min(len(others) - 1, max(1, round(settings.validation * len(others))))
    order = np.random.default_rng(settings.seed).permutation(len(others))
    validation = {others[index] for index in order[:count]}
    return {person: "test" if person in test else "val" if person in validation else "train" for person in people}


def _sources(images: Mapping[str, Sequence[Path]], split: Mapping[str, str]) -> list[PhotoSource]:
    return [
        PhotoSource(
            path.stem, path, Path(person) / path.stem, {"subject": person, "split": split[person], "label": number}
        )
        for number, (person, paths) in enumerate(images.items())
        for path in paths
    ]


def _description(lists: Mapping[str, PairList], settings: LfwPreparation) -> dict[str, Any]:
    values = settings.model_dump(mode="json", exclude={"degradation"})
    return {
        "kind": "faces",
        "made_by": MADE_BY,
        "seed": settings.seed,
        "degradation": {"steps": Degradation(settings.degradation).to_dicts()},
        "settings": values,
        # Lists go by their content: the folder that they lie in makes no difference to the cohort.
        "lists": {name: checksum(one.source) for name, one in lists.items()},
        "versions": versions(),
        "complete": False,
    }


def _write_verification(path: Path, lists: Mapping[str, PairList]) -> None:
    rows = (
        {"set": name, "first": case_of(p.first), "second": case_of(p.second), "same": int(p.same)}
        for name, one in lists.items()
        for p in one.pairs
    )
    write_rows(path, ("set", "first", "second", "same"), rows)
