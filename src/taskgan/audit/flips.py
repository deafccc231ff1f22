"""Two methods on the same subjects: McNemar's test of flips and of errors, one event a subject."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from taskgan.evaluate.statistics import adjusted_p_values, mcnemar
from taskgan.judges.readings import CLEAN, Readings


@dataclass(frozen=True)
class PairedTest:
    """Two methods on the subjects that both restored.

    Attributes:
        judge: Whose decisions.
        other: The method compared with.
        measure: ``flips`` or ``errors``.
        subjects: In both.
        only_audited: Subjects with the event under the audited method only.
        only_other: Under the other method only.
        p: McNemar, exact, two-sided.
        corrected: p after :func:`corrected_tests`; NaN where this comparison stands alone.
    """

    judge: str
    other: str
    measure: str
    subjects: int
    only_audited: int
    only_other: int
    p: float
    corrected: float = float("nan")


def corrected_tests(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """All comparisons of one audit, corrected together (Holm): several judges, methods and measures are asked."""
    ps = adjusted_p_values([one.p for one in tests])
    return [replace(one, corrected=p) for one, p in zip(tests, ps, strict=True)]


def paired_tests(readings: Readings, judge: str, audited: str, other: str) -> list[PairedTest]:
    """McNemar of flips and of errors between two methods, on the subjects that both restored."""
    ours, theirs = readings.select(judge, audited), readings.select(judge, other)
    both = ours.index.intersection(theirs.index, sort=False)
    ours, theirs = ours.loc[both], theirs.loc[both]
    clean = readings.select(judge, CLEAN).reindex(both)
    tests = []
    for measure, truth in (("flips", clean["decision"]), ("errors", ours["truth"])):
        known = ours["decision"].notna() & theirs["decision"].notna() & truth.notna()
        events = [
            ((one["decision"] != truth) & known).groupby(ours["subject"], sort=False).any()
            for one in (ours, theirs)
        ]
        only_ours, only_theirs = int((events[0] & ~events[1]).sum()), int((events[1] & ~events[0]).sum())
        count = int(ours["subject"][known].nunique())
        tests.append(
            PairedTest(judge, other, measure, count, only_ours, only_theirs, mcnemar(only_ours, only_theirs))
        )
    return tests
