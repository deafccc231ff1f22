"""The audit in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from taskgan.audit.coverage import CoverageResult
from taskgan.audit.flips import UNIT, PairedTest, p_value_text
from taskgan.audit.outcome import AuditResult
from taskgan.audit.tables import badge_table
from taskgan.core.files import versions, write_text
from taskgan.judges.properties import Property
from taskgan.judges.readings import CLEAN
from taskgan.page.cells import Table, interval_text, number, range_text
from taskgan.page.style import PageFigure, render_template
from taskgan.stats import Interval

_MAX_CHANGES = 4
_CHANGED = {"multi_class": "class", "multi_label": "labels", "regression": "value", "segmentation": "masks"}


def audit_question(prop: Property) -> str:
    """The page's title."""
    return f"Audit: did the restoration change the {_CHANGED.get(prop.kind, 'diagnosis')}?"


def term_definitions(prop: Property, *, decided: bool) -> tuple[tuple[str, str, str], ...]:
    """What the words of the verdict mean: article, term and the rest of its sentence.

    ``decided`` says whether anybody decides, and so can flip.
    """
    ways = {
        "multi_class": "sees another class in the restored image than in the clean one",
        "multi_label": "sets or takes back a label in the restored image, against the clean one",
        "regression": f"puts the restored image on the other side of the cut ({prop.cut:g}) than the clean one",
    }
    terms: list[tuple[str, str, str]] = []
    if decided:
        way = ways.get(prop.kind) if prop.decides else None
        way = way or "decides otherwise on the restored image than on the clean one"
        terms.append(("A", "flip", f"is a judge that {way} of the same subject, whoever is right."))
        terms.append(("An", "error", "is a decision that differs from the label."))
    if prop.kind == "regression":
        meaning = (
            "is the mean of restored − clean value, limits of agreement say where the difference of a single case "
            "lies, the slope is that of restored on clean values (1 keeps differences between subjects)."
        )
        terms.append(("The", "bias", meaning))
    if prop.kind == "segmentation":
        meaning = "is twice the overlap of two masks over the sum of their sizes; 1 is the same mask."
        terms.append(("The", "Dice coefficient", meaning))
    return tuple(terms)


def evidence_legend(prop: Property) -> str:
    """What the colours of an evidence map stand for."""
    return {
        "multi_class": "towards the class of the restored image (orange) or away from it (purple)",
        "regression": "to a higher (orange) or lower value (purple)",
    }.get(prop.kind, "towards “positive” (orange) or “negative” (purple)")


@dataclass(frozen=True)
class AuditVerdict:
    """The top of the page.

    Attributes:
        audited: What was audited, one line.
        sentences: The answer; what the judge that sees the most says beside it; what both rest on.
        badges: A row a judge: whether flips, errors, bias and shrinking are shown.
        findings: What it rests on.
        warnings: What limits it.
        question: Title of the page.
        terms: What the words mean: article, term and the rest of its sentence.
    """

    audited: str
    sentences: tuple[str, ...]
    badges: Table
    findings: tuple[str, ...]
    warnings: tuple[str, ...]
    question: str = ""
    terms: tuple[tuple[str, str, str], ...] = ()

    @property
    def headline(self) -> str:
        """The first sentence."""
        return self.sentences[0]


def verdict(outcome: AuditResult) -> AuditVerdict:
    """Say what was found."""
    cases, subjects = len(outcome.inputs.cases), len({p.subject for p in outcome.inputs.cases})
    audited = (
        f"{outcome.method}: {_count(cases, 'restored image')} of {_count(subjects, 'subject')} from "
        f"{outcome.inputs.pairs.source.name}, judged by {', '.join(outcome.readings.judges)}"
    )
    partly = [f for f in outcome.fitness.values() if f.unread and f.fit]
    unfit = [f for f in outcome.fitness.values() if not f.fit]
    warnings = [*(f.reason for f in (*unfit, *partly)), *outcome.notes, *outcome.conformal.warnings]
    limits, asks = _sentences(warnings), audit_question(outcome.main_property)
    terms = term_definitions(outcome.main_property, decided=bool(outcome.metrics))
    worst = outcome.worst
    if worst is None and not outcome.fit:
        headline = "Nothing can be said: no judge is able to read the clean images of these subjects."
        return AuditVerdict(audited, (headline,), badge_table(outcome), (), limits, asks, terms)
    deciding = [name for name in outcome.fit if name in outcome.metrics]
    findings = [_by_judge(outcome, name) for name in deciding]
    findings += [_judges_summary(outcome, deciding)] if len(deciding) > 1 else []
    findings += _masks(outcome)
    findings += [
        f"{name}{_agreement(outcome, name)}" for name in outcome.agreements if outcome.judge_of(name) in outcome.fit
    ]
    for other in outcome.inputs.against:
        both = [c for c in outcome.contrasts if worst and (c.judge, c.other) == (worst, other.method)]
        findings += [_contrast(outcome.method, other.method, both)] if both else []
    findings += [_coverage(m) for m in outcome.conformal.coverage]
    headline = _headline(outcome, worst, len(deciding)) if worst else _no_decisions_headline(outcome)
    able = f"{_count(len(outcome.fit), 'judge')} who can read the clean images"
    said = f"; {_count(len(warnings), 'remark')} below say what limits it" * bool(warnings)
    sentences = (headline, *findings[:1], f"This rests on {_count(subjects, 'subject')} and {able}{said}.")
    return AuditVerdict(audited, sentences, badge_table(outcome), tuple(findings), limits, asks, terms)


def _headline(outcome: AuditResult, judge: str, able: int) -> str:
    prop, worst = outcome.readings.property_of(judge), outcome.metrics[judge][outcome.method]
    by = f"in the eyes of {judge}" + (", the judge that sees the most" if able > 1 else "")
    rate = f"({percent_text(worst.flips)})"
    who = "patient" if prop.flip_text == "changed diagnosis" else "subject"
    if not worst.flipped:
        eyes = "any judge" if able > 1 else judge
        return f"No {who} of {worst.subjects} {prop.flip_text} {rate}, by {eyes}."
    if prop.has_several_outputs:
        parts = _change_counts(outcome, judge)
    else:
        ways = ((worst.to_positive, "negative", "positive"), (worst.to_negative, "positive", "negative"))
        parts = [f"{_count(count, was)} became {now}" for count, was, now in ways if count]
    return (
        f"{worst.flipped} of {worst.subjects} {who}s {prop.flip_text} {by} {rate}: {', '.join(parts)}, "
        "against the same judge’s reading of the clean image."
    )


def _change_counts(outcome: AuditResult, judge: str) -> list[str]:
    """Which classes became which, or which labels changed, the most frequent first."""
    directions = outcome.flipped[f"{judge}_direction"]
    counts = directions[directions != ""].str.split("; ").explode().value_counts(sort=True)
    ways = [f"{way} in {_count(int(count), 'case')}" for way, count in list(counts.items())[:_MAX_CHANGES]]
    rest = len(counts) - _MAX_CHANGES
    return [*ways, f"{rest} other ways"] if rest > 0 else ways


def _no_decisions_headline(outcome: AuditResult) -> str:
    """The headline where the judges read numbers or masks and decide nothing."""
    if outcome.overlaps:
        able = {n: by[outcome.method] for n, by in outcome.overlaps.items() if outcome.judge_of(n) in outcome.fit}
        name = min(able, key=lambda n: able[n].kept.estimate)
        return (
            f"{name} finds its mask of the clean image again with a Dice of {interval_text(able[name].kept, 2)} in "
            "the restored one; there is no decision to flip."
        )
    names = [n for n in outcome.agreements if outcome.judge_of(n) in outcome.fit]
    worst = max(names, key=lambda n: abs(outcome.agreements[n][outcome.method].bias.estimate))
    most = ", the judge that sees the most" if len(names) > 1 else ""
    return (
        f"The property is a value without a cut: there is no decision to flip. By {worst}{most}:"
        f"{_agreement(outcome, worst, short=True)}."
    )


def _agreement(outcome: AuditResult, name: str, *, short: bool = False) -> str:
    """Bias, limits and slope of the audited method, after the name of who reads."""
    agreement = outcome.agreements[name][outcome.method]
    text = (
        f" bias {interval_text(agreement.bias, 3, sign=True)}, limits of agreement "
        f"{number(agreement.low, 2, sign=True)} to {number(agreement.high, 2, sign=True)}, "
        f"slope {interval_text(agreement.slope, 2)}"
    )
    if short:
        return text
    unit = outcome.readings.property_of(outcome.judge_of(name)).unit
    what = "" if unit in name else f" ({unit})"
    return (
        f"{what} of the restored image against the clean one:{text} (1 keeps the differences between subjects, less "
        "shrinks them)."
    )


def _masks(outcome: AuditResult) -> list[str]:
    """Dice of the masks that fit judges draw."""
    drawn = {n: by[outcome.method] for n, by in outcome.overlaps.items() if outcome.judge_of(n) in outcome.fit}
    return [
        f"{name}: Dice of the mask of the restored image with that of the clean one {interval_text(one.kept, 3)}, "
        f"with the table’s mask {interval_text(one.right, 3)}."
        for name, one in drawn.items()
    ]


def _by_judge(outcome: AuditResult, name: str) -> str:
    after, clean = outcome.metrics[name][outcome.method], outcome.metrics[name][CLEAN]
    return (
        f"{name}: {after.flipped} of {_count(after.subjects, 'subject')} flipped "
        f"({percent_text(after.flips)}); errors against the label {percent_text(after.error)} on restored images, "
        f"{percent_text(clean.error)} on clean ones."
    )


def _judges_summary(outcome: AuditResult, able: Sequence[str]) -> str:
    counted = outcome.flipped["flipped_by"].map(lambda by: sum(n in able for n in by.split(", ")))
    every = outcome.flipped[counted == len(able)]["subject"].nunique()
    some = outcome.flipped[counted > 0]["subject"].nunique()
    return (
        f"At least one of the {len(able)} judges saw a flip in {_count(some, 'subject')}, all {len(able)} in "
        f"{every or 'none'}."
    )


def _contrast(method: str, other: str, both: Sequence[PairedTest]) -> str:
    """Flips and errors against one method, in one sentence."""
    parts = []
    for one in both:
        ending = "no difference is shown" if one.corrected >= 0.05 else "a difference"
        parts.append(
            f"{one.measure} in {one.only_audited} only with {method} and in {one.only_other} only with {other} "
            f"(McNemar p {p_value_text(one.p)}, {p_value_text(one.corrected)} over all comparisons: {ending})"
        )
    return f"Against {other}, by {both[0].judge}, of {_count(both[0].subjects, 'subject')}: {'; '.join(parts)}."


def _coverage(measured: CoverageResult) -> str:
    c, goal = measured.calibration, 100 * (1 - measured.calibration.alpha)
    if not measured.subjects:
        return f"{c.target}: there was no subject to measure the conformal coverage on."
    head = (
        f"{c.target}, conformal at {goal:g} % from {c.subjects} subjects: the truth was covered in "
        f"{percent_text(measured.coverage)}"
    )
    if c.kind == "interval":
        return f"{head}, mean width {number(measured.width, 2)}."
    return (
        f"{head}; no decision was made in {percent_text(measured.abstained)}, and {percent_text(measured.wrong)} of "
        "the decided were wrong."
    )


def percent_text(interval: Interval) -> str:
    """A rate with its interval, in per cent."""
    if interval.estimate != interval.estimate:
        return "–"
    scaled = Interval(*(100 * v for v in (interval.estimate, interval.low, interval.high)))
    return f"{number(scaled.estimate, 0)} % {range_text(scaled, 0)}".rstrip()


def _count(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _sentences(texts: Sequence[str]) -> tuple[str, ...]:
    """With a capital at the start, unless a name with a digit is there, and a full stop."""
    whole = []
    for text in filter(None, texts):
        name = any(c.isdigit() for c in text.split()[0])  # a judge is called what it is called
        whole.append((text if name else text[:1].upper() + text[1:]) + ("" if text.endswith(".") else "."))
    return tuple(whole)


def write_page(
    path: Path,
    outcome: AuditResult,
    verdict: AuditVerdict,
    tables: Sequence[Table],
    charts: Sequence[PageFigure],
    cases: Sequence[PageFigure],
    command: str,
) -> Path:
    """Fill the template and write the page, an HTML file.

    The template knows ``tables`` by their names and ``charts`` by their files' names. ``cases`` are figures of
    flipped cases in the order of the table, ``command`` is the call that makes the page again.
    """
    page = render_template(
        "taskgan.audit",
        "audit.html",
        method=outcome.method,
        verdict=verdict,
        unit=UNIT,
        decided=bool(outcome.metrics),
        compared=bool(outcome.inputs.against),
        towards=evidence_legend(outcome.main_property),
        tables={table.name: table for table in tables},
        charts={chart.path.stem: chart for chart in charts},
        cases=cases,
        left_out=len(outcome.flipped) - len(cases),
        command=command,
        versions=versions(),
    )
    write_text(path, page)
    return path
