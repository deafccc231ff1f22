"""Distances of all evaluations joined: every method's seeds on the pairs that all of them share."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.evaluate.verification_table import (
    CLEAN,
    INPUT,
    INPUT_PROBE,
    RESTORED,
    RESTORED_PROBE,
    DistanceTable,
    read_verification,
)
from taskgan.judges.verification import ImagePairs
from taskgan.metrics.roc import best_threshold
from taskgan.page.cells import display_name
from taskgan.report.load import Comparison, EvaluationFolder

Floats = NDArray[np.float64]
BOTH, PROBE = "both", "probe"
# Which distances are an input's and a restored image's: of two such images, or of one and the other's clean image.
PROTOCOLS = {BOTH: (INPUT, RESTORED), PROBE: (INPUT_PROBE, RESTORED_PROBE)}
THRESHOLDS = ("train", "val")


@dataclass(frozen=True)
class VerificationData:
    """What is verified, and how far apart everything is.

    Attributes:
        first_cases: (N) cases of the test pairs.
        second_cases: (N) likewise.
        pairs: Who is on them.
        readers: In the order of the files: T and the judge before those that are not learned.
        methods: ``clean``, ``input`` where it is known, and the restoring methods.
        seeds: Of each restoring method's distances, lowest first; (nan,) for images without seeds.
        distances: (S, N) by reader, method and protocol.
        thresholds: Thresholds of each reader, chosen on clean pairs of ``train`` and ``val``; those that could be.
        notes: What has to be said, a sentence each.
    """

    first_cases: tuple[str, ...]
    second_cases: tuple[str, ...]
    pairs: ImagePairs
    readers: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: Mapping[str, tuple[float, ...]]
    distances: Mapping[tuple[str, str, str], Floats] = field(repr=False)
    thresholds: Mapping[str, Mapping[str, float]]
    notes: tuple[str, ...]


def read_verification_data(comparison: Comparison) -> VerificationData | None:
    """Read and join the distances; None where no evaluation has any.

    Raises:
        UserError: If a file is damaged, or clean or degraded images are other distances apart in one evaluation than
            in another, so that their readers differ.
    """
    held = [(one, table) for one in comparison.evaluations if (table := read_verification(one.folder)) is not None]
    if not held:
        return None
    tables = [(one, _frame(table)) for one, table in held]
    runs = _runs([(str(one.record.get("method")), _seed(one), frame) for one, frame in tables])
    common = _common([frame.index for frame in runs.values()])
    if not len(common):
        return None
    notes = _notes(comparison, held, runs, len(common))
    runs = {key: frame.loc[common] for key, frame in runs.items()}
    rows = next(iter(runs.values()))
    if (rows["first_person"] == rows["second_person"]).nunique() < 2:
        return None
    _same_readers(tables)
    methods = tuple(m for m in comparison.methods if any(method == m for method, _ in runs))
    readers, left_out = _readers(runs, list(dict.fromkeys(r for _, table in held for r in table.readers)))
    notes += [f"{reader} did not compare all pairs, so it is left out of the verification." for reader in left_out]
    if not readers or not methods:
        return None
    distances, with_input = _distances(runs, readers, methods)
    table = held[0][1]
    return VerificationData(
        first_cases=tuple(rows["first"]),
        second_cases=tuple(rows["second"]),
        pairs=ImagePairs.from_people(list(rows["first_person"]), list(rows["second_person"])),
        readers=readers,
        methods=("clean", *(("input",) if with_input else ()), *methods),
        seeds={m: tuple(seed for method, seed in runs if method == m) for m in methods},
        distances=distances,
        thresholds={reader: _thresholds(table, reader) for reader in readers},
        notes=tuple(notes),
    )


def _seed(one: EvaluationFolder) -> float:
    seed = one.record.get("seed")
    return math.nan if seed is None else float(seed)  # the one NaN object, which is equal to itself as a key


def _frame(table: DistanceTable) -> pd.DataFrame:
    """The test pairs, indexed by their cases, a column a reader and sort of image."""
    rows = table.subset("test")
    frame = pd.DataFrame(
        {
            _column(reader, image): table.distance(reader, image)
            for reader, images in table.distances.items()
            for image in images
        },
        index=[f"{row.first}\n{row.second}" for row in rows],
    )
    for name in ("first", "second", "first_person", "second_person"):
        frame[name] = [getattr(row, name) for row in rows]
    return frame[~frame.index.duplicated()]


def _column(reader: str, image: str) -> str:
    return f"{reader}\n{image}"


def _runs(tables: Sequence[tuple[str, float, pd.DataFrame]]) -> dict[tuple[str, float], pd.DataFrame]:
    """A table for each method and seed, by seed: folds of one seed are of different pairs and stand together."""
    parts: dict[tuple[str, float], list[pd.DataFrame]] = {}
    for method, seed, frame in sorted(tables, key=lambda one: (np.isnan(one[1]), one[1])):
        parts.setdefault((method, seed), []).append(frame)
    joined = {key: pd.concat(frames) for key, frames in parts.items()}
    return {key: frame[~frame.index.duplicated()] for key, frame in joined.items()}


def _common(indices: Sequence[pd.Index]) -> pd.Index:
    """Pairs that are in all of them, in the order of the first."""
    shared = set(indices[0]).intersection(*map(set, indices[1:]))
    pairs: pd.Index = indices[0][[pair in shared for pair in indices[0]]]
    return pairs


def _notes(
    comparison: Comparison,
    held: Sequence[tuple[EvaluationFolder, DistanceTable]],
    runs: Mapping[tuple[str, float], pd.DataFrame],
    common: int,
) -> list[str]:
    notes = []
    without = len(comparison.evaluations) - len(held)
    if without:
        have = {one.folder for one, _ in held}
        names = [display_name(str(e.record.get("method"))) for e in comparison.evaluations if e.folder not in have]
        notes.append(
            f"{without} of {len(comparison.evaluations)} evaluations ({'; '.join(dict.fromkeys(names))}) hold no "
            "verification; evaluate them again."
        )
    most = max(len(frame) for frame in runs.values())
    if common < most:
        notes.append(f"Verified are the {common} of {most} pairs whose images every method restored.")
    return notes


def _same_readers(tables: Sequence[tuple[EvaluationFolder, pd.DataFrame]]) -> None:
    """Clean and degraded images are the same in all evaluations, and so must be their distances."""
    (place, first), *others = tables
    for one, frame in others:
        shared = first.index.intersection(frame.index)
        for column in first.columns.intersection(frame.columns):
            reader, _, image = str(column).partition("\n")
            if image not in (CLEAN, INPUT, INPUT_PROBE):
                continue
            ours, theirs = (f.loc[shared, column].to_numpy(dtype=np.float64) for f in (first, frame))
            if not np.allclose(ours, theirs, rtol=1e-3, atol=1e-4, equal_nan=True):
                raise UserError(
                    f"{reader} finds pairs of {image} images other distances apart in {place.folder} than in "
                    f"{one.folder}: they were made on different cohorts or with different recognisers; evaluate both "
                    "with the same --recipe on the same cohort"
                )


def _readers(runs: Mapping[tuple[str, float], pd.DataFrame], names: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Readers that gave every distance, and the others."""

    def _known(reader: str) -> bool:
        return all(
            (column := _column(reader, image)) in frame and bool(np.isfinite(frame[column]).all())
            for frame in runs.values()
            for image in (CLEAN, RESTORED)
        )

    able = tuple(reader for reader in names if _known(reader))
    return able, [reader for reader in names if reader not in able]


def _distances(
    runs: Mapping[tuple[str, float], pd.DataFrame], readers: Sequence[str], methods: Sequence[str]
) -> tuple[dict[tuple[str, str, str], Floats], bool]:
    """(S, N) by reader, method and protocol, and whether the degraded images have theirs by all readers."""
    own = next(iter(runs.values()))
    distances: dict[tuple[str, str, str], Floats] = {}
    for reader in readers:
        for protocol, (of_input, of_restored) in PROTOCOLS.items():
            sources = [("clean", CLEAN, [own]), ("input", of_input, [own])]
            for method in methods:
                frames = [frame for (name, _), frame in runs.items() if name == method]
                sources.append((method, of_restored, frames))
            for method, image, frames in sources:
                column = _column(reader, image)
                if all(column in frame for frame in frames):
                    values = np.stack([frame[column].to_numpy(dtype=np.float64) for frame in frames])
                    if np.isfinite(values).all():
                        distances[reader, method, protocol] = values
    return distances, all((reader, "input", BOTH) in distances for reader in readers)


def _thresholds(table: DistanceTable, reader: str) -> dict[str, float]:
    thresholds = {}
    for name in THRESHOLDS:
        same = [row.same for row in table.subset(name)]
        if len(set(same)) == 2:
            values = table.distance(reader, CLEAN, name)
            if np.isfinite(values).all():
                thresholds[name] = best_threshold(values, same)
    return thresholds
