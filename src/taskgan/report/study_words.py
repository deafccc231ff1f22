"""What the verdict says of the verification: by judges that can tell people apart, never by T."""

import math
from collections.abc import Iterable

from taskgan.evaluate.verification.figures import TELLS
from taskgan.report.cells import joined, number, told
from taskgan.report.load import Comparison
from taskgan.report.names import listed, shown
from taskgan.report.study import TASK, Study, words
from taskgan.report.verified import BOTH, PROBE


def study_findings(comparison: Comparison, found: Study | None) -> Iterable[str]:
    """Sentences on who can judge, on the levels, and on what restoring is good for."""
    if found is None:
        return
    pairs = found.verified.pairs
    judges = [f"{words(reader)} {told(found.clean(reader), 3)}" for reader in found.judges]
    counted = f"{len(pairs)} pairs of clean photos of {pairs.count} people"
    yield f"Can the judges tell people apart? AUC on {counted}: {joined(judges) if judges else 'there is no judge'}."
    for reader in found.able:
        yield _levels(found, reader)
        if "input" in comparison.references and comparison.baseline != "input":
            yield from _differences(comparison, found, reader, "input", BOTH)
        yield from _differences(comparison, found, reader, comparison.baseline, PROBE)


def _levels(found: Study, reader: str) -> str:
    areas = [
        f"{shown(method)} {told(level.found.auc_by_person, 3)}"
        for method in found.verified.methods
        if (level := found.levels.get((reader, method, BOTH))) is not None
    ]
    return f"Verification by {words(reader)}, AUC: {listed(areas)}."


def _differences(
    comparison: Comparison, found: Study, reader: str, baseline: str, protocol: str
) -> Iterable[str]:
    changes = {
        method: change.compared
        for method in comparison.methods
        if (change := found.change(reader, method, baseline, protocol)) is not None
    }
    if not changes:
        return
    said = []
    for method, one in changes.items():
        mark = "no difference shown" if one.verdict == "none" else one.verdict
        said.append(f"{shown(method)} {told(one.interval, 3, sign=True)} ({mark})")
    how = " where only the first photo of a pair is restored, the other clean" if protocol == PROBE else ""
    yield f"Change of the AUC of {words(reader)} from {shown(baseline)}{how}: {listed(said)}."


def study_warnings(comparison: Comparison, found: Study | None) -> Iterable[str]:
    """What weakens it, and where restoring does harm."""
    if found is None:
        return
    yield from found.verified.notes
    yield from _judges(comparison, found)
    for reader in found.able:
        worse = [
            f"{shown(method)} ({told(change.compared.interval, 3, sign=True)})"
            for method in comparison.methods
            if (change := found.change(reader, method, "input")) is not None
            and change.compared.verdict == "worse"
        ]
        if worse:
            yield f"By {words(reader)}, people are harder to tell apart after restoring than before: {listed(worse)}."
    taught = [shown(m) for m in comparison.methods if m.startswith("task_gan")]
    if TASK in found.verified.readers and taught:
        yield f"T taught {listed(taught)}, so that T’s verification is no evidence for it; the judges’ is."
    yield from _seeds(found)


def _judges(comparison: Comparison, found: Study) -> Iterable[str]:
    """Judges that cannot tell people apart, unless an evaluation said so already."""
    for reader in found.judges:
        area = found.clean(reader)
        noted = any(note.lower().startswith(f"{reader} can hardly tell") for note in comparison.notes)
        if not found.tells(reader) and not noted:
            yield (
                f"{words(reader).capitalize()} cannot tell people apart on clean photos (AUC {told(area, 3)}, below "
                f"{TELLS:.2f}): what it makes of restored ones says nothing about who is on them."
            )
    if not found.able:
        yield "No judge can tell people apart on clean photos: nothing is said about whether the person is kept."
    elif len(found.able) == 1:
        yield (
            f"Only one judge ({words(found.able[0])}) can tell people apart on clean photos: what it says of the "
            "methods no other confirms."
        )


def _seeds(found: Study) -> Iterable[str]:
    spread = {}
    for reader in found.able:
        ranges = [
            max(level.by_seed) - min(level.by_seed)
            for (who, _, protocol), level in found.levels.items()
            if who == reader and protocol == BOTH and len(level.by_seed) > 1
        ]
        if ranges and not math.isnan(max(ranges)):
            spread[reader] = max(ranges)
    if spread:
        gaps = joined(f"{words(reader)} by up to {number(gap, 3)}" for reader, gap in spread.items())
        yield (
            f"Between training seeds of one method the AUC differs: {gaps}. The intervals by person do not hold this."
        )
