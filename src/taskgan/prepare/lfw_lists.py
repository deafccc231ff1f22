"""The pair lists of LFW's view 1, ``pairsDevTrain.txt`` and ``pairsDevTest.txt``.

The first line is a count n. n lines with three columns follow (a person and the numbers of two images: matched),
then n with four (a person and a number, another person and a number: mismatched). Huang et al. 2007, UMass Amherst
TR 07-49.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import Field

from taskgan.core.errors import Problems, UserError
from taskgan.core.settings import Settings

NAMES = {"train": "pairsDevTrain.txt", "test": "pairsDevTest.txt"}


@dataclass(frozen=True)
class ListedPair:
    """Two images.

    Attributes:
        line: In the file, from 1.
        first: Person and number.
        second: Person and number.
    """

    line: int
    first: tuple[str, int]
    second: tuple[str, int]

    @property
    def same(self) -> bool:
        """Whether they are of one person."""
        return self.first[0] == self.second[0]


@dataclass(frozen=True)
class PairList:
    """One list.

    Attributes:
        source: Its file.
        pairs: In its order.
    """

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
    """Read a list.

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
    """See that nobody is on both sides and that every image is there.

    Args:
        lists: ``train`` and ``test``.
        cases: Every image that was found, and whose it is.
        folder: Where it was looked for, for messages.

    Raises:
        Problems: All of them at once.
    """
    both = sorted(lists["train"].people & lists["test"].people)
    problems = [
        f"{person} is in both {lists['train'].source.name} and {lists['test'].source.name}: a person belongs to one"
        for person in both
    ]
    reported: set[str] = set()
    for one in lists.values():
        for pair in one.pairs:
            for image in (pair.first, pair.second):
                case = case_of(image)
                if case not in cases and case not in reported:
                    reported.add(case)
                    problems.append(
                        f"{one.source.name} line {pair.line} names {image[0]}/{case}, which {folder} does not have"
                    )
    if problems:
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
    """Draw the people, images and pairs that are kept.

    Args:
        images: Of every person.
        lists: ``train`` and ``test``, which share no person.
        subset: How much.
        seed: Of the draw.

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
