"""Tables by condition (an MR contrast): image quality, what the readers take it for, differences to the baseline."""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from taskgan.evaluate import cases as summary
from taskgan.page.cells import Cell, Column, Table, estimate_cell, interval_text, join_phrases, rate_cell, text_cell
from taskgan.page.names import display_name, join_methods, name_cell, versus_cell
from taskgan.report import paper
from taskgan.report.condition_observed import TABLES as OBSERVED_TABLES
from taskgan.report.condition_observed import condition_column, observer_tables, unique_meanings
from taskgan.report.load import Comparison
from taskgan.report.metrics import (
    JUDGE,
    LESION,
    LESION_SNR,
    LESIONS_FALSE,
    OBSERVED,
    PSNR,
    PSNR_HEAD,
    READINGS,
    RELATIVE,
    RELATIVE_HEAD,
    SSIM,
    SSIM_HEAD,
    Metric,
    with_reader_error,
)
from taskgan.report.paired import MetricComparison, compare_methods, metric_cell
from taskgan.report.study import reader_title
from taskgan.stats import exact_rate, subject_means

NAMES = ("conditions-quality", "conditions-read", *OBSERVED_TABLES, "conditions-paired")


def condition_tables(comparison: Comparison) -> list[Table]:
    """Every table by condition, in the order of the page; none where there is one kind of image."""
    if not comparison.conditions:
        return []
    tables = [_quality(comparison), _read(comparison), *observer_tables(comparison), _paired(comparison)]
    return [table for table in tables if table.rows]


def _quality(comparison: Comparison) -> Table:
    """Levels and differences to the baseline, over the head where it is known."""
    head = comparison.frame["psnr_head"].notna().any()
    metrics = (PSNR_HEAD, SSIM_HEAD, RELATIVE_HEAD) if head else (PSNR, SSIM, RELATIVE)
    rmse = "rmse_head" if head else "rmse"
    rows = []
    for name, part in comparison.conditions.items():
        families = {metric.key: compare_methods(part, metric, comparison.baseline, seeds=False) for metric in metrics}
        for method in comparison.methods:
            mine = part.rows(method)
            if mine.empty:
                continue
            levels = summary.quality_intervals(mine)
            cells = [text_cell(name), name_cell(method, tone="strong")]
            for metric in metrics:
                compared = families[metric.key].get(method)
                cells.append(estimate_cell(levels[metric.key], metric.digits))
                cells.append(_gap(name, compared) if compared else text_cell("–", tone="muted"))
            value = levels[rmse]
            digits = 0 if value.estimate >= 1000 else 1 if value.estimate >= 10 else 3
            rows.append((*cells, estimate_cell(value, digits)))
    against = display_name(comparison.baseline)
    columns = [condition_column(comparison), Column("method", "Images")]
    for metric in metrics:
        columns.append(Column(metric.key, metric.heading.replace(", head", "")))
        columns.append(Column(f"{metric.key}_difference", "Δ", f"Minus {against}, on the same subjects."))
    columns.append(Column(rmse, "RMSE", "In the images' own units."))
    where = "inside the head mask" if head else "over the whole frame"
    return Table(
        NAMES[0],
        f"Image quality by {comparison.condition}",
        f"Mean over test subjects {where}, interval by subject in small print; Δ is the paired difference to "
        f"{against}, marked where its interval excludes zero and its p, corrected over the methods within the "
        f"{comparison.condition}, is below .05. In italics, where there is one, the difference that the paper "
        "reports.",
        unique_meanings(columns),
        tuple(rows),
        grouped=True,
    )


def _gap(condition: str, compared: MetricComparison) -> Cell:
    """A paired difference, with the paper's beside it where it reports one (of the whole frame)."""
    key = compared.metric.key.removesuffix("_head")
    return metric_cell(compared, paper.condition_difference(condition, key, compared.method, compared.baseline))


def class_names(comparison: Comparison) -> dict[float, str]:
    """Which condition a class is, where every condition is a class of its own; empty otherwise."""
    pairs = comparison.frame[["condition", "label"]].dropna().drop_duplicates()
    if pairs["condition"].duplicated().any() or pairs["label"].duplicated().any():
        return {}
    return {float(label): str(name) for name, label in pairs.itertuples(index=False) if name}


def _read(comparison: Comparison) -> Table:
    """Right decisions of T and of the judge in each condition, and what wrong ones took it for."""
    names = class_names(comparison)
    rows = []
    for reader in ("task", "judge"):
        for method in ("clean", *comparison.references, *comparison.methods):
            mine = comparison.rows(method)
            if mine[f"{reader}_decision"].isna().all():
                continue
            cells = [_right(part.rows(method), reader, names) for part in comparison.conditions.values()]
            everywhere = _right(mine, reader, {})
            rows.append((text_cell(reader_title(reader)), name_cell(method, tone="strong"), everywhere, *cells))
    question = f"Is the {comparison.condition} recognised?" if names else "Read rightly"
    return Table(
        NAMES[1],
        f"{question} By {comparison.condition}",
        "Right decisions of all, exact interval with n = number of subjects, and what the wrong ones said. The rows "
        "on clean images say how good the reader itself is. T also teaches the methods that have it in their "
        "objective, so it is no judge of them.",
        (
            Column("reader", "Reader"),
            Column("method", "Images"),
            Column("all", "All"),
            *(Column(name, name) for name in comparison.conditions),
        ),
        tuple(rows),
        grouped=True,
    )


def _right(rows: pd.DataFrame, reader: str, names: dict[float, str]) -> Cell:
    decided = rows[rows[f"{reader}_decision"].notna() & rows["label"].notna()]
    right = decided[f"{reader}_decision"] == decided["label"]
    shares, _ = subject_means(right.to_numpy(dtype=float), list(decided["subject"]))
    cell = rate_cell(exact_rate(float(shares.sum()), len(shares)), int(right.sum()), len(decided))
    wrong = Counter(float(k) for k in decided.loc[~right, f"{reader}_decision"])
    taken = ", ".join(f"{count} as {names.get(k, str(k))}" for k, count in wrong.most_common())
    tone = "worse" if taken and names else ""
    return Cell(cell.text, cell.small, cell.value, tone, taken if names else "")


def _paired(comparison: Comparison) -> Table:
    """Every other measure against the baseline, within each condition."""
    metrics: tuple[Metric, ...] = tuple(m for m in (*OBSERVED, *READINGS) if comparison.frame[m.column].notna().any())
    rows = []
    for name, part in comparison.conditions.items():
        families = [compare_methods(part, metric, comparison.baseline, seeds=False) for metric in metrics]
        for method in comparison.compared_methods:
            cells = [metric_cell(comparisons[method]) for comparisons in families]
            rows.append((text_cell(name), versus_cell(method, comparison.baseline), *cells))
    return Table(
        NAMES[-1],
        f"Paired differences by {comparison.condition}",
        "First minus second on the same subjects; |…| are absolute errors against the clean image. ▲ better, ▼ "
        "worse: the 95 % interval excludes zero and the p, corrected over the methods, is below .05. Each measure "
        f"and {comparison.condition} is tested by itself.",
        (
            condition_column(comparison),
            Column("difference", "Difference"),
            *(Column(m.key, with_reader_error(m, comparison.reader_error[0]).heading) for m in metrics),
        ),
        tuple(rows) if metrics else (),
        grouped=True,
    )


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
    yield from _errors_above_zero(comparison, "rim_error", "A rim at CSF that is brighter than the true one", 3, 1.0)
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
            error = summary.mean_of(part.rows(method), column, scale)
            if error.low > 0:
                names.append(f"{name} ({interval_text(error, digits, sign=True, unit=unit)})")
        if names:
            parts.append(f"{display_name(method)} in {join_phrases(names)}")
    yield f"{phrase}: {join_methods(parts) if parts else 'shown of no method'}."
