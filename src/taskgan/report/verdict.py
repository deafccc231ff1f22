"""The verdict in plain language: what differs beyond its interval, what does not, and what to be wary of."""

from collections.abc import Iterable
from dataclasses import dataclass

from taskgan.evaluate.summary import reading, suvr
from taskgan.report.cells import number, span
from taskgan.report.flips import flips_of
from taskgan.report.load import Comparison, shown
from taskgan.report.paired import JUDGE, PSNR, RELATIVE, SSIM, SUVR, Metric, paired


@dataclass(frozen=True)
class Verdict:
    """What stands at the top of the page: one paragraph each.

    Attributes:
        compared: What was compared, on whom.
        findings: A sentence per method, and on flips.
        warnings: What weakens the findings.
    """

    compared: str
    findings: tuple[str, ...]
    warnings: tuple[str, ...]


def verdict(comparison: Comparison) -> Verdict:
    """Write the verdict of a comparison."""
    findings = [_restores(comparison)]
    findings += [_against(comparison, method, comparison.baseline) for method in comparison.others]
    if comparison.baseline == "input":
        findings = findings[1:]
    findings += [sentence for method in comparison.methods if (sentence := _slope(comparison, method))]
    findings.append(_flips(comparison))
    return Verdict(_compared(comparison), tuple(findings), tuple(_warnings(comparison)))


def _compared(comparison: Comparison) -> str:
    rows = comparison.rows("clean")
    subjects = rows.drop_duplicates("subject")
    positive = int((subjects["label"] > 0.5).sum())
    seeds = sorted({int(s) for s in comparison.frame["seed"].dropna()})
    parts = f"{_and(shown(m) for m in comparison.methods)} on {len(subjects)} test subjects"
    if subjects["label"].notna().any():
        parts += f" ({positive} positive, {len(subjects) - positive} negative)"
    if len(rows) != len(subjects):
        parts += f", {len(rows)} cases"
    if seeds:
        parts += f", training seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    return f"Compared: {parts}; baseline {shown(comparison.baseline)}."


def _restores(comparison: Comparison) -> str:
    gains = []
    for method in comparison.methods:
        gain = paired(comparison, PSNR, method, "input")
        gains.append(f"{shown(method)} {number(gain.estimate, 2, sign=True)} dB {span(gain, 2, sign=True)}")
    return f"PSNR over the degraded input: {_and(gains)}."


def _against(comparison: Comparison, method: str, baseline: str) -> str:
    beyond, inside = [], []
    for metric in (PSNR, SSIM, RELATIVE, JUDGE, SUVR):
        gap = paired(comparison, metric, method, baseline)
        if gap.estimate != gap.estimate:
            continue
        if gap.excludes(0.0):
            word = "better" if gap.estimate * metric.better > 0 else "worse"
            beyond.append(
                f"{metric.words} is {word} ({_gap(metric, gap.estimate)} {span(gap, metric.digits, sign=True)})"
            )
        else:
            inside.append(f"{metric.words} ({_gap(metric, gap.estimate)})")
    text = f"{shown(method)} against {shown(baseline)}: "
    text += _and(beyond) if beyond else "no measure differs beyond its interval"
    if inside:
        text += f". Inside the interval, hence no difference: {_and(inside)}"
    return text + "."


def _gap(metric: Metric, value: float) -> str:
    return number(value, metric.digits, sign=True) + metric.unit


def _slope(comparison: Comparison, method: str) -> str:
    found = suvr(comparison.rows(method))
    if not found.count or not found.slope.excludes(1.0):
        return ""
    verb = "shrinks" if found.slope.estimate < 1 else "stretches"
    return (
        f"{shown(method)} {verb} differences in cortical uptake between subjects: SUVR slope "
        f"{number(found.slope.estimate, 2)} {span(found.slope, 2)} where 1 keeps them."
    )


def _flips(comparison: Comparison) -> str:
    clean = comparison.rows("clean")
    if not clean["suvr_decision"].notna().any() and not clean["judge_decision"].notna().any():
        return "No reader was at hand, so that nothing can be said about whether the diagnosis is kept."
    told = []
    for method in comparison.methods:
        rows = flips_of(comparison, method)
        for reader, name in (("suvr", "SUVR"), ("judge", "judge"), ("task", "T")):
            cases = list(dict.fromkeys(rows[rows[f"flip_{reader}"]]["case"]))
            if cases:
                some = ", ".join(cases[:6]) + (f" and {len(cases) - 6} more" if len(cases) > 6 else "")
                told.append(
                    f"{shown(method)} flips the {name} reading of {some}"
                    if reader != "suvr"
                    else f"{shown(method)} moves {some} across the SUVR cut"
                )
    if not told:
        return "No restoration flips the reading of any case by any reader."
    return "; ".join(told) + "."


def _warnings(comparison: Comparison) -> Iterable[str]:
    yield from comparison.notes
    clean = comparison.rows("clean")
    subjects = clean["subject"].nunique()
    read = reading(clean, clean, "judge")
    if read.decisions and read.wrong:
        yield (
            f"The judge errs on {read.wrong} of {read.decisions} clean volumes: it is a weak judge, and "
            f"differences of that size between methods are not the methods' own."
        )
    task = reading(clean, clean, "task")
    if task.decisions and task.wrong:
        yield f"T errs on {task.wrong} of {task.decisions} clean volumes, so it can teach a generator little."
    by_suvr = reading(clean, clean, "suvr")
    if by_suvr.decisions and by_suvr.wrong:
        yield (
            f"The SUVR of the clean image contradicts the label in {by_suvr.wrong} of {by_suvr.decisions} cases "
            f"(noise and partial volume near the cut): flips are counted against the clean image, not the label."
        )
    if task.decisions and "task_gan" in comparison.methods:
        yield "T taught Task-GAN, so T's own figures are no evidence for it; the judge's and the SUVR's are."
    if subjects < 20:
        yield (
            f"With {subjects} test subjects, no error at all is still compatible with an error rate of "
            f"{100 * (1 - 0.025 ** (1 / subjects)):.0f} %."
        )
    if comparison.frame["seed"].dropna().nunique() < 3:
        yield "Fewer than three training seeds: another seed may move these figures by more than the intervals say."


def _and(parts: Iterable[str]) -> str:
    listed = list(parts)
    return (
        listed[0]
        if len(listed) == 1
        else ", ".join(listed[:-1]) + " and " + listed[-1]
        if listed
        else "nothing"
    )
