"""``taskgan prepare lfw``: Labeled Faces in the Wild as a cohort for super-resolution, with pairs to verify."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import Field

from taskgan.cohort.folder import complete
from taskgan.cohort.pairs import SPLITS
from taskgan.core.console import say
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import PathLike, checksum, write_rows
from taskgan.core.lock import exclusive
from taskgan.core.settings import Settings
from taskgan.images.photos import is_photo_name
from taskgan.prepare.photos import PhotoPreparation, PhotoSource, begin_cohort, describe, measure

NAMES = {"train": "pairsDevTrain.txt", "test": "pairsDevTest.txt"}


@dataclass(frozen=True)
class ListedPair:
    """Two images, each a person and a number, and the line of the file (from 1) that lists them."""

    line: int
    first: tuple[str, int]
    second: tuple[str, int]

    @property
    def same(self) -> bool:
        """Whether they are of one person."""
        return self.first[0] == self.second[0]


@dataclass(frozen=True)
class PairList:
    """One list: its file, and its pairs in their order."""

    source: Path
    pairs: tuple[ListedPair, ...]

    @property
    def people(self) -> frozenset[str]:
        """Everybody who is on an image of it."""
        return frozenset(person for pair in self.pairs for person, _ in (pair.first, pair.second))


def case_of(image: tuple[str, int]) -> str:
    """``("Aaron_Peirsol", 1)`` to ``Aaron_Peirsol_0001``, what LFW calls the file."""
    return f"{image[0]}_{image[1]:04d}"


def find_list(explicit: Path | None, name: str, folder: Path) -> Path:
    """The list that was named, or the one of that name in LFW's folder or beside it.

    Raises:
        UserError: If there is none.
    """
    if explicit is not None:
        return explicit
    path = next((place / name for place in (folder, folder.resolve().parent) if (place / name).is_file()), None)
    if path is None:
        raise UserError(f"there is no {name} in {folder} or beside it; expected LFW's list (or name it by the option)")
    return path


def read_list(source: Path) -> PairList:
    """Read a list of LFW's view 1 (Huang et al. 2007, UMass Amherst TR 07-49).

    The first line is a count n. n lines with three columns follow (a person and the numbers of two images: matched),
    then n with four (a person and a number, another person and a number: mismatched).

    Raises:
        UserError: If it cannot be read or does not begin with a count.
        Problems: If lines are malformed or too few or many: all of them at once.
    """
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{source} cannot be read as a list of pairs: {error}") from None
    first = lines[0].split() if lines else []
    if len(first) != 1 or not first[0].isdigit() or int(first[0]) < 1:
        start = repr(lines[0]) if lines else "nothing"
        raise UserError(f"{source} begins with {start}, expected the number of matched pairs alone")
    declared, problems, pairs = int(first[0]), [], []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        pair = _pair(number, line.split())
        if isinstance(pair, str):
            problems.append(pair)
        else:
            pairs.append(pair)
    for name, count in (("matched", sum(p.same for p in pairs)), ("mismatched", sum(not p.same for p in pairs))):
        if count != declared and not problems:
            problems.append(f"it has {count} {name} pairs, its first line says {declared}")
    if problems:
        raise Problems(f"{source} is malformed", problems)
    return PairList(source, tuple(pairs))


def _pair(number: int, fields: Sequence[str]) -> ListedPair | str:
    if len(fields) not in (3, 4):
        return f"line {number} has {len(fields)} columns, expected 3 (matched) or 4 (mismatched)"
    numbers = fields[1::2] if len(fields) == 4 else fields[1:]
    if not all(word.isdigit() for word in numbers):
        return f"line {number} has {' and '.join(numbers)}, expected numbers of images"
    one, two = (int(word) for word in numbers)
    first, second = fields[0], fields[0] if len(fields) == 3 else fields[2]
    if len(fields) == 4 and first == second:
        return f"line {number} has {first} twice, expected two people where there are four columns"
    if len(fields) == 3 and one == two:
        return f"line {number} has the image {one} of {first} twice, expected two images"
    return ListedPair(number, (first, one), (second, two))


def check_lists(lists: Mapping[str, PairList], cases: Mapping[str, str], folder: Path) -> None:
    """See that nobody is on both sides and that every image is there; a Problems names all that is wrong.

    ``cases`` is every image that is in the folder, and whose it is.
    """
    both = sorted(lists["train"].people & lists["test"].people)
    problems = [
        f"{person} is in both {lists['train'].source.name} and {lists['test'].source.name}: a person belongs to one"
        for person in both
    ]
    absent: dict[str, str] = {}
    for one in lists.values():
        for pair in one.pairs:
            for image in (pair.first, pair.second):
                what = f"{one.source.name} line {pair.line} names {image[0]}/{case_of(image)}"
                if case_of(image) not in cases:
                    absent.setdefault(case_of(image), f"{what}, which {folder} does not have")
    if problems := [*problems, *absent.values()]:
        raise Problems(f"{folder} does not fit its lists", problems)


_TELLING = 3  # images, from which on a person shows a recogniser what stays the same


class LfwSubset(Settings):
    """How much is kept. The same seed and settings keep the same.

    Attributes:
        people: Training and validation people: those on kept pairs of the training list, then others who have at
            least three images, by chance. Where the pairs have more people, all of these.
        images: Of one training or validation person at most; those on kept pairs first.
        pairs: Matched, and as many mismatched, pairs of each list at most. Of test people only the images on these
            are kept.
    """

    people: int = Field(ge=2)
    images: int = Field(ge=2)
    pairs: int = Field(ge=1)


def draw_subset(
    images: Mapping[str, Sequence[Path]], lists: Mapping[str, PairList], subset: LfwSubset, seed: int
) -> tuple[dict[str, list[Path]], dict[str, PairList]]:
    """Draw the people, images and pairs that are kept, of two lists that share no person.

    Returns:
        Images of the people that are kept, and the lists with the pairs that are kept, in their old order.
    """
    rng = np.random.default_rng(seed)
    sampled = {name: _some_pairs(lists[name], subset.pairs, rng) for name in ("test", "train")}
    named = {case_of(image) for one in sampled.values() for pair in one.pairs for image in (pair.first, pair.second)}
    test, train = lists["test"].people, sampled["train"].people
    others = [p for p, own in images.items() if p not in test | train and len(own) >= _TELLING]
    more = max(0, min(len(others), subset.people - len(train)))
    learnt = train | {others[k] for k in rng.permutation(len(others))[:more]}
    selected: dict[str, list[Path]] = {}
    for person, own in images.items():
        paths = [path for path in own if path.stem in named]
        if person in learnt:
            rest = [path for path in own if path.stem not in named]
            room = max(0, subset.images - len(paths))
            paths += [rest[k] for k in rng.permutation(len(rest))[:room]]
        if paths:
            selected[person] = sorted(paths)
    return selected, {name: sampled[name] for name in lists}


def _some_pairs(whole: PairList, count: int, rng: np.random.Generator) -> PairList:
    chosen: list[ListedPair] = []
    for same in (True, False):
        alike = [pair for pair in whole.pairs if pair.same is same]
        chosen += [alike[k] for k in sorted(rng.permutation(len(alike))[:count])]
    return replace(whole, pairs=tuple(chosen))


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
    # Lists go by their content: the folder that they lie in makes no difference to the cohort.
    checksums = {name: checksum(one.source) for name, one in lists.items()}
    description = describe("faces", MADE_BY, settings, lists=checksums)
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
    """Images by person and the lists ``train`` and ``test``, which fit each other; a list that is None is looked for.

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
    """A split for every person: ``test`` for whoever is on a test pair, else ``val`` for a share, or ``train``.

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


def _write_verification(path: Path, lists: Mapping[str, PairList]) -> None:
    rows = (
        {"set": name, "first": case_of(p.first), "second": case_of(p.second), "same": int(p.same)}
        for name, one in lists.items()
        for p in one.pairs
    )
    write_rows(path, ("set", "first", "second", "same"), rows)
