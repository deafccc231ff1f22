"""``taskgan limit``: should a task network be used at all? What inputs still hold, against what methods keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort.grids import input_is_comparable, relative_path
from taskgan.cohort.pairing import inputs_of_another_kind
from taskgan.cohort.pairs import REQUIRED, Pair, Pairs, read_pairs
from taskgan.cohort.restorations import find_restorations
from taskgan.cohort.targets import Targets, resolved_recipe
from taskgan.cohort.verification import VerificationPair, read_verification_pairs
from taskgan.core.artefact import commit, is_done, request_digest
from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, check_writable, versions, write_text
from taskgan.core.lock import exclusive
from taskgan.judges.limits import FIGURE, RECORD
from taskgan.judges.properties import target_property
from taskgan.judges.read import PropertyReader
from taskgan.judges.readers import no_readers_reason
from taskgan.judges.readings import CLEAN, INPUT, Reading, readings_table, write_readings
from taskgan.judges.verification import ImagePairs
from taskgan.judges.verification.readers import NetworkVerifier, ReaderImage
from taskgan.judges.volumes import ReaderView
from taskgan.limit.figures import (
    INPUTS,
    PLAIN,
    Answer,
    Answers,
    as_markdown,
    draw_limit,
    limit_sentence,
    limit_table,
    read_answers,
    verified_answers,
)
from taskgan.limit.readers import TaughtReader, case_readings, input_view, restored_view, shown_slices, teach
from taskgan.model.folder import read_model
from taskgan.page.cells import write_table
from taskgan.recipe import Recipe, read_recipe
from taskgan.restore.run import restore

READERS = ("judge", "task")


@dataclass(frozen=True)
class _Study:
    """What is asked: the recipe, its rows, and what readers are shown."""

    recipe: Recipe
    pairs: Pairs
    tested: tuple[Pair, ...]
    views: Mapping[str, ReaderView]
    taught: tuple[str, ...]
    comparable: bool
    slices: int


@exclusive("out", "the limit")
def limit(
    recipe: Recipe | PathLike,
    cohort: PathLike,
    out: PathLike,
    *,
    models: Sequence[PathLike] | Mapping[str, PathLike] = (),
    restored: Sequence[PathLike] | Mapping[str, PathLike] = (),
    readers: Sequence[str] = READERS[:1],
    seeds: int = 1,
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
        out: Folder to make: ``readings.csv``, ``limit-<reader>.csv``, ``limit.png``, ``limit.md`` and, last,
            ``limit.yaml``.
        models: Models whose restorations, of all subjects, are made here, read, and taught to readers of their own;
            by a name of the method, or under the one that they say.
        restored: Folders of restorations to read; readers are taught on them where training subjects are in them too.
        readers: ``judge`` and ``task``: whose architecture and settings; the first gives the sentence.
        seeds: Readers of each kind, which read as one.
        slices: Middle slices that are read.
        store: Where readers of clean images are kept; None is in the cohort.
        overwrite: Replace an earlier result.

    Returns:
        ``out``.

    Raises:
        UserError: If the cohort can teach no reader, or something is missing, on another grid, or already there.
    """
    out, place = Path(out), Path(store) if store is not None else None
    recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    if wrong := [name for name in readers if name not in READERS]:
        raise UserError(f"--reader {wrong[0]}: expected {' or '.join(READERS)}")
    check_writable(out, "the limit")
    folders = {"models": _by_name(models), "restored": _by_name(restored)}
    asked = {"cohort": Path(cohort), "recipe": recipe, "readers": list(readers), "seeds": seeds, "slices": slices}
    request = request_digest(out, **asked, **folders)
    if not overwrite and is_done(out / RECORD, request):
        return out
    study = _study(recipe, Path(cohort), out, folders["models"], folders["restored"], slices)
    (out / RECORD).unlink(missing_ok=True)
    rows: list[Reading] = []
    found = {name: _answers(study, name, seeds, out, place, rows) for name in readers}
    tables = [limit_table(one, name) for name, one in found.items()]
    files = [write_table(table, out) for table in tables]
    if rows:
        write_readings(out, readings_table(rows))
        files.append(out / "readings.csv")
    files.append(draw_limit(found, out / FIGURE))
    sentences = {name: limit_sentence(one) for name, one in found.items()}
    said = [f"Read by the {name}: {sentence}" for name, sentence in sentences.items()]
    write_text(out / "limit.md", "\n\n".join([*said, *map(as_markdown, tables)]) + f"\n\n![limit]({FIGURE})\n")
    commit(out / RECORD, _record(study, out, sentences, request), [*files, out / "limit.md"])
    for sentence in said:
        say(sentence)
    say(f"{out}: tables, limit.md and {FIGURE}. Next: taskgan compare EVALUATIONS --limit {out} -o REPORT")
    return out


def _by_name(folders: Sequence[PathLike] | Mapping[str, PathLike]) -> list[tuple[str | None, Path]]:
    """Folders with the names of their methods, None where they say them themselves."""
    named = folders.items() if isinstance(folders, Mapping) else ((None, folder) for folder in folders)
    return [(name, Path(folder)) for name, folder in named]


def _study(
    recipe: Recipe,
    cohort: Path,
    out: Path,
    models: Sequence[tuple[str | None, Path]],
    restored: Sequence[tuple[str | None, Path]],
    slices: int,
) -> _Study:
    every = read_pairs(cohort, [name for name in REQUIRED if name != "label"])
    pairs = every.select(recipe.data.select)
    recipe = resolved_recipe(recipe, pairs)
    if reason := no_readers_reason(pairs, recipe.task.target):
        raise UserError(f"{pairs.source} cannot tell the limit: {reason}")
    found = [find_restorations(folder, pairs, name) for name, folder in restored]
    found += [find_restorations(_restored_by(model, every, recipe, out), pairs, name) for name, model in models]
    tested = [p for p in pairs.split("test") if p.clean and all(p.case in one.images for one in found)]
    if not tested:
        raise UserError(f"{pairs.source} has no test case with a clean image that every method restored")
    learnt = {pair.case for split in ("train", "val") for pair in pairs.split(split) if pair.clean}
    views, taught = {INPUTS: input_view(recipe.data)}, [INPUTS]
    for one in found:
        name = one.method if one.method not in views else f"{one.method}-{len(views)}"
        views[name] = restored_view(one.images, str(one.origin.get("checksum") or one.folder), recipe.data.axes)
        taught += [name] * (learnt <= one.images.keys())
    comparable = input_is_comparable(every, recipe.data) and not inputs_of_another_kind(tested, recipe.data)
    return _Study(recipe, pairs, tuple(tested), views, tuple(taught), comparable, slices)


def _restored_by(model: Path, every: Pairs, recipe: Recipe, out: Path) -> Path:
    """A model's images of all subjects; those that an earlier call made are kept."""
    card = read_model(model)[1]
    folder = out / "restored" / f"{card.name}-{card.checksum[:8]}"
    select = {key: str(value) for key, value in recipe.data.select.items()}
    return restore(model, every.source, folder, select=select, precision="32")


def _answers(study: _Study, name: str, seeds: int, out: Path, store: Path | None, rows: list[Reading]) -> Answers:
    """Teach the readers of one architecture and ask them; readings join ``rows``."""
    recipe, target = study.recipe, study.recipe.task.target
    settings = recipe.judge if name == "judge" else recipe.task.reader
    if settings.released:
        raise UserError(
            f"the {name} of the recipe is {settings.network}, whose weights are as released; expected one that "
            "learns (--reader, or --set judge.network=gradients)"
        )

    def taught(view: str | None) -> TaughtReader:
        own = {"taught": CLEAN if view is None else view, "store": store if view is None else out / "readers"}
        shown = study.views[view] if view is not None else None
        return teach(study.pairs, settings, recipe.data, target, name=name, seeds=seeds, view=shown, **own)

    panel = [taught(view) for view in (None, *study.taught)]
    if target.kind != "embedding":
        return _read(study, panel, name, rows)
    listed = read_verification_pairs(study.pairs)
    if listed is None:
        raise UserError(f"{study.pairs.source} has no verification.csv beside it, whose test pairs are read")
    return _verified(study, panel, listed.subset("test"))


def _read(study: _Study, panel: Sequence[TaughtReader], name: str, rows: list[Reading]) -> Answers:
    """Every reader's readings of the test subjects' images."""
    target = study.recipe.task.target
    targets = Targets.for_table(target, study.pairs)
    own = target_property(target, study.pairs)
    first, *others = [PropertyReader(f"{name} taught on {one.taught}", one, targets, own) for one in panel]
    mine: list[Reading] = []
    for case, slices in shown_slices(study.tested, study.recipe.data, study.views, study.slices):
        plain = {
            image: own for image, own in slices.items() if image != INPUTS and (image != INPUT or study.comparable)
        }
        found, clean = case_readings(first, case, plain)
        mine += found
        for reader, taught in zip(others, panel[1:], strict=True):
            mine += case_readings(reader, case, {taught.taught: slices[taught.taught]}, clean)[0]
    rows += mine
    table = readings_table(mine)
    frames = {
        Answer(one.taught, str(image)): part.set_index(["case", "output"])
        for one in panel
        for image, part in table[table["judge"] == f"{name} taught on {one.taught}"].groupby("image", sort=False)
    }
    return read_answers(frames, targets.kind.measure[0])


def _verified(study: _Study, panel: Sequence[TaughtReader], tested: Sequence[VerificationPair]) -> Answers:
    """Distances of the pairs of test images by every reader."""
    known = {pair.case for pair in study.tested}
    listed = [pair for pair in tested if {pair.first.case, pair.second.case} <= known]
    described: dict[Answer, dict[str, np.ndarray]] = {}
    wanted = {case for pair in listed for case in (pair.first.case, pair.second.case)}
    rows = [pair for pair in study.tested if pair.case in wanted]
    verifiers = [NetworkVerifier(one, study.slices) for one in panel]
    for case, slices in shown_slices(rows, study.recipe.data, study.views, study.slices):
        for one, verifier in zip(panel, verifiers, strict=True):
            for image in [one.taught] if one.taught != CLEAN else [name for name in slices if name != INPUTS]:
                place = described.setdefault(Answer(one.taught, image), {})
                place[case.pair.case] = verifier.describe([ReaderImage(None, slices[image])])
    distances = {
        answer: np.concatenate([verifiers[0].distance(own[p.first.case], own[p.second.case]) for p in listed])
        for answer, own in described.items()
        if answer != PLAIN or study.comparable
    }
    who = ImagePairs.from_people([p.first.subject for p in listed], [p.second.subject for p in listed])
    return verified_answers(distances, who)


def _record(study: _Study, out: Path, sentences: Mapping[str, str], request: str) -> dict[str, Any]:
    recipe = study.recipe
    return {
        "sentence": next(iter(sentences.values())),
        "sentences": dict(sentences),
        "subjects": len({pair.subject for pair in study.tested}),
        "methods": [name for name in study.views if name != INPUTS],
        "taught": list(study.taught),
        "cohort": relative_path(study.pairs.folder, out),
        "recipe": {
            "data": recipe.data.model_dump(mode="json"),
            "task": recipe.task.model_dump(mode="json"),
            "judge": recipe.judge.model_dump(mode="json"),
        },
        "versions": versions(),
        "request": request,
    }
