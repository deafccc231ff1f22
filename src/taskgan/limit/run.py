"""``taskgan limit``: should a task network be used at all? What inputs still hold, against what methods keep.

Readers are of one architecture, each taught on one kind of image: clean ones, inputs, a method's restorations.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.conditions import condition_of, numbers_of, plane_code
from taskgan.cohort.grids import check_same_grid, input_is_comparable, relative_path
from taskgan.cohort.pairing import inputs_of_another_kind
from taskgan.cohort.pairs import REQUIRED, Pair, Pairs, read_pairs
from taskgan.cohort.restorations import find_restorations
from taskgan.cohort.slices import Case, load_case, to_slices
from taskgan.cohort.targets import Targets, resolved_recipe
from taskgan.cohort.verification import read_verification_pairs
from taskgan.core.artefact import commit, is_done, request_digest
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, check_writable, checksum, value_digest, versions
from taskgan.core.lock import exclusive
from taskgan.images.volumes import read_volume
from taskgan.judges.descriptors import NetworkVerifier, ReaderImage
from taskgan.judges.limits import FIGURE, RECORD
from taskgan.judges.properties import target_property
from taskgan.judges.read import LoadedCase, PropertyReader
from taskgan.judges.readers import no_readers_reason
from taskgan.judges.readings import CLEAN, INPUT, READINGS, Reading, readings_table, write_readings
from taskgan.judges.recogniser import Recogniser
from taskgan.judges.store import recogniser_for
from taskgan.judges.verification import ImagePairs
from taskgan.judges.volumes import ReaderView, middle_slices
from taskgan.limit.figures import (
    INPUTS,
    Answer,
    Answers,
    draw_limit,
    limit_sentence,
    limit_table,
    read_answers,
    verified_answers,
)
from taskgan.model.blocks import SliceStack
from taskgan.model.folder import read_model
from taskgan.page.cells import write_table
from taskgan.recipe import Data, Recipe, read_recipe
from taskgan.restore.run import restore

Array = NDArray[np.float32]
_AROUND = 2  # slices on either side that stand for the block of a generator of volumes


def input_view(data: Data) -> ReaderView:
    """All that a generator gets of a slice: further inputs, neighbours, smoothed copies, the wanted condition."""

    def _shown(case: Case) -> Array:
        code = plane_code(condition_of(case.pair, data), numbers_of(case.pair, data), data)
        stack = SliceStack(case.inputs, data.neighbours or _AROUND * bool(data.patch), len(data.context), code)
        channels = np.stack([stack.channels(index) for index in range(len(case.inputs))])
        return channels[:, 0] if channels.shape[1] == 1 else channels

    mark = data.model_dump_json(
        include={"inputs", "neighbours", "context", "patch", "condition", "conditions", "numeric", "numeric_scales"}
    )
    return ReaderView(mark, _shown)


def restored_view(images: Mapping[str, Path], axes: str) -> ReaderView:
    """A method's restorations, by case, in the scale of their inputs."""

    def _shown(case: Case) -> Array:
        path = images[case.pair.case]
        volume = read_volume(path, axes=axes)
        check_same_grid(volume, case.source, path, case.pair)
        return to_slices(case.intensity.apply(volume.data))

    return ReaderView(value_digest({case: checksum(path) for case, path in images.items()}, 64), _shown)


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


@exclusive("out", "the limit")
def limit(
    recipe: Recipe | PathLike,
    cohort: PathLike,
    out: PathLike,
    *,
    models: Sequence[PathLike] = (),
    restored: Sequence[PathLike] = (),
    reader: str = "judge",
    slices: int = 40,
    store: PathLike | None = None,
    overwrite: bool = False,
) -> Path:
    """Teach readers of one architecture on clean images, inputs and restorations; let them read test subjects.

    No restoration holds more of the property than its input does (data processing inequality), so a reader of inputs
    bounds what a task network can keep, as far as such a reader finds it. Called again it goes on.

    Args:
        recipe: Inputs, property and readers: a recipe, its file or its name.
        cohort: Cohort folder or table.
        out: Folder to make: ``limit.csv``, ``readings.csv`` (not of identities), ``limit.png``, last ``limit.yaml``.
        models: Models whose restorations, of all subjects, are made here, read, and taught to readers of their own.
        restored: Folders of restorations to read; readers are taught on them where training subjects are in them too.
        reader: ``judge`` or ``task``: whose architecture and settings.
        slices: Middle slices that are read.
        store: Where the reader of clean images is kept; None is in the cohort.
        overwrite: Replace an earlier result.

    Returns:
        ``out``.

    Raises:
        UserError: If the cohort can teach no reader, or something is missing, on another grid, or already there.
    """
    out, store = Path(out), Path(store) if store is not None else None
    recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    if reader not in ("judge", "task"):
        raise UserError(f"--reader {reader}: expected judge or task")
    if (network := (recipe.judge if reader == "judge" else recipe.task.reader)).facts.released:
        raise UserError(f"--reader {reader} is {network.network} as released, expected a network that learns")
    check_writable(out, "the limit")
    folders = {"models": [Path(model) for model in models], "restored": [Path(folder) for folder in restored]}
    request = request_digest(out, cohort=Path(cohort), recipe=recipe, reader=reader, slices=slices, **folders)
    if not overwrite and is_done(out / RECORD, request):
        return out
    every = read_pairs(cohort, [name for name in REQUIRED if name != "label"])
    pairs = every.select(recipe.data.select)
    recipe = resolved_recipe(recipe, pairs)
    if reason := no_readers_reason(pairs, recipe.task.target):
        raise UserError(f"{pairs.source} cannot tell the limit: {reason}")
    made = [_restored_by(model, every, recipe, out) for model in folders["models"]]
    panel = _panel(recipe, every, pairs, [*folders["restored"], *made], reader, slices, out, store)
    (out / RECORD).unlink(missing_ok=True)
    target, files = recipe.task.target, []
    if target.kind == "embedding":
        answers = compare_people(panel, _people(pairs, panel))
    else:
        own = Targets.for_table(target, pairs), target_property(target, pairs)
        named = {name: PropertyReader(f"{reader} taught on {name}", one, *own) for name, one in panel.readers.items()}
        rows, answers = read_property(panel, named)
        write_readings(out, readings_table(rows))
        files = [out / READINGS]
    sentence = limit_sentence(answers)
    files += [write_table(limit_table(answers), out), draw_limit(answers, out / FIGURE)]
    record = {
        "sentence": sentence,
        "reader": reader,
        "subjects": len({pair.subject for pair in panel.tested}),
        "cohort": relative_path(pairs.folder, out),
        "recipe": {key: getattr(recipe, key).model_dump(mode="json") for key in ("data", "task", "judge")},
        "versions": versions(),
        "request": request,
    }
    commit(out / RECORD, record, files)
    say(f"{sentence}\n{out}: limit.csv and {FIGURE}. Next: taskgan compare EVALUATIONS --limit {out} -o REPORT")
    return out


def _restored_by(model: Path, every: Pairs, recipe: Recipe, out: Path) -> Path:
    """A model's images of all subjects; those that an earlier call made are kept."""
    card = read_model(model)[1]
    folder = out / "restored" / f"{card.name}-{card.checksum[:8]}"
    select = {key: str(value) for key, value in recipe.data.select.items()}
    return restore(model, every.source, folder, select=select, precision="32")


def _panel(
    recipe: Recipe,
    every: Pairs,
    pairs: Pairs,
    folders: Sequence[Path],
    reader: str,
    slices: int,
    out: Path,
    store: Path | None,
) -> Panel:
    """Teach the readers, or take them from where they are kept."""
    data, settings = recipe.data, recipe.judge if reader == "judge" else recipe.task.reader
    restorations = [find_restorations(folder, pairs) for folder in folders]
    tested = [p for p in pairs.split("test") if p.clean and all(p.case in one.images for one in restorations)]
    if not tested:
        raise UserError(f"{pairs.source} has no test case with a clean image that every method restored")
    learnt = {pair.case for split in ("train", "val") for pair in pairs.split(split) if pair.clean}
    views, taught = {INPUTS: input_view(data)}, [INPUTS]
    for one in restorations:
        name = one.method if one.method not in views else f"{one.method}-{len(views)}"
        views[name] = restored_view(one.images, data.axes)
        taught += [name] * (learnt <= one.images.keys())

    def _teach(name: str) -> Recogniser:
        title, place = (reader, store) if name == CLEAN else (f"{reader}-{name}", out / "readers")
        view = views.get(name)
        return recogniser_for(pairs, settings, data, name=title, store=place, target=recipe.task.target, view=view)

    comparable = input_is_comparable(every, data) and not inputs_of_another_kind(tested, data)
    return Panel({name: _teach(name) for name in (CLEAN, *taught)}, views, data, comparable, tested, slices)


def _people(pairs: Pairs, panel: Panel) -> list[tuple[Pair, Pair]]:
    """The test pairs of which every method restored both images."""
    listed = read_verification_pairs(pairs)
    known = {pair.case for pair in panel.tested}
    chosen = [(p.first, p.second) for p in (listed.subset("test") if listed is not None else ())]
    chosen = [pair for pair in chosen if {pair[0].case, pair[1].case} <= known]
    if not chosen:
        raise UserError(f"{pairs.source} has no verification.csv with test pairs beside it, by which people are told")
    return chosen
