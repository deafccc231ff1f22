"""Readers of one architecture, each taught on one kind of image: clean ones, inputs, a method's restorations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.conditions import condition_of, one_hot
from taskgan.cohort.grids import check_same_grid
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.slices import Case, load_case, to_slices
from taskgan.core.console import progress
from taskgan.images.volumes import read_volume
from taskgan.judges.read import LoadedCase, PropertyReader
from taskgan.judges.readings import CLEAN, INPUT, Reading
from taskgan.judges.recogniser import Recogniser
from taskgan.judges.slices import middle_slices
from taskgan.judges.store import recogniser_for
from taskgan.judges.volumes import ReaderView
from taskgan.model.blocks import SliceStack
from taskgan.objective.task import TaskKind
from taskgan.recipe import Data, RecogniserSettings, Target

Array = NDArray[np.float32]
_AROUND = 2  # slices on either side that stand for the block of a generator of volumes


def input_view(data: Data) -> ReaderView:
    """All that a generator gets of a slice: further inputs, neighbours, smoothed copies, the wanted condition."""

    def shown(case: Case) -> Array:
        code = one_hot(condition_of(case.pair, data), data)
        stack = SliceStack(case.inputs, data.neighbours or _AROUND * bool(data.patch), len(data.context), code)
        channels = np.stack([stack.channels(index) for index in range(len(case.inputs))])
        return channels[:, 0] if channels.shape[1] == 1 else channels

    mark = data.model_dump_json(include={"inputs", "neighbours", "context", "patch", "condition", "conditions"})
    return ReaderView(mark, shown)


def restored_view(images: Mapping[str, Path], mark: str, axes: str) -> ReaderView:
    """A method's restorations, by case, in the scale of their inputs."""

    def shown(case: Case) -> Array:
        path = images[case.pair.case]
        volume = read_volume(path, axes=axes)
        check_same_grid(volume, case.source, path, case.pair)
        return to_slices(case.intensity.apply(volume.data))

    return ReaderView(mark, shown)


@dataclass(frozen=True)
class TaughtReader:
    """Recognisers of several seeds that read as one.

    Attributes:
        taught: On which images.
        members: One a seed.
    """

    taught: str
    members: tuple[Recogniser, ...]

    @property
    def kind(self) -> TaskKind:
        """What they read."""
        return self.members[0].kind

    def read(self, slices: Array) -> Array:
        """Mean of what the members say of each slice; descriptors stand side by side."""
        said = [one.read(slices) for one in self.members]
        return np.concatenate(said, axis=-1) if self.kind.label_from_clean else np.mean(said, axis=0)


def teach(
    pairs: Pairs,
    settings: RecogniserSettings,
    data: Data,
    target: Target,
    *,
    name: str,
    taught: str,
    seeds: int,
    store: Path | None,
    view: ReaderView | None = None,
) -> TaughtReader:
    """Teach on training subjects, or take from the store; the first seed is the recipe's."""
    make = partial(recogniser_for, pairs, data=data, store=store, target=target, view=view)
    title = name if view is None else f"{name}-{taught}"
    each = (settings.model_copy(update={"seed": settings.seed + k}) for k in range(seeds))
    return TaughtReader(taught, tuple(make(one, name=title) for one in each))


def shown_slices(
    pairs: Sequence[Pair], data: Data, views: Mapping[str, ReaderView], middle: int
) -> Iterator[tuple[Case, dict[str, Array]]]:
    """Each case with the middle slices of its clean image, its input and what views show of it, by name."""
    with progress("read", len(pairs), "cases") as bar:
        for pair in pairs:
            case = load_case(pair, data)
            assert case.clean is not None
            images = {CLEAN: case.clean, INPUT: case.inputs[:, 0]}
            images |= {name: view.slices(case) for name, view in views.items()}
            yield case, {name: middle_slices(image, middle) for name, image in images.items()}
            bar.advance()


def case_readings(
    reader: PropertyReader, case: Case, slices: Mapping[str, Array], clean: Array | None = None
) -> tuple[list[Reading], Array]:
    """What a reader says of images of a case, and its own answer to the clean one.

    Args:
        reader: One taught on clean images, or (with ``clean``) on others, who is shown no clean image.
        case: The case.
        slices: By image.
        clean: What the former said of the clean image.
    """
    said = {name: reader.reader.read(one) for name, one in slices.items()}
    loaded = LoadedCase(case.pair, {INPUT: case.source}, case.intensity.scale, {})
    known = said[CLEAN] if clean is None else clean
    rows = reader.readings(loaded, {CLEAN: known, **said})
    return [row for row in rows if row.image in said], known
