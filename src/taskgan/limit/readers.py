"""Readers of one architecture, each taught on one kind of image: clean ones, inputs, a method's restorations."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.conditions import condition_of, one_hot
from taskgan.cohort.grids import check_same_grid
from taskgan.cohort.pairs import Pair
from taskgan.cohort.slices import Case, load_case, to_slices
from taskgan.core.console import progress
from taskgan.core.files import checksum, value_digest
from taskgan.images.volumes import read_volume
from taskgan.judges.read import LoadedCase, PropertyReader
from taskgan.judges.readings import CLEAN, INPUT, Reading, readings_table
from taskgan.judges.recogniser import Recogniser
from taskgan.judges.slices import middle_slices
from taskgan.judges.verification import ImagePairs
from taskgan.judges.verification.readers import NetworkVerifier, ReaderImage
from taskgan.judges.volumes import ReaderView
from taskgan.limit.figures import INPUTS, Answer, Answers, read_answers, verified_answers
from taskgan.model.blocks import SliceStack
from taskgan.recipe import Data

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


def restored_view(images: Mapping[str, Path], axes: str) -> ReaderView:
    """A method's restorations, by case, in the scale of their inputs."""

    def shown(case: Case) -> Array:
        path = images[case.pair.case]
        volume = read_volume(path, axes=axes)
        check_same_grid(volume, case.source, path, case.pair)
        return to_slices(case.intensity.apply(volume.data))

    return ReaderView(value_digest({case: checksum(path) for case, path in images.items()}, 64), shown)


class Panel(NamedTuple):
    """Readers by what they were taught on, clean images first; what else they are shown; how; and on whom."""

    readers: Mapping[str, Recogniser]
    views: Mapping[str, ReaderView]
    data: Data
    comparable: bool
    tested: Sequence[Pair]
    middle: int

    def cases(self) -> Iterator[tuple[Case, dict[str, dict[str, Array]]]]:
        """Each case with the middle slices that every reader is shown, by reader and image."""
        with progress("read", len(self.tested), "cases") as bar:
            for pair in self.tested:
                case = load_case(pair, self.data)
                assert case.clean is not None  # they were chosen so
                own = {name: middle_slices(view.slices(case), self.middle) for name, view in self.views.items()}
                plain = {CLEAN: case.clean} | ({INPUT: case.inputs[:, 0]} if self.comparable else {})
                seen = {name: middle_slices(image, self.middle) for name, image in plain.items()}
                seen |= {name: slices for name, slices in own.items() if name != INPUTS}
                yield case, {name: seen if name == CLEAN else {name: own[name]} for name in self.readers}
                bar.advance()


def read_property(panel: Panel, readers: Mapping[str, PropertyReader]) -> tuple[list[Reading], Answers]:
    """Every reader's readings; ``readers`` have the names of the panel's."""
    rows: list[Reading] = []
    for case, shown in panel.cases():
        loaded = LoadedCase(case.pair, {INPUT: case.source}, case.intensity.scale, {})
        clean: dict[str, Array] = {}
        for name, reader in readers.items():
            said = {image: reader.reader.read(slices) for image, slices in shown[name].items()}
            clean = clean or {CLEAN: said[CLEAN]}  # of the first, who alone is shown it
            own = reader.readings(loaded, clean | said)
            rows += [row for row in own if row.image in said]
    table = readings_table(rows)
    frames = {
        Answer(name, str(image)): part.set_index(["case", "output"])
        for name, reader in readers.items()
        for image, part in table[table["judge"] == reader.name].groupby("image", sort=False)
    }
    return rows, read_answers(frames, readers[CLEAN].targets.kind.measure[0])


def compare_people(panel: Panel, pairs: Sequence[tuple[Pair, Pair]]) -> Answers:
    """Distances of the pairs of test images by every reader."""
    verifiers = {name: NetworkVerifier(one, panel.middle) for name, one in panel.readers.items()}
    described: dict[Answer, dict[str, Array]] = {}
    for case, shown in panel.cases():
        for name, verifier in verifiers.items():
            for image, slices in shown[name].items():
                one = verifier.describe([ReaderImage(None, slices)])
                described.setdefault(Answer(name, image), {})[case.pair.case] = one
    distance = verifiers[CLEAN].distance
    distances = {
        answer: np.concatenate([distance(own[one.case], own[two.case]) for one, two in pairs])
        for answer, own in described.items()
    }
    who = ImagePairs.from_people([one.subject for one, _ in pairs], [two.subject for _, two in pairs])
    return verified_answers(distances, who)
