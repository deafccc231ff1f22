"""Verification as a part of an evaluation: descriptors, distances, thresholds chosen elsewhere, figures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.verification import VerificationPair, VerificationPairs
from taskgan.core.errors import UserError
from taskgan.evaluate.measure import EvaluationContext
from taskgan.evaluate.verification_table import (
    CLEAN,
    FILE,
    INPUT,
    INPUT_PROBE,
    RESTORED,
    RESTORED_PROBE,
    SETS,
    DistanceRow,
    DistanceTable,
    distance_columns,
)
from taskgan.images.photos import is_photo_name
from taskgan.judges.descriptors import DescriptorCache, Descriptors, Verifier, verifiers
from taskgan.judges.faces import PhotoReader, photo_readers
from taskgan.judges.verification import (
    MIN_READER_AUC,
    MOST,
    MOST_OF_ONE,
    SEED,
    Floats,
    ImagePairs,
    bootstrap_by_person,
    format_auc,
    validation_pairs,
    verify,
)
from taskgan.metrics.roc import accuracy, best_threshold
from taskgan.recipe import Data

_CHOOSING = ("train", "val")
_PROBES = {INPUT: INPUT_PROBE, RESTORED: RESTORED_PROBE}


@dataclass(frozen=True)
class VerificationResult:
    """What the verification adds to an evaluation.

    Attributes:
        table: Distances; None where nothing could be verified.
        figures: Of each method (``clean``, ``input`` and the restorations' own) by reader, for ``summary.json``.
        record: For ``evaluation.yaml``.
        notes: What has to be said of it.
        lines: A line a reader, for the console.
    """

    table: DistanceTable | None = None
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def verify_cohort(
    listed: VerificationPairs, cohort: Pairs, rows: Sequence[Pair], context: EvaluationContext, store: Path | None
) -> VerificationResult:
    """Compare the images of a cohort's pairs, by networks that give descriptors and by readers that are not learned.

    Further pairs are drawn of the cohort's validation people. ``rows`` are the cases that were evaluated, ``store``
    keeps recognisers (None: in the cohort).
    """
    tested, notes = _restored_pairs(listed, rows)
    if not tested:
        return VerificationResult(notes=notes)
    folder = (store if store is not None else cohort.folder / "derivatives") / "verification"
    plain, reason = _plain_readers(listed, cohort, context.data, store)
    notes += [reason] if reason else []
    slices, method = context.settings.slices, context.restorations.method
    readers = {one.name: one.reader for one in context.readers if one.targets.kind.label_from_clean}
    able = verifiers(readers, plain, slices=slices)
    if not able:
        what = f"no reader gives descriptors, so the pairs of {listed.source.name} were not compared"
        return VerificationResult(notes=[*notes, what])
    studio = DescriptorCache(able, context.data, slices, folder)
    compared = (*tested, *listed.subset("train"), *validation_pairs(cohort))
    everyone = (*listed.pairs, *(pair for pair in compared if pair.set == "val"))
    described = {CLEAN: studio.cohort_descriptors(_cases(everyone), CLEAN)}
    if context.with_input:
        described[INPUT] = studio.cohort_descriptors(_cases(listed.subset("test")), INPUT)
    described[RESTORED] = studio.restored_descriptors(_cases(tested), context.restorations.images, method)
    notes += [f"{name} cannot describe the images ({why}), so it is left out" for name, why in studio.failed.items()]
    table = _table(compared, described, studio)
    if not table.readers:
        return VerificationResult(notes=notes)
    figures = _figures(table, method)
    notes += [*_threshold_notes(table), *_weak_reader_notes(figures)]
    return VerificationResult(table, figures, _record(table, figures, studio), notes, _lines(table, figures, method))


def _plain_readers(
    listed: VerificationPairs, cohort: Pairs, data: Data, store: Path | None
) -> tuple[Mapping[str, PhotoReader], str]:
    """Readers of photos that nobody told who is who, or none and why."""
    if not all(is_photo_name(row.degraded) for row in _cases(listed.pairs)):
        return {}, "the images are no photos, so only networks compare them"
    try:
        return photo_readers(cohort, data, store=store), ""
    except UserError as error:  # too small, or none to learn a space of faces from
        return {}, f"there is no reader that is not learned: {error}"


def _restored_pairs(listed: VerificationPairs, rows: Sequence[Pair]) -> tuple[list[VerificationPair], list[str]]:
    """The test pairs of which both images were restored, if they are of both sorts; and what is missing."""
    known, tested = {row.case for row in rows}, listed.subset("test")
    pairs = [pair for pair in tested if {pair.first.case, pair.second.case} <= known]
    absent = [row.case for row in _cases(tested) if row.case not in known]
    if not tested:
        return [], [f"{listed.source.name} has no test pairs, so nothing is verified"]
    if not pairs:
        return [], [f"no pair of {listed.source.name} has both images restored, so nothing is verified"]
    notes = []
    if absent:
        notes.append(
            f"{len(tested) - len(pairs)} of {len(tested)} pairs are left out of the verification, because "
            f"{len(absent)} of their images were not restored: {', '.join(absent[:5])}"
        )
    if len({pair.same for pair in pairs}) < 2:
        which = "one person" if pairs[0].same else "two people"
        notes.append(f"all {len(pairs)} restored pairs are of {which}, so nothing is verified: it takes both sorts")
        return [], notes
    return pairs, notes


def _cases(pairs: Sequence[VerificationPair]) -> list[Pair]:
    """Every image that is on some pairs, once, in the order of the pairs."""
    return list({case.case: case for pair in pairs for case in (pair.first, pair.second)}.values())


def _table(
    compared: Sequence[VerificationPair], described: Mapping[str, Mapping[str, Descriptors]], studio: DescriptorCache
) -> DistanceTable:
    """Distances of all pairs by all readers that described all images."""
    listed = {name: [pair for pair in compared if pair.set == name] for name in SETS}
    rows = tuple(
        DistanceRow(pair.set, pair.first.case, pair.second.case, pair.first.subject, pair.second.subject)
        for name in SETS
        for pair in listed[name]
    )
    able = [name for name in studio.readers if all(name in distances for distances in described.values())]
    distances: dict[str, dict[str, dict[str, Floats]]] = {}
    for name in able:
        reader, of = studio.readers[name], {image: held[name] for image, held in described.items()}
        here = {part: _pair_distances(reader, of[CLEAN], of[CLEAN], pairs) for part, pairs in listed.items() if pairs}
        distances[name] = {CLEAN: here}
        for image in (image for image in _PROBES if image in of):
            distances[name][image] = {"test": _pair_distances(reader, of[image], of[image], listed["test"])}
            distances[name][_PROBES[image]] = {"test": _pair_distances(reader, of[image], of[CLEAN], listed["test"])}
    return DistanceTable(rows, distance_columns(rows, distances))


def _pair_distances(
    reader: Verifier, first: Descriptors, second: Descriptors, pairs: Sequence[VerificationPair]
) -> Floats:
    """Distance of the two images of each pair (N,)."""
    one = first.select([pair.first.case for pair in pairs])
    two = second.select([pair.second.case for pair in pairs])
    return np.asarray(reader.distance(one, two), dtype=np.float64)


def thresholds(table: DistanceTable, reader: str) -> dict[str, float | None]:
    """Distance up to which two clean images are best called one person, of ``train`` and of ``val`` pairs; None where
    there are none, or of one sort only.
    """
    cuts: dict[str, float | None] = dict.fromkeys(_CHOOSING)
    for name in _CHOOSING:
        same = [row.same for row in table.subset(name)]
        if len(set(same)) == 2:
            cuts[name] = best_threshold(table.distance(reader, CLEAN, name), same)
    return cuts


def _threshold_notes(table: DistanceTable) -> list[str]:
    """Sets that no threshold can be chosen by."""
    why = {
        "train": "the cohort lists no train pairs of one person and of two",
        "val": "no validation people have two images, or there is one of them",
    }
    return [
        f"{reason}, so there is no accuracy at a threshold of theirs"
        for name, reason in why.items()
        if len({row.same for row in table.subset(name)}) < 2
    ]


def _figures(table: DistanceTable, method: str) -> dict[str, dict[str, Any]]:
    pairs = table.pairs()
    figures: dict[str, dict[str, Any]] = {}
    for image, name in ((CLEAN, CLEAN), (INPUT, INPUT), (RESTORED, method)):
        for reader in (reader for reader in table.readers if table.has_distances(reader, image)):
            cuts = thresholds(table, reader)
            one = verification_values(table.distance(reader, image), pairs, cuts)
            if image in _PROBES:
                one["probe"] = verification_values(table.distance(reader, _PROBES[image]), pairs, cuts)
            figures.setdefault(name, {})[reader] = one
    return figures


def verification_values(
    distances: Floats, pairs: ImagePairs, cuts: Mapping[str, float | None], *, seed: int = 0
) -> dict[str, Any]:
    """All of :func:`~taskgan.judges.verification.verify` of distances (N,) as plain values, at both thresholds.

    Cuts are those of ``train`` and ``val`` pairs; None leaves the accuracy unknown.
    """
    train, val = cuts["train"], cuts["val"]
    values = asdict(verify(distances, pairs, 0.0 if train is None else train, seed=seed))
    del values["thresholds"]
    values |= {"threshold": train, "accuracy_val": None, "threshold_val": val}
    if train is None:
        values["accuracy"] = None
    if val is not None:
        by_val = bootstrap_by_person(lambda counts: accuracy(distances, pairs.same, val, counts), pairs, seed=seed)
        values["accuracy_val"] = asdict(by_val)
    return values


def _record(table: DistanceTable, figures: Mapping[str, Any], studio: DescriptorCache) -> dict[str, Any]:
    pairs = table.pairs()
    return {
        "file": FILE,
        "readers": {
            name: {**studio.readers[name].description(), "auc": figures[CLEAN][name]["auc_by_person"]}
            for name in table.readers
        },
        "pairs": len(pairs),
        "people": pairs.count,
        "sets": {name: len(table.subset(name)) for name in SETS},
        "val": {"most": MOST, "most_of_one": MOST_OF_ONE, "seed": SEED},
    }


def _weak_reader_notes(figures: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} can hardly tell people apart on clean images (AUC {area:.3f}), so it is no judge of whose face was "
        "kept"
        for name, one in figures[CLEAN].items()
        if (area := one["auc"]["estimate"]) < MIN_READER_AUC
    ]


def _lines(table: DistanceTable, figures: Mapping[str, Any], method: str) -> list[str]:
    areas = {
        reader: ", ".join(
            f"{name} {format_auc(figures[name][reader]['auc_by_person'])}"
            for name in (CLEAN, INPUT, method)
            if reader in figures.get(name, {})
        )
        for reader in table.readers
    }
    count = len(table.subset("test"))
    return [f"verification by {reader}, {count} pairs, AUC: {text}" for reader, text in areas.items()]
