"""What the verdict says of the verification: by judges that can tell people apart, never by T."""

import math
from collections.abc import Iterable

from taskgan.evaluate.verification.figures import MIN_READER_AUC
from taskgan.report.cells import interval_text, join_phrases, number
from taskgan.report.load import Comparison
from taskgan.report.names import display_name, join_methods
from taskgan.report.study import TASK, VerificationStudy, reader_phrase
from taskgan.report.verified import BOTH, PROBE


def study_findings(comparison: Comparison, study: VerificationStudy | None) -> Iterable[str]:
    """Sentences on who can judge, on the levels, and on what restoring is good for."""
    if study is None:
        return
    pairs = study.data.pairs
    judges = [
        f"{reader_phrase(reader)} {interval_text(study.clean_auc(reader), 3)}" for reader in study.judges
    ]
    counted = f"{len(pairs)} pairs of clean photos of {pairs.count} people"
    areas = join_phrases(judges) if judges else "there is no judge"
    yield f"Can the judges tell people apart? AUC on {counted}: {areas}."
    for reader in study.valid_judges:
        yield _levels(study, reader)
        if "input" in comparison.references and comparison.baseline != "input":
            yield from _differences(comparison, study, reader, "input", BOTH)
        yield from _differences(comparison, study, reader, comparison.baseline, PROBE)


def _levels(study: VerificationStudy, reader: str) -> str:
    areas = [
        f"{display_name(method)} {interval_text(level.verification.auc_by_person, 3)}"
        for method in study.data.methods
        if (level := study.levels.get((reader, method, BOTH))) is not None
    ]
    return f"Verification by {reader_phrase(reader)}, AUC: {join_methods(areas)}."


def _differences(
    comparison: Comparison, study: VerificationStudy, reader: str, baseline: str, protocol: str
) -> Iterable[str]:
    changes = {
        method: change.auc
        for method in comparison.methods
        if (change := study.difference(reader, method, baseline, protocol)) is not None
    }
    if not changes:
        return
    parts = []
    for method, one in changes.items():
        mark = "no difference shown" if one.verdict == "none" else one.verdict
        parts.append(f"{display_name(method)} {interval_text(one.interval, 3, sign=True)} ({mark})")
    how = " where only the first photo of a pair is restored, the other clean" if protocol == PROBE else ""
    yield f"Change of the AUC of {reader_phrase(reader)} from {display_name(baseline)}{how}: {join_methods(parts)}."


def study_warnings(comparison: Comparison, study: VerificationStudy | None) -> Iterable[str]:
    """What weakens it, and where restoring does harm."""
    if study is None:
        return
    yield from study.data.notes
    yield from _judges(comparison, study)
    for reader in study.valid_judges:
        worse = [
            f"{display_name(method)} ({interval_text(change.auc.interval, 3, sign=True)})"
            for method in comparison.methods
            if (change := study.difference(reader, method, "input")) is not None
            and change.auc.verdict == "worse"
        ]
        if worse:
            yield (
                f"By {reader_phrase(reader)}, people are harder to tell apart after restoring than before: "
                f"{join_methods(worse)}."
            )
    methods = [display_name(m) for m in comparison.methods if m.startswith("task_gan")]
    if TASK in study.data.readers and methods:
        yield f"T taught {join_methods(methods)}, so that T’s verification is no evidence for it; the judges’ is."
    yield from _seeds(study)


def _judges(comparison: Comparison, study: VerificationStudy) -> Iterable[str]:
    """Judges that cannot tell people apart, unless an evaluation said so already."""
    for reader in study.judges:
        area = study.clean_auc(reader)
        noted = any(note.lower().startswith(f"{reader} can hardly tell") for note in comparison.notes)
        if not study.identifies(reader) and not noted:
            yield (
                f"{reader_phrase(reader).capitalize()} cannot tell people apart on clean photos (AUC "
                f"{interval_text(area, 3)}, below "
                f"{MIN_READER_AUC:.2f}): what it makes of restored ones says nothing about who is on them."
            )
    if not study.valid_judges:
        yield "No judge can tell people apart on clean photos: nothing is said about whether the person is kept."
    elif len(study.valid_judges) == 1:
        yield (
            f"Only one judge ({reader_phrase(study.valid_judges[0])}) can tell people apart on clean "
            "photos: what it says of the "
            "methods no other confirms."
        )


def _seeds(study: VerificationStudy) -> Iterable[str]:
    spread = {}
    for reader in study.valid_judges:
        ranges = [
            max(level.auc_by_seed) - min(level.auc_by_seed)
            for (who, _, protocol), level in study.levels.items()
            if who == reader and protocol == BOTH and len(level.auc_by_seed) > 1
        ]
        if ranges and not math.isnan(max(ranges)):
            spread[reader] = max(ranges)
    if spread:
        gaps = join_phrases(
            f"{reader_phrase(reader)} by up to {number(gap, 3)}" for reader, gap in spread.items()
        )
        yield (
            f"Between training seeds of one method the AUC differs: {gaps}. The intervals by person do not hold this."
        )
