"""``taskgan evaluate``: restored images against the clean ones, read by T, by the judge and by their SUVR."""

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from taskgan.cohort.folder import read_description
from taskgan.cohort.grids import input_is_comparable, relative_path, resolved_axes
from taskgan.cohort.pairing import inputs_of_another_kind, scale_notes
from taskgan.cohort.pairs import REQUIRED, Pair, Pairs, read_pairs
from taskgan.cohort.restorations import Restorations, find_restorations
from taskgan.cohort.targets import Targets, invalid_labels
from taskgan.cohort.verification import read_verification_pairs
from taskgan.core.artefact import commit, is_done, request_digest
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError
from taskgan.core.files import PART, PathLike, check_writable, folder_files, versions, write_json
from taskgan.core.parse import quoted
from taskgan.core.parts import Part, in_parts, parse_part
from taskgan.degrade.degradation import Degradation
from taskgan.evaluate.cases import RECOVERED, read_case_table, summarise, write_case_table, write_recovery
from taskgan.evaluate.features import FILE, FeatureCollector
from taskgan.evaluate.measure import SCALE_RATIO, EvaluationContext, add_variation, measure_cases, measure_once
from taskgan.evaluate.observers import observers
from taskgan.evaluate.verification import VerificationResult, verify_cohort
from taskgan.evaluate.verification_table import write_verification
from taskgan.images.photos import is_photo_name
from taskgan.images.volumes import read_shape
from taskgan.judges.lesions import COLUMNS as LESION_MASKS
from taskgan.judges.lesions import FittedDetector, detectors_for
from taskgan.judges.properties import EvaluationSettings
from taskgan.judges.read import property_readers, suvr_targets
from taskgan.judges.readers import Reader, StoredReader, default_readers, no_readers_reason, reader_description
from taskgan.judges.readings import Reading, readings_table, to_plain, write_readings
from taskgan.recipe import Recipe, read_recipe
from taskgan.stats import CalibrationLine

RECORD = "evaluation.yaml"
MEASURED = f"{PART}measured"
"""What parts of a call have measured, until the last one writes the tables."""
_FILES = ("cases.csv", RECOVERED, "readings.csv", "verification.csv", FILE, "summary.json")
VOXELS_AT_ONCE = 2**18
"""Pixels of the photos that are held and read at once: 16 of 128×128."""
_NO_INPUT = "the degraded image is another kind of image than the clean ones, so that it has no rows of its own"


def evaluate(
    restored: PathLike,
    cohort: PathLike,
    out: PathLike,
    *,
    recipe: Recipe | PathLike | None = None,
    task: str | None = None,
    method: str | None = None,
    store: PathLike | None = None,
    overwrite: bool = False,
    settings: EvaluationSettings | None = None,
    readers: Mapping[str, Reader] | None = None,
    split: str = "test",
    part: str | None = None,
) -> Path:
    """Judge a folder of restored images, ours or any tool's.

    Args:
        restored: Folder of restored images (see :func:`~taskgan.cohort.restorations.find_restorations`).
        cohort: Cohort folder or table that they were restored from.
        out: Evaluation folder to make: ``readings.csv``, ``cases.csv``, ``recovery.csv`` (where findings were
            inserted), ``features.npz`` (where there is a judge that tells its features), ``verification.csv`` (where
            the cohort lists pairs to verify), ``summary.json`` and, last, ``evaluation.yaml``, which holds their
            checksums. The same call on a finished one says so.
        recipe: A recipe, its file or its name: which rows count, the intensity transform and how T and the judge
            are trained; where None the recipe that ``restored.yaml`` recorded, else the defaults.
        task: Which property of the recipe is judged, by its name; None is the first.
        method: Name of the method; overrides what the folder says.
        store: Where trained recognisers and lesion observers are kept; where None in the cohort.
        overwrite: Replace an existing evaluation.
        settings: Cut and slices.
        readers: Readers to use in place of the cohort's T and judge.
        split: Whose cases are judged; ``val`` where settings are being chosen.
        part: ``K/N``: only every N-th subject from the K-th on (of photos every N-th batch of those that are read
            together); the part that ends last writes tables and record.

    Returns:
        ``out``.

    Raises:
        UserError: If something is missing, on another grid, or already there.
    """
    settings, shared = settings or EvaluationSettings(), parse_part(part)
    restored, cohort, out = Path(restored), Path(cohort), Path(out)
    store = Path(store) if store is not None else None
    if recipe is not None and not isinstance(recipe, Recipe):
        recipe = read_recipe(recipe)
    check_writable(out, "the evaluation")
    further = {"readers": readers, "split": split} | ({"task": task} if task is not None else {})
    request = request_digest(
        out, restored=restored, cohort=cohort, recipe=recipe, method=method, settings=settings, **further
    )

    def _work(own: Part | None) -> bool:
        if not overwrite and is_done(out / RECORD, request):
            return True
        if (out / RECORD).exists() and not overwrite:  # of an earlier version; without it a call was interrupted
            raise UserError(f"{out} already holds an evaluation; say --overwrite to replace it")
        return _evaluate(restored, cohort, out, recipe, task, method, store, settings, readers, split, request, own)

    in_parts(out, "the evaluation", shared, _work, key=request)
    return out


def _evaluate(
    restored: Path,
    cohort: Path,
    out: Path,
    recipe: Recipe | None,
    task: str | None,
    method: str | None,
    store: Path | None,
    settings: EvaluationSettings,
    readers: Mapping[str, Reader] | None,
    split: str,
    request: str,
    part: Part | None,
) -> bool:
    pairs = read_pairs(cohort, [name for name in REQUIRED if name != "label"])
    listed_pairs = read_verification_pairs(pairs) if split == "test" else None
    restorations = find_restorations(restored, pairs, method)
    foreign = recipe is None and "recipe" not in restorations.origin
    recipe = (recipe or restorations.recipe).about(task)
    if recipe.data.condition and recipe.data.condition not in pairs.columns:
        raise UserError(f"{pairs.source} has no column {quoted(recipe.data.condition)} (data.condition)")
    recipe = recipe.model_copy(update={"data": resolved_axes(recipe.data, pairs.select(recipe.data.select))})
    rows, notes = _select_cases(pairs, restorations, recipe, split)
    notes += [str(warning) for warning in restorations.origin.get("warnings") or ()]
    targets = Targets.for_table(recipe.task.target, pairs)
    if readers is None:
        silent = restored if foreign else None
        readers, reasons = _readers(pairs, recipe, targets, store, silent, people=listed_pairs is not None)
        notes += reasons
    positions = FeatureCollector.from_readers(readers, settings.slices)
    detectors = _lesion_detectors(pairs.select(recipe.data.select), rows, recipe, settings, store)
    comparable = input_is_comparable(pairs, recipe.data) and not inputs_of_another_kind(rows, recipe.data)
    ours = [one.recogniser.unlearnt_reason for one in readers.values() if isinstance(one, StoredReader)]
    notes += filter(None, ours)  # why a reader can judge nothing
    notes += [] if comparable else [_NO_INPUT]
    made_by = Degradation.from_description(read_description(pairs.folder)) if comparable else None
    known = restorations.origin.get("calibration")
    line = CalibrationLine.from_values(known) if known else None
    context = EvaluationContext(
        restorations,
        recipe.data,
        property_readers(readers, targets, pairs),
        suvr_targets(recipe.task.target, pairs),
        observers({name: one.detector for name, one in detectors.items()}, made_by),
        settings,
        out,
        positions,
        comparable,
        line=line,
    )
    measured, readings = _measure_all(rows, context, part, request)
    if part:
        return False
    add_variation(measured, {pair.case: pair for pair in rows})
    ratios = [(str(row["case"]), float(row[SCALE_RATIO])) for row in measured if SCALE_RATIO in row]
    notes += scale_notes(ratios, "the restored images", "the clean ones")
    verified = VerificationResult()
    if listed_pairs is not None:
        verified = verify_cohort(listed_pairs, pairs.select(recipe.data.select), rows, context, store)
    notes += verified.notes
    features_record = _write_tables(out, measured, readings, positions, verified)
    summary = summarise(read_case_table(out))
    for name, figures in verified.figures.items():
        summary[name]["verification"] = to_plain(figures)
    record = _record(context, pairs, recipe, targets, summary)
    extra_records = {
        "features": features_record,
        "verification": to_plain(verified.record),
        "calibration": known,
        "lesion_observer": {name or "all": one.record for name, one in detectors.items()},
    }
    record |= {key: value for key, value in extra_records.items() if value}
    write_json(out / "summary.json", summary)
    files = [path for path in folder_files(out) if path.name in _FILES]
    commit(out / RECORD, {**record, "notes": notes, "versions": versions(), "request": request}, files)
    shutil.rmtree(out / MEASURED, ignore_errors=True)
    _print_summary(out, restorations.method, len(rows), summary, notes, verified.lines)
    return True


def _write_tables(
    out: Path,
    measured: Sequence[Mapping[str, Any]],
    readings: Sequence[Reading],
    positions: FeatureCollector | None,
    verified: VerificationResult,
) -> dict[str, Any] | None:
    """All that is a row a case, a reading or a pair; what is known of ``features.npz``, if there is one."""
    for name in (RECORD, "summary.json"):  # written last: the old ones must not vouch for new cases
        (out / name).unlink(missing_ok=True)
    write_case_table(out / "cases.csv", measured)
    write_recovery(out / RECOVERED, measured)
    write_readings(out, readings_table(readings))
    write_verification(out, verified.table)
    (out / FILE).unlink(missing_ok=True)  # of an evaluation that this one replaces
    return positions.write(out / FILE) if positions is not None else None


def _readers(
    pairs: Pairs, recipe: Recipe, targets: Targets, store: Path | None, silent: Path | None, *, people: bool
) -> tuple[Mapping[str, Reader], list[str]]:
    """T and the judge, or none and why; ``silent`` is a folder that does not say how they are trained.

    ``people``: the cohort is of people to be told apart, whose labels may be their numbers and answer no question.
    """
    reason = no_readers_reason(pairs, targets.target)
    if reason:
        return {}, [reason]
    if silent is not None and people and (wrong := invalid_labels(pairs.split("train"), targets)):
        return {}, [
            f"{silent} does not say how T and the judge are trained, and the defaults do not fit ({wrong[0][1]}), so "
            "there are none; say --recipe RUN/recipe.yaml"
        ]
    if silent is not None:
        say(
            f"note: {silent} does not say how T and the judge are trained, so the defaults are taken; "
            "to compare with other evaluations say --recipe RUN/recipe.yaml"
        )
    return default_readers(pairs, recipe, store), []


def _measure_all(
    rows: Sequence[Pair], context: EvaluationContext, part: Part | None, request: str
) -> tuple[list[dict[str, Any]], list[Reading]]:
    """Measure the cases of a part and keep what comes out; of all cases, take what parts have kept."""
    measured: list[dict[str, Any]] = []
    readings: list[Reading] = []
    batches, kept = list(_case_batches(rows)), context.out / MEASURED
    own = part.of(batches, lambda some: some[0].subject) if part else batches
    with progress(f"evaluate {context.restorations.method}", sum(map(len, own)), "cases") as bar:
        for some in own:
            if part or kept.is_dir():
                cases, read = measure_once(some, context, kept, request)
            else:
                cases, read = measure_cases(some, context)
            measured += cases
            readings += read
            bar.advance(len(some), psnr=float(measured[-1]["psnr"]))
    return measured, readings


def _case_batches(rows: Sequence[Pair]) -> Iterator[list[Pair]]:
    """Cases that are opened at once: volumes one by one; photos are read together, as far as they are small."""
    some: list[Pair] = []
    pixels = 0
    for pair in rows:
        own = math.prod(read_shape(pair.degraded)[0]) if is_photo_name(pair.degraded) else VOXELS_AT_ONCE
        if some and pixels + own > VOXELS_AT_ONCE:
            yield some
            some, pixels = [], 0
        some.append(pair)
        pixels += own
    if some:
        yield some


def _lesion_detectors(
    pairs: Pairs, rows: Sequence[Pair], recipe: Recipe, settings: EvaluationSettings, store: Path | None
) -> dict[str, FittedDetector]:
    """Lesion observers, where a case has the masks to use one."""
    if not any(all(map(pair.path, LESION_MASKS)) for pair in rows):
        return {}
    if not recipe.data.condition and not input_is_comparable(pairs, recipe.data):
        return {}  # several kinds of image that nobody told apart: one template cannot be of them all
    return detectors_for(pairs, recipe.data.condition, settings.false_lesions, store)


def _print_summary(
    out: Path, method: str, cases: int, summary: Mapping[str, Any], notes: Sequence[str], lines: Sequence[str]
) -> None:
    for line in (*(f"note: {note}" for note in notes), *lines):
        say(line)
    means = {name: one["quality"]["psnr"]["estimate"] for name, one in summary.items()}
    psnr = {name: "infinite" if mean is None else f"{mean:.2f} dB" for name, mean in means.items()}
    before = f" (input {psnr['input']})" if "input" in psnr else ""
    say(f"{out}: {method}, {cases} cases, PSNR {psnr[method]}{before}")


def _record(
    context: EvaluationContext, pairs: Pairs, recipe: Recipe, targets: Targets, summary: Mapping[str, Any]
) -> dict[str, Any]:
    """What was judged, by which settings and by whom."""
    restorations, out = context.restorations, context.out
    return {
        "method": restorations.method,
        "seed": restorations.seed,
        "fold": restorations.fold,
        "restored": relative_path(restorations.folder, out),
        "cohort": relative_path(pairs.folder, out),
        "cohort_kind": str(read_description(pairs.folder).get("kind", "")),
        "table": relative_path(pairs.source, out),
        "model": restorations.origin.get("model"),
        "checksum": restorations.origin.get("checksum"),
        "settings": context.settings.model_dump(mode="json"),
        "recipe": {key: getattr(recipe, key).model_dump(mode="json") for key in ("data", "task", "judge")},
        "property": {
            "kind": recipe.task.kind,
            "labels": list(recipe.task.columns),
            "measure": list(targets.kind.measure),
        },
        "readers": {
            one.name: {**reader_description(one.reader), "on_clean": summary["clean"]["readers"][one.name]}
            for one in context.readers
        },
    }


def _select_cases(pairs: Pairs, restorations: Restorations, recipe: Recipe, split: str) -> tuple[list[Pair], list[str]]:
    """The restored cases of a split; for the test split all restored ones, with a note, where none is a test case.

    What makes the figures less than a test is noted too: cases left out, subjects that training saw.
    """
    select, selected = recipe.data.select, pairs.select(recipe.data.select)
    restored = [pair for pair in selected if pair.case in restorations.images]
    of_split = selected.split(split)
    chosen = [pair for pair in restored if pair.split == split]
    notes = []
    nothing = f"{restorations.folder} holds no image of"
    if not restored:
        raise UserError(f"{nothing} the cases that the recipe selects in {pairs.source}")
    if not chosen and split != "test":
        raise UserError(f"{nothing} a case with split {quoted(split)} in {pairs.source}")
    if split != "test":
        notes.append(f"these are {split} cases: the figures are no test of the method")
    if not chosen:
        chosen = restored
        notes.append("none of the restored cases is a test case: these figures are no test of the method")
    elif len(chosen) < len(of_split):
        absent = [pair.case for pair in of_split if pair.case not in restorations.images]
        notes.append(f"{len(absent)} of {len(of_split)} {split} cases were not restored: {', '.join(absent[:10])}")
    unselected = restorations.images.keys() - {pair.case for pair in restored}
    others = [pair for pair in pairs.split(split) if pair.case in unselected]
    if others:
        chosen_by = ", ".join(f"{column} = {value}" for column, value in select.items())
        notes.append(f"{len(others)} restored {split} cases were left out, because the recipe selects {chosen_by}")
    seen_by_training = {pair.subject for pair in pairs if pair.split in ("train", "val")}
    both = sorted({pair.subject for pair in of_split} & seen_by_training)
    if both and split == "test":
        notes.append(
            f"{len(both)} test subjects have rows in train or val too, so that networks have seen them: "
            f"{', '.join(both[:10])}"
        )
    return chosen, notes
