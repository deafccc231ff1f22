"""A part of LFW that fits into minutes: some people, some images of each, some pairs of both lists."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import Field

from taskgan.core.settings import Settings
from taskgan.prepare.lfw_lists import ListedPair, PairList, case_of

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
    named = {
        case_of(image)
        for one in sampled.values()
        for pair in one.pairs
        for image in (pair.first, pair.second)
    }
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
