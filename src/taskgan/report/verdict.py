"""The verdict in plain language: what differs beyond its interval, what does not, and what to be wary of."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from taskgan.evaluate.cases import calibrated, finite_values, reader_summary, suvr_agreement
from taskgan.page.cells import Table, display_name, interval_text, join_methods, join_phrases, number
from taskgan.report.agreement import flip_sentences
from taskgan.report.comparisons import (
    POWERS,
    badge_table,
    basis_sentence,
    by_verdict,
    equivalence_word,
    p_text,
    reading_sentence,
    sides_text,
    subjects_needed,
)
from taskgan.report.condition_tables import condition_findings
from taskgan.report.load import Comparison
from taskgan.report.metrics import HEADLINE, JUDGE, METRICS, PSNR, SUVR, Metric, with_kind_phrase
from taskgan.report.paired import MetricComparison, compare_methods, method_difference
from taskgan.report.study import VerificationStudy, study_findings, study_warnings, warning
from taskgan.stats import FEWEST, mean_interval


@dataclass(frozen=True)
class ReportVerdict:
    """What stands at the top of the page.

    Attributes:
        compared: What was compared, on whom.
        sentences: The focus method against the baseline; what its images mean; what both rest on.
        badges: Better, worse or not shown, of every method and measure.
        findings: A sentence per method, and on flips.
        warnings: What weakens the findings.
    """

    compared: str
    sentences: tuple[str, str, str]
    badges: Table
    findings: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def headline(self) -> str:
        """The first sentence."""
        return self.sentences[0]


def report_verdict(
    comparison: Comparison, study: VerificationStudy | None = None, further: Iterable[str] = ()
) -> ReportVerdict:
    """Write the verdict of a comparison, with its verification where there is one, and ``further`` findings."""
    against = _against_all(comparison, comparison.baseline, study)
    findings = [_against(comparison, method, study) for method, study in against.items()]
    if comparison.references and comparison.baseline != "input":
        findings = [_gain_over_input(comparison), *_read_against_input(comparison), *findings]
    findings += [
        *_with_other_seeds(comparison, against),
        *_equivalences(comparison, study),
        *_slopes(comparison),
        *study_findings(comparison, study),
        *flip_sentences(comparison, study),
        *condition_findings(comparison),
        *further,
    ]
    headline = _headline(comparison, against, study)
    warnings = (*_warnings(comparison, study), *study_warnings(comparison, study))
    to_input = _against_all(comparison, "input", study) if comparison.references else {}
    meaning = reading_sentence(comparison, to_input.get(comparison.focus, ()))
    every = {(method, comparison.baseline): compared for method, compared in against.items()}
    every |= {(method, "input"): compared for method, compared in to_input.items()}
    badges = badge_table(every, comparison.reader_error[0])
    sentences = (headline, meaning, basis_sentence(comparison, len(warnings)))
    return ReportVerdict(_scope(comparison), sentences, badges, tuple(findings), warnings)


def _against_all(
    comparison: Comparison, baseline: str, study: VerificationStudy | None
) -> dict[str, list[MetricComparison]]:
    """Every method against one baseline, in all measures of the verdict."""
    families = [compare_methods(comparison, with_kind_phrase(metric, comparison.kind), baseline) for metric in HEADLINE]
    return {
        method: [*(compared[method] for compared in families), *_verified(study, method, baseline)]
        for method in comparison.methods
        if method != baseline
    }


def _headline(
    comparison: Comparison, against: dict[str, list[MetricComparison]], study: VerificationStudy | None
) -> str:
    method = comparison.focus
    baseline = comparison.contrast_method
    if baseline is None:
        return f"{display_name(method)} alone: there is nothing to compare it with."
    if method not in against:  # a single method that is its own baseline
        against = _against_all(comparison, baseline, study)
    groups, own, other = by_verdict(against[method]), display_name(method), display_name(baseline)
    if not any(groups.values()):
        return f"{own} and {other} have no image in common: there is nothing to compare."
    claimed = [*groups["better"], *groups["worse"]]
    if not claimed and all(math.isnan(c.interval.low) for c in groups["none"]):
        return f"Too few subjects to tell {own} from {other}: no measure has an interval."
    unsure = [c.metric.phrase for c in claimed if _needs_these_seeds(c)]
    caveat = f" (With another training run in mind not shown: {join_phrases(unsure)}.)" if unsure else ""
    if claimed and all(math.isnan(c.crossed.low) for c in claimed):
        caveat = " (Said of these training runs: too few seeds to speak of others.)"
    return f"{sides_text(method, baseline, groups)}.{caveat}"


def _needs_these_seeds(one: MetricComparison) -> bool:
    """Whether a claim rests on the runs that were trained: with the seeds drawn too, zero is inside."""
    return not math.isnan(one.crossed.low) and not one.crossed.excludes(0.0)


def _scope(comparison: Comparison) -> str:
    rows = comparison.rows("clean")
    subjects = rows.drop_duplicates("subject")
    positive = int((subjects["label"] > 0.5).sum())
    seeds = sorted({int(s) for s in comparison.frame["seed"].dropna()})
    parts = f"{join_methods(display_name(m) for m in comparison.methods)} on {len(subjects)} test subjects"
    if subjects["label"].notna().any() and comparison.kind == "binary":
        parts += f" ({positive} positive, {len(subjects) - positive} negative)"
    if len(rows) != len(subjects):
        parts += f", {len(rows)} cases"
    if seeds:
        parts += f", training seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    return f"Compared: {parts}; baseline {display_name(comparison.baseline)}."


def _gain_over_input(comparison: Comparison) -> str:
    gains = []
    for method in comparison.methods:
        gain = method_difference(comparison, PSNR, method, "input").interval
        if math.isnan(gain.estimate):  # a restoration equal to the clean image has no finite PSNR
            continue
        gains.append(f"{display_name(method)} {interval_text(gain, 2, sign=True, unit=PSNR.unit)}")
    return f"PSNR over the degraded input: {join_methods(gains)}."


def _read_against_input(comparison: Comparison) -> Iterable[str]:
    """A higher PSNR than the input's says nothing about how the images read, so that is said beside it."""
    for metric in (with_kind_phrase(JUDGE, comparison.kind), SUVR):
        changes = [
            f"{display_name(m)} {interval_text(one.interval, metric.digits, sign=True)}"
            + f" ({one.verdict})" * (one.verdict != "none")
            for m, one in compare_methods(comparison, metric, "input", seeds=False).items()
            if not math.isnan(one.interval.estimate)
        ]
        if changes:
            yield f"Change of {metric.phrase} from the degraded input, less is better: {join_methods(changes)}."


def _against(comparison: Comparison, method: str, compared: list[MetricComparison]) -> str:
    groups = by_verdict(compared)
    names = f"{display_name(method)} against {display_name(comparison.baseline)}: "
    if not any(groups.values()):
        return f"{names}no image in common, hence nothing to compare."
    beyond = [
        f"{c.metric.phrase} is {word} ({interval_text(c.interval, c.metric.digits, sign=True, unit=c.metric.unit)})"
        for word in ("better", "worse")
        for c in groups[word]
    ]
    if groups["none"] and not beyond and all(math.isnan(c.interval.low) for c in groups["none"]):
        bare = join_phrases(f"{c.metric.phrase} ({_gap(c.metric, c.interval.estimate)})" for c in groups["none"])
        return f"{names}without an interval, hence no claim: {bare}."
    within = [c for c in groups["none"] if not c.interval.excludes(0.0)]
    beside = [c for c in groups["none"] if c not in within]
    parts = [join_phrases(beyond)] if beyond else []
    if beside:
        parts.append(
            "zero is outside the interval, but the p corrected over the methods is not below .05, hence no claim: "
            + join_phrases(f"{c.metric.phrase} ({_gap(c.metric, c.interval.estimate)}, {p_text(c.p)})" for c in beside)
        )
    if within:
        measures = join_phrases(
            f"{c.metric.phrase} ({_gap(c.metric, c.interval.estimate)}{_subjects(c)})" for c in within
        )
        known = any(_subjects(c) for c in within)
        # The observed size may itself be chance, so that this is a plan and no verdict on this study.
        plan = "; in brackets also how many subjects show a true difference of that size with 80 % power"
        parts.append(f"no difference is shown in {measures}{plan if known else ''}")
    return f"{names}{'. '.join(part[:1].upper() + part[1:] if i else part for i, part in enumerate(parts))}."


def _subjects(one: MetricComparison) -> str:
    """How many subjects a true difference of the observed size would take, where that is more than there are."""
    count = subjects_needed(one.difference, one.metric, POWERS[0])
    return f", {count} subjects" if count and count > one.difference.count else ""


def _gap(metric: Metric, value: float) -> str:
    return number(value, metric.digits, sign=True) + metric.unit


def _with_other_seeds(comparison: Comparison, against: dict[str, list[MetricComparison]]) -> Iterable[str]:
    """Whether the differences would be there again after another training run."""
    for method, compared in against.items():
        claimed = [c for c in compared if c.verdict != "none" and not math.isnan(c.crossed.low)]
        holds = [c for c in claimed if not _needs_these_seeds(c)]
        parts = [
            f"{verb} {join_phrases(c.metric.phrase for c in some)}"
            for verb, some in (("holds for", holds), ("is not shown for", [c for c in claimed if c not in holds]))
            if some
        ]
        if parts:
            differs = f"{display_name(method)} differs from {display_name(comparison.baseline)}"
            mind = f"also with another training run in mind ({claimed[0].seeds} seeds)"
            yield f"That {differs}, {mind}, {' and '.join(parts)}."


def _equivalences(comparison: Comparison, study: VerificationStudy | None) -> Iterable[str]:
    templates = {
        "equivalent": "{0} equivalent within ±{1}",
        "not worse": "{0} not worse by {1} or more, equivalence not shown",
        "not shown": "equivalence of {0} within ±{1} not shown",
    }
    stated = [m for m in METRICS if m.name in comparison.inference.margins]
    families = [compare_methods(comparison, metric, comparison.baseline) for metric in stated]
    for method in comparison.compared_methods:
        parts = [
            templates[word].format(one.metric.phrase, f"{one.equivalence.margin:g}{one.metric.unit}")
            + (" (of these training runs; with another in mind not shown)" if one.equivalent_for_trained_seeds else "")
            for one in (
                *(comparisons[method] for comparisons in families),
                *_verified(study, method, comparison.baseline),
            )
            if one.equivalence and (word := equivalence_word(one))
        ]
        if parts:
            both = f"{display_name(method)} and {display_name(comparison.baseline)}"
            yield f"{both}, by the margins that were stated: {'; '.join(parts)}."


def _verified(study: VerificationStudy | None, method: str, baseline: str) -> list[MetricComparison]:
    return study.judge_differences(method, baseline) if study is not None else []


def _slopes(comparison: Comparison) -> Iterable[str]:
    agreements = {m: suvr_agreement(comparison.rows(m)) for m in comparison.methods}
    slopes = {m: f.slope for m, f in agreements.items() if f.count and not math.isnan(f.slope.estimate)}
    if not slopes:
        return
    each = join_methods(f"{display_name(m)} {interval_text(s, 2)}" for m, s in slopes.items())
    below = [display_name(m) for m, s in slopes.items() if s.high < 1]
    shrunk = f" {join_methods(below)} pull{'s' * (len(below) == 1)} subjects together." if below else ""
    yield f"Slope of restored on clean SUVR, where 1 keeps the differences between subjects: {each}.{shrunk}"
    errors = {
        m: [mean_interval(np.abs(part["suvr_bias"]), list(part["subject"])) for part in (rows, after)]
        for m in comparison.methods
        if len(after := calibrated(rows := comparison.rows(m)))
    }
    if errors:
        each = join_methods(
            f"{display_name(m)} {interval_text(raw, 3)}, then {interval_text(after, 3)}"
            for m, (raw, after) in errors.items()
        )
        yield f"Absolute SUVR error as read, then after the line that was fitted on validation subjects: {each}."


def _warnings(comparison: Comparison, study: VerificationStudy | None) -> Iterable[str]:
    yield from comparison.notes
    clean = comparison.rows("clean")
    subjects, photos = clean["subject"].nunique(), comparison.images
    for reader in ("judge", "task", "suvr"):
        read = reader_summary(clean, clean, reader)
        if read.decisions and read.wrong:
            yield warning(reader, wrong=read.wrong, decisions=read.decisions, images=photos)
    # Variants are told apart by what follows the name, as in task_gan_frozen.
    methods = [display_name(m) for m in comparison.methods if m.startswith("task_gan")]
    if reader_summary(clean, clean, "task").decisions and methods:
        them = "it" if len(methods) == 1 else "them"
        also = " and the SUVR’s" if comparison.frame["suvr_bias"].notna().any() else ""
        yield warning("taught", methods=join_methods(methods), them=them, also=also)
    if subjects < FEWEST:
        yield warning("no intervals", subjects=subjects, fewest=FEWEST)
    elif subjects < 20:
        yield warning("few subjects", subjects=subjects, rate=100 * (1 - 0.025 ** (1 / subjects)))
    if min(comparison.rows(m)["seed"].nunique() for m in comparison.methods) < 3:
        yield warning("few seeds")
    yield from _between_seeds(comparison)
    tested = sum(bool(comparison.frame[m.column].notna().any()) for m in HEADLINE)
    tested += len(study.valid_judges) if study is not None else 0
    if subjects >= FEWEST and tested > 1:
        yield warning("many measures", tested=tested)


def _between_seeds(comparison: Comparison) -> Iterable[str]:
    """What another seed changed: the intervals are over subjects and take the seeds as they are."""
    most = {}
    for metric in (PSNR, JUDGE, SUVR):
        rows = comparison.frame[comparison.frame["method"].isin(comparison.methods)]
        values = pd.Series(finite_values(rows["suvr_bias" if metric is SUVR else metric.key]), rows.index)
        values = values.abs() if metric is SUVR else values
        means = values.groupby([rows["method"], rows["seed"]]).mean().groupby(level=0)
        spread = (means.max() - means.min())[means.count() > 1]
        if spread.notna().any():
            most[metric] = float(spread.max())
    if most:
        gaps = join_phrases(
            f"{with_kind_phrase(m, comparison.kind).phrase} by up to {number(gap, m.digits)}{m.unit}"
            for m, gap in most.items()
        )
        yield warning("between seeds", gaps=gaps)
