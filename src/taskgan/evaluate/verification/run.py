"""Verification as a part of an evaluation: descriptors, distances, thresholds chosen elsewhere, figures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.photos import is_photo_name
from taskgan.cohort.verification import ComparedPair, ComparedPairs
from taskgan.core.errors import UserError
from taskgan.evaluate.restorations import Restorations
from taskgan.evaluate.verification.describe import Described, Studio
from taskgan.evaluate.verification.drawn import MOST, MOST_OF_ONE, SEED, validation_pairs
from taskgan.evaluate.verification.figures import TELLS, area_in_words, verify
from taskgan.evaluate.verification.pairs import Floats, ImagePairs
from taskgan.evaluate.verification.people import bootstrap_by_person
from taskgan.evaluate.verification.readers import DescriptorReader, Verifier, verifiers
from taskgan.evaluate.verification.table import (
    CLEAN,
    FILE,
    INPUT,
    INPUT_PROBE,
    RESTORED,
    RESTORED_PROBE,
    SETS,
    Compared,
    Row,
    distances_of,
)
from taskgan.judges.readers import Reader
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

    table: Compared | None = None
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def verify_cohort(
    asked: ComparedPairs,
    cohort: Pairs,
    rows: Sequence[Pair],
    restorations: Restorations,
    readers: Mapping[str, Reader],
    data: Data,
    *,
    slices: int,
    with_input: bool,
    store: Path | None,
) -> VerificationResult:
    """Compare the images of a cohort's pairs, by networks that give descriptors and by readers that are not learned.

    Args:
        asked: The cohort's pairs.
        cohort: Its rows, of whose validation people further pairs are drawn.
        rows: The cases that were evaluated.
        restorations: Where their restored images are.
        readers: Networks that give descriptors.
        data: Intensity transform.
        slices: How many middle slices they read.
        with_input: Whether the degraded image is another version of the clean one.
        store: Where recognisers are kept; None is in the cohort.
    """
    tested, notes = _restored_pairs(asked, rows)
    if not tested:
        return VerificationResult(notes=notes)
    folder = (store if store is not None else cohort.folder / "derivatives") / "verification"
    plain, reason = _plain_readers(asked, cohort, data, store)
    notes += [reason] if reason else []
    able = verifiers(readers, plain, slices=slices)
    studio = Studio(able, data, slices, folder)
    if not able:
        what = f"no reader gives descriptors, so the pairs of {asked.source.name} were not compared"
        return VerificationResult(notes=[*notes, what])
    found = _compare(asked, tested, cohort, restorations, studio, with_input=with_input)
    return replace(found, notes=[*notes, *found.notes])


def _plain_readers(
    asked: ComparedPairs, cohort: Pairs, data: Data, store: Path | None
) -> tuple[Mapping[str, DescriptorReader], str]:
    """Readers of photos that nobody told who is who, or none and why."""
    if not all(is_photo_name(row.degraded) for row in _cases(asked.pairs)):
        return {}, "the images are no photos, so only networks compare them"
    from taskgan.evaluate.faces.readers import plain_readers

    try:
        return plain_readers(cohort, data, store=store), ""
    except UserError as error:  # too small, or none to learn a space of faces from
        return {}, f"there is no reader that is not learned: {error}"


def _compare(
    asked: ComparedPairs,
    tested: Sequence[ComparedPair],
    cohort: Pairs,
    restorations: Restorations,
    studio: Studio,
    *,
    with_input: bool,
) -> VerificationResult:
    """Figures of the test pairs, at thresholds of the others."""
    method = restorations.method
    compared = (*tested, *asked.of("train"), *validation_pairs(cohort))
    everyone = (*asked.pairs, *(pair for pair in compared if pair.set == "val"))
    described = {CLEAN: studio.own(_cases(everyone), CLEAN)}
    if with_input:
        described[INPUT] = studio.own(_cases(asked.of("test")), INPUT)
    described[RESTORED] = studio.restored(_cases(tested), restorations.images, method)
    notes = [
        f"{name} cannot describe the images ({why}), so it is left out" for name, why in studio.failed.items()
    ]
    table = _table(compared, described, studio)
    if not table.readers:
        return VerificationResult(notes=notes)
    notes += _one_sort(table)
    figures = _figures(table, method)
    notes += _weak(figures)
    return VerificationResult(
        table, figures, _record(table, figures, studio), notes, _lines(table, figures, method)
    )


def _restored_pairs(asked: ComparedPairs, rows: Sequence[Pair]) -> tuple[list[ComparedPair], list[str]]:
    """The test pairs of which both images were restored, if they are of both sorts; and what is missing."""
    known, tested = {row.case for row in rows}, asked.of("test")
    found = [pair for pair in tested if {pair.first.case, pair.second.case} <= known]
    absent = [row.case for row in _cases(tested) if row.case not in known]
    if not tested:
        return [], [f"{asked.source.name} has no test pairs, so nothing is verified"]
    if not found:
        return [], [f"no pair of {asked.source.name} has both images restored, so nothing is verified"]
    notes = []
    if absent:
        notes.append(
            f"{len(tested) - len(found)} of {len(tested)} pairs are left out of the verification, because "
            f"{len(absent)} of their images were not restored: {', '.join(absent[:5])}"
        )
    if len({pair.same for pair in found}) < 2:
        which = "one person" if found[0].same else "two people"
        notes.append(
            f"all {len(found)} restored pairs are of {which}, so nothing is verified: it takes both sorts"
        )
        return [], notes
    return found, notes


def _cases(pairs: Sequence[ComparedPair]) -> list[Pair]:
    """Every image that is on some pairs, once, in the order of the pairs."""
    found = {case.case: case for pair in pairs for case in (pair.first, pair.second)}
    return list(found.values())


def _table(
    compared: Sequence[ComparedPair], described: Mapping[str, Mapping[str, Described]], studio: Studio
) -> Compared:
    """Distances of all pairs by all readers that described all images."""
    listed = {name: [pair for pair in compared if pair.set == name] for name in SETS}
    rows = tuple(
        Row(pair.set, pair.first.case, pair.second.case, pair.first.subject, pair.second.subject)
        for name in SETS
        for pair in listed[name]
    )
    able = [name for name in studio.readers if all(name in found for found in described.values())]
    found: dict[str, dict[str, dict[str, Floats]]] = {}
    for name in able:
        reader, of = studio.readers[name], {image: held[name] for image, held in described.items()}
        found[name] = {
            CLEAN: {
                part: _apart(reader, of[CLEAN], of[CLEAN], pairs) for part, pairs in listed.items() if pairs
            }
        }
        for image in (image for image in _PROBES if image in of):
            found[name][image] = {"test": _apart(reader, of[image], of[image], listed["test"])}
            found[name][_PROBES[image]] = {"test": _apart(reader, of[image], of[CLEAN], listed["test"])}
    return Compared(rows, distances_of(rows, found))


def _apart(reader: Verifier, first: Described, second: Described, pairs: Sequence[ComparedPair]) -> Floats:
    """Distance of the two images of each pair (N,)."""
    one, two = first.of([pair.first.case for pair in pairs]), second.of([pair.second.case for pair in pairs])
    return np.asarray(reader.distance(one, two), dtype=np.float64)


def thresholds(table: Compared, reader: str) -> dict[str, float | None]:
    """Distance up to which two clean images are best called one person, of ``train`` and of ``val`` pairs; None where
    there are none, or of one sort only.
    """
    found: dict[str, float | None] = {}
    for name in _CHOOSING:
        same = [row.same for row in table.of(name)]
        both = len(set(same)) == 2
        found[name] = best_threshold(table.distance(reader, CLEAN, name), same) if both else None
    return found


def _one_sort(table: Compared) -> list[str]:
    """Sets that no threshold can be chosen by."""
    why = {
        "train": "the cohort lists no train pairs of one person and of two",
        "val": "no validation people have two images, or there is one of them",
    }
    return [
        f"{why[name]}, so there is no accuracy at a threshold of theirs"
        for name in _CHOOSING
        if len({row.same for row in table.of(name)}) < 2
    ]


def _figures(table: Compared, method: str) -> dict[str, dict[str, Any]]:
    pairs = table.pairs()
    found: dict[str, dict[str, Any]] = {}
    for image, name in ((CLEAN, CLEAN), (INPUT, INPUT), (RESTORED, method)):
        for reader in (reader for reader in table.readers if table.known(reader, image)):
            cuts = thresholds(table, reader)
            one = figures_of(table.distance(reader, image), pairs, cuts)
            if image in _PROBES:
                one["probe"] = figures_of(table.distance(reader, _PROBES[image]), pairs, cuts)
            found.setdefault(name, {})[reader] = one
    return found


def figures_of(
    distances: Floats, pairs: ImagePairs, cuts: Mapping[str, float | None], *, seed: int = 0
) -> dict[str, Any]:
    """All of :func:`~taskgan.evaluate.verification.figures.verify` as plain values, at both thresholds.

    Args:
        distances: (N,).
        pairs: Who is on them.
        cuts: Of ``train`` and ``val`` pairs; None leaves the accuracy unknown.
        seed: Of the bootstrap.
    """
    train, val = cuts["train"], cuts["val"]
    found = asdict(verify(distances, pairs, 0.0 if train is None else train, seed=seed))
    del found["thresholds"]
    found["accuracy"] = None if train is None else found["accuracy"]
    found["threshold"] = train
    found["accuracy_val"] = None
    if val is not None:
        by_val = bootstrap_by_person(
            lambda counts: accuracy(distances, pairs.same, val, counts), pairs, seed=seed
        )
        found["accuracy_val"] = asdict(by_val)
    found["threshold_val"] = val
    return found


def _record(table: Compared, figures: Mapping[str, Any], studio: Studio) -> dict[str, Any]:
    pairs = table.pairs()
    return {
        "file": FILE,
        "readers": {
            name: {**studio.readers[name].description(), "auc": figures[CLEAN][name]["auc_by_person"]}
            for name in table.readers
        },
        "pairs": len(pairs),
        "people": pairs.count,
        "sets": {name: len(table.of(name)) for name in SETS},
        "val": {"most": MOST, "most_of_one": MOST_OF_ONE, "seed": SEED},
    }


def _weak(figures: Mapping[str, Any]) -> list[str]:
    aucs = {name: one["auc"]["estimate"] for name, one in figures[CLEAN].items()}
    return [
        f"{name} can hardly tell people apart on clean images (AUC {area:.3f}), so it is no judge of whose face was "
        "kept"
        for name, area in aucs.items()
        if area < TELLS
    ]


def _lines(table: Compared, figures: Mapping[str, Any], method: str) -> list[str]:
    counted = f"{len(table.of('test'))} pairs"
    lines = []
    for reader in table.readers:
        shown = [
            f"{name} {area_in_words(figures[name][reader]['auc_by_person'])}"
            for name in (CLEAN, INPUT, method)
            if reader in figures.get(name, {})
        ]
        lines.append(f"verification by {reader}, {counted}, AUC: {', '.join(shown)}")
    return lines
