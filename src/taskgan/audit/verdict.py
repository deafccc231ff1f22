"""The audit in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass

from taskgan.audit.coverage import Measured
from taskgan.audit.flips import Contrast, Opinion
from taskgan.audit.outcome import Outcome
from taskgan.audit.readings import CLEAN
from taskgan.evaluate.statistics import Interval
from taskgan.report.cells import number, span, told


@dataclass(frozen=True)
class Verdict:
    """The top of the page.

    Attributes:
        audited: What was audited, one line.
        headline: The answer.
        findings: What it rests on.
        warnings: What limits it.
    """

    audited: str
    headline: str
    findings: tuple[str, ...]
    warnings: tuple[str, ...]


def verdict(outcome: Outcome) -> Verdict:
    """Say what was found."""
    cases, subjects = len(outcome.inputs.cases), len({p.subject for p in outcome.inputs.cases})
    audited = (
        f"{outcome.method}: {_count(cases, 'restored image')} of {_count(subjects, 'subject')} from "
        f"{outcome.inputs.pairs.source.name}, judged by {', '.join(outcome.readings.judges)}"
    )
    warnings = [f.why for f in outcome.fitness.values() if not f.fit]
    warnings += [*outcome.notes, *outcome.conformal.warnings]
    worst = outcome.worst
    if worst is None and not outcome.fit:
        headline = "Nothing can be said: no judge is able to read the clean images of these subjects."
        return Verdict(audited, headline, (), _sentences(warnings))
    findings = [_by_judge(outcome, name) for name in outcome.fit if name in outcome.opinions]
    findings += [_together(outcome)] if sum(name in outcome.opinions for name in outcome.fit) > 1 else []
    for judge, by_image in outcome.agreements.items():
        found = by_image[outcome.method]
        if judge in outcome.fit:
            findings.append(
                f"{judge} of the restored image against the clean one: bias {told(found.bias, 3, sign=True)}, limits "
                f"of agreement {number(found.low, 2, sign=True)} to {number(found.high, 2, sign=True)}, slope "
                f"{told(found.slope, 2)} (1 keeps the differences between patients, less shrinks them)."
            )
    for other in outcome.inputs.against:
        both = [c for c in outcome.contrasts if worst and (c.judge, c.other) == (worst.judge, other.method)]
        findings += [_contrast(outcome.method, other.method, both)] if both else []
    findings += [_coverage(m) for m in outcome.conformal.measured]
    headline = (
        _headline(worst) if worst else "There was no diagnosis to change: the judges read values, see below."
    )
    return Verdict(audited, headline, tuple(findings), _sentences(warnings))


def _headline(worst: Opinion) -> str:
    by = f"in the eyes of {worst.judge}, the judge that sees the most"
    rate = f"({percent(worst.flips)})"
    if not worst.flipped:
        return f"No patient of {worst.subjects} changed diagnosis {rate}, by any judge."
    parts = []
    if worst.to_positive:
        parts.append(f"{_count(worst.to_positive, 'negative')} became positive")
    if worst.to_negative:
        parts.append(f"{_count(worst.to_negative, 'positive')} became negative")
    return (
        f"{worst.flipped} of {worst.subjects} patients changed diagnosis {by} {rate}: {', '.join(parts)}, "
        "against the same judge’s reading of the clean image."
    )


def _by_judge(outcome: Outcome, name: str) -> str:
    after, clean = outcome.opinions[name][outcome.method], outcome.opinions[name][CLEAN]
    return (
        f"{name}: {after.flipped} of {after.subjects} flipped ({percent(after.flips)}); errors against the label "
        f"{percent(after.errors)} on restored images, {percent(clean.errors)} on clean ones."
    )


def _together(outcome: Outcome) -> str:
    able = [name for name in outcome.fit if name in outcome.opinions]
    counted = outcome.flipped["flipped_by"].map(lambda by: sum(n in able for n in by.split(", ")))
    every = outcome.flipped[counted == len(able)]["subject"].nunique()
    some = outcome.flipped[counted > 0]["subject"].nunique()
    return (
        f"At least one of the {len(able)} judges saw a flip in {_count(some, 'patient')}, all {len(able)} in "
        f"{every or 'none'}."
    )


def _contrast(method: str, other: str, both: Sequence[Contrast]) -> str:
    """Flips and errors against one method, in one sentence."""
    parts = []
    for one in both:
        ending = "no difference is shown" if one.corrected >= 0.05 else "a difference"
        parts.append(
            f"{one.measure} in {one.only_audited} only with {method} and in {one.only_other} only with {other} "
            f"(McNemar p {one.p:.2g}, {one.corrected:.2g} over all comparisons: {ending})"
        )
    return (
        f"Against {other}, by {both[0].judge}, of {_count(both[0].subjects, 'patient')}: {'; '.join(parts)}."
    )


def _coverage(measured: Measured) -> str:
    c, goal = measured.calibration, 100 * (1 - measured.calibration.alpha)
    if not measured.subjects:
        return f"{c.target}: there was no subject to measure the conformal coverage on."
    head = (
        f"{c.target}, conformal at {goal:g} % from {c.subjects} subjects: the truth was covered in "
        f"{percent(measured.coverage)}"
    )
    if c.kind == "interval":
        return f"{head}, mean width {number(measured.width, 2)}."
    return (
        f"{head}; no decision was made in {percent(measured.abstained)}, and {percent(measured.wrong)} of the "
        "decided were wrong."
    )


def percent(interval: Interval) -> str:
    """A rate with its interval, in per cent."""
    if interval.estimate != interval.estimate:
        return "–"
    scaled = Interval(*(100 * v for v in (interval.estimate, interval.low, interval.high)))
    return f"{number(scaled.estimate, 0)} % {span(scaled, 0)}".rstrip()


def _count(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _sentences(texts: Sequence[str]) -> tuple[str, ...]:
    def whole(text: str) -> str:
        name = any(c.isdigit() for c in text.split()[0])  # a judge is called what it is called
        return (text if name else text[:1].upper() + text[1:]) + ("" if text.endswith(".") else ".")

    return tuple(whole(text) for text in texts if text)
