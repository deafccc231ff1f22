"""What the verdict says condition by condition (an MR contrast): a sentence a measure, not a number a cell."""

from collections.abc import Iterable

from taskgan.evaluate.statistics import mean_interval
from taskgan.evaluate.summary import finite
from taskgan.report.cells import joined, told
from taskgan.report.load import Comparison
from taskgan.report.metrics import JUDGE, LESION, LESION_SNR, LESIONS_FALSE, PSNR, PSNR_HEAD, Metric
from taskgan.report.names import listed, shown
from taskgan.report.paired import family

_SPOKEN = (LESION, LESION_SNR, LESIONS_FALSE, JUDGE)


def by_condition(comparison: Comparison) -> Iterable[str]:
    """Sentences on every condition; none where there is one kind of image."""
    if not comparison.conditions:
        return
    each = comparison.condition
    yield f"All figures above are means over the {each}s of a subject; what follows is for each {each}."
    head = comparison.frame["psnr_head"].notna().any()
    for metric in (PSNR_HEAD if head else PSNR, *_SPOKEN):
        if comparison.frame[metric.column].notna().any():
            yield from _differences(comparison, metric)
    yield from _standing_out(
        comparison, "rim_error", "A rim at CSF that is brighter than the true one", 3, 1.0
    )
    yield from _standing_out(comparison, "checkerboard_error", "A pixel grid", 2, 1000.0, " ‰")


def _differences(comparison: Comparison, metric: Metric) -> Iterable[str]:
    """Of the focus method: the tables have the others."""
    families = {
        name: family(part, metric, comparison.baseline, seeds=False)
        for name, part in comparison.conditions.items()
    }
    for method in (comparison.focus,) if comparison.focus in comparison.others else ():
        sorted_out: dict[str, list[str]] = {"better": [], "worse": []}
        for name, found in families.items():
            one = found[method]
            if one.verdict != "none":
                size = told(one.interval, metric.digits, sign=True, unit=metric.unit)
                sorted_out[one.verdict].append(f"{name} ({size})")
        parts = [f"{word} in {joined(names)}" for word, names in sorted_out.items() if names]
        said = "; ".join(parts) or f"no difference is shown in any {comparison.condition}"
        words = metric.words[0].upper() + metric.words[1:]
        yield f"{words}, {shown(method)} against {shown(comparison.baseline)}: {said}."


def _standing_out(
    comparison: Comparison, column: str, words: str, digits: int, scale: float, unit: str = ""
) -> Iterable[str]:
    """Where a method's error is shown to be above zero."""
    if comparison.frame[column].isna().all():
        return
    found = []
    for method in comparison.methods:
        names = []
        for name, part in comparison.conditions.items():
            rows = part.rows(method)
            error = mean_interval(finite(rows[column]) * scale, list(rows["subject"]))
            if error.low > 0:
                names.append(f"{name} ({told(error, digits, sign=True, unit=unit)})")
        if names:
            found.append(f"{shown(method)} in {joined(names)}")
    yield f"{words}: {listed(found) if found else 'shown of no method'}."
