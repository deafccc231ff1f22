"""What the verdict says condition by condition (an MR contrast): a sentence a measure, not a number a cell."""

from collections.abc import Iterable

from taskgan.evaluate.statistics import mean_interval
from taskgan.evaluate.summary import finite_values
from taskgan.report.cells import interval_text, join_phrases
from taskgan.report.load import Comparison
from taskgan.report.metrics import JUDGE, LESION, LESION_SNR, LESIONS_FALSE, PSNR, PSNR_HEAD, Metric
from taskgan.report.names import display_name, join_methods
from taskgan.report.paired import compare_methods

_REPORTED = (LESION, LESION_SNR, LESIONS_FALSE, JUDGE)


def condition_findings(comparison: Comparison) -> Iterable[str]:
    """Sentences on every condition; none where there is one kind of image."""
    if not comparison.conditions:
        return
    each = comparison.condition
    yield f"All figures above are means over the {each}s of a subject; what follows is for each {each}."
    head = comparison.frame["psnr_head"].notna().any()
    for metric in (PSNR_HEAD if head else PSNR, *_REPORTED):
        if comparison.frame[metric.column].notna().any():
            yield from _differences(comparison, metric)
    yield from _errors_above_zero(
        comparison, "rim_error", "A rim at CSF that is brighter than the true one", 3, 1.0
    )
    yield from _errors_above_zero(comparison, "checkerboard_error", "A pixel grid", 2, 1000.0, " ‰")


def _differences(comparison: Comparison, metric: Metric) -> Iterable[str]:
    """Of the focus method: the tables have the others."""
    families = {
        name: compare_methods(part, metric, comparison.baseline, seeds=False)
        for name, part in comparison.conditions.items()
    }
    for method in (comparison.focus,) if comparison.focus in comparison.compared_methods else ():
        sorted_out: dict[str, list[str]] = {"better": [], "worse": []}
        for name, comparisons in families.items():
            one = comparisons[method]
            if one.verdict != "none":
                size = interval_text(one.interval, metric.digits, sign=True, unit=metric.unit)
                sorted_out[one.verdict].append(f"{name} ({size})")
        parts = [f"{word} in {join_phrases(names)}" for word, names in sorted_out.items() if names]
        summary = "; ".join(parts) or f"no difference is shown in any {comparison.condition}"
        phrase = metric.phrase[0].upper() + metric.phrase[1:]
        yield f"{phrase}, {display_name(method)} against {display_name(comparison.baseline)}: {summary}."


def _errors_above_zero(
    comparison: Comparison, column: str, phrase: str, digits: int, scale: float, unit: str = ""
) -> Iterable[str]:
    """Where a method's error is shown to be above zero."""
    if comparison.frame[column].isna().all():
        return
    parts = []
    for method in comparison.methods:
        names = []
        for name, part in comparison.conditions.items():
            rows = part.rows(method)
            error = mean_interval(finite_values(rows[column]) * scale, list(rows["subject"]))
            if error.low > 0:
                names.append(f"{name} ({interval_text(error, digits, sign=True, unit=unit)})")
        if names:
            parts.append(f"{display_name(method)} in {join_phrases(names)}")
    yield f"{phrase}: {join_methods(parts) if parts else 'shown of no method'}."
