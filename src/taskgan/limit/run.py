"""``taskgan limit``: should a task network be used at all? What inputs still hold, against what methods keep."""

from collections.abc import Sequence
from pathlib import Path

from taskgan.cohort.grids import input_is_comparable, relative_path
from taskgan.cohort.pairing import inputs_of_another_kind
from taskgan.cohort.pairs import REQUIRED, Pair, Pairs, read_pairs
from taskgan.cohort.restorations import find_restorations
from taskgan.cohort.targets import Targets, resolved_recipe
from taskgan.cohort.verification import read_verification_pairs
from taskgan.core.artefact import commit, is_done, request_digest
from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, check_writable, versions
from taskgan.core.lock import exclusive
from taskgan.judges.limits import FIGURE, RECORD
from taskgan.judges.properties import target_property
from taskgan.judges.read import PropertyReader
from taskgan.judges.readers import no_readers_reason
from taskgan.judges.readings import CLEAN, READINGS, readings_table, write_readings
from taskgan.judges.recogniser import Recogniser
from taskgan.judges.store import recogniser_for
from taskgan.limit.figures import INPUTS, draw_limit, limit_sentence, limit_table
from taskgan.limit.readers import Panel, compare_people, input_view, read_property, restored_view
from taskgan.model.folder import read_model
from taskgan.page.cells import write_table
from taskgan.recipe import Recipe, read_recipe
from taskgan.restore.run import restore


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
    if (network := (recipe.judge if reader == "judge" else recipe.task.reader)).released:
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
        found = compare_people(panel, _people(pairs, panel))
    else:
        own = Targets.for_table(target, pairs), target_property(target, pairs)
        asked = {name: PropertyReader(f"{reader} taught on {name}", one, *own) for name, one in panel.readers.items()}
        rows, found = read_property(panel, asked)
        write_readings(out, readings_table(rows))
        files = [out / READINGS]
    sentence = limit_sentence(found)
    files += [write_table(limit_table(found), out), draw_limit(found, out / FIGURE)]
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
    found = [find_restorations(folder, pairs) for folder in folders]
    tested = [p for p in pairs.split("test") if p.clean and all(p.case in one.images for one in found)]
    if not tested:
        raise UserError(f"{pairs.source} has no test case with a clean image that every method restored")
    learnt = {pair.case for split in ("train", "val") for pair in pairs.split(split) if pair.clean}
    views, taught = {INPUTS: input_view(data)}, [INPUTS]
    for one in found:
        name = one.method if one.method not in views else f"{one.method}-{len(views)}"
        views[name] = restored_view(one.images, data.axes)
        taught += [name] * (learnt <= one.images.keys())

    def teach(name: str) -> Recogniser:
        title, place = (reader, store) if name == CLEAN else (f"{reader}-{name}", out / "readers")
        view = views.get(name)
        return recogniser_for(pairs, settings, data, name=title, store=place, target=recipe.task.target, view=view)

    comparable = input_is_comparable(every, data) and not inputs_of_another_kind(tested, data)
    return Panel({name: teach(name) for name in (CLEAN, *taught)}, views, data, comparable, tested, slices)


def _people(pairs: Pairs, panel: Panel) -> list[tuple[Pair, Pair]]:
    """The test pairs of which every method restored both images."""
    listed = read_verification_pairs(pairs)
    known = {pair.case for pair in panel.tested}
    chosen = [(p.first, p.second) for p in (listed.subset("test") if listed is not None else ())]
    chosen = [pair for pair in chosen if {pair[0].case, pair[1].case} <= known]
    if not chosen:
        raise UserError(f"{pairs.source} has no verification.csv with test pairs beside it, by which people are told")
    return chosen
