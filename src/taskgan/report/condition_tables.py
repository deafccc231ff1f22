"""Tables by condition (an MR contrast): image quality, readers, observers, differences to the baseline."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from taskgan.evaluate import cases as summary
from taskgan.page.cells import (
    Cell,
    Column,
    Table,
    display_name,
    estimate_cell,
    interval_text,
    join_methods,
    join_phrases,
    name_cell,
    rate_cell,
    text_cell,
    text_columns,
    text_table,
    versus_cell,
)
from taskgan.report import paper
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
from taskgan.stats import Interval, exact_rate, mean_interval, subject_means

TABLES = ("conditions-tissue", "conditions-lesions", "conditions-artefacts")
_ERROR = "Minus that of the clean image; marked where the interval excludes zero."


_TISSUE = (("grey_white", "Grey/white", 2, 1.0, ""), ("csf_white", "CSF/white", 2, 1.0, ""))
_ARTEFACTS = (
    ("rim", "Rim at CSF", 2, 1.0, "Voxels between brain and CSF over white matter."),
    ("checkerboard", "Grid, ‰", 2, 1000.0, "Share of the brain’s spectral energy in peaks of a pixel grid."),
)


def condition_column(comparison: Comparison) -> Column:
    """The column that says which condition a row is of."""
    return Column(comparison.condition, comparison.condition.capitalize())


def unique_meanings(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Each explanation once: the page lists them below the table."""
    meanings: set[str] = set()
    unique = []
    for column in columns:
        unique.append(Column(column.key, column.heading, "" if column.meaning in meanings else column.meaning))
        meanings.add(column.meaning)
    return tuple(unique)


def _measured(comparison: Comparison) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Condition, images and their rows."""
    for name, part in comparison.conditions.items():
        for method in ("clean", *comparison.references, *comparison.methods):
            rows = part.rows(method)
            if len(rows):
                yield name, method, rows


def _error(rows: pd.DataFrame, column: str, digits: int, method: str, scale: float = 1.0) -> Cell:
    if method == "clean":
        return text_cell("–", tone="muted")
    interval = summary.mean_of(rows, column, scale)
    harm = interval.low > 0 if column == "checkerboard_error" else interval.excludes(0.0)  # less of a grid is no harm
    return estimate_cell(interval, digits, sign=True, tone="worse" if harm else "")


def _levels_and_errors(
    comparison: Comparison, name: str, measures: Sequence[tuple[str, str, int, float, str]]
) -> Table:
    """A row a condition and kind of image; of each measure its level and its error.

    A measure is column, heading, digits, factor and meaning; those without a value are left out.
    """
    known = [one for one in measures if comparison.frame[one[0]].notna().any()]
    rows = tuple(
        (
            text_cell(condition),
            name_cell(method, tone="strong"),
            *(
                cell
                for key, _, digits, scale, _ in known
                for cell in (
                    estimate_cell(summary.mean_of(mine, key, scale), digits),
                    _error(mine, f"{key}_error", digits + (scale == 1), method, scale),
                )
            ),
        )
        for condition, method, mine in (_measured(comparison) if known else ())
    )
    columns = [condition_column(comparison), Column("method", "Images")]
    for key, heading, _, _, meaning in known:
        columns += [Column(key, heading, meaning), Column(f"{key}_error", "Error", _ERROR)]
    return text_table(name, unique_meanings(columns), rows)


def _lesions(comparison: Comparison) -> Table:
    rows: list[tuple[Cell, ...]] = []
    if comparison.frame["lesions_true"].notna().any():
        for name, method, mine in _measured(comparison):
            searched = mine[mine["lesions_found"].notna()]
            true, detected = (int(searched[c].sum()) for c in ("lesions_true", "lesions_found"))
            sick = searched[searched["lesions_true"] > 0]
            share = mean_interval(sick["lesions_found"] / sick["lesions_true"], list(sick["subject"]))
            hit = Cell(f"{detected}/{true}", _percent(share), share) if true else Cell("–", "", share)
            rows.append(
                (
                    text_cell(name),
                    name_cell(method, tone="strong"),
                    estimate_cell(summary.mean_of(mine, "lesion_white"), 2),
                    _error(mine, "lesion_white_error", 3, method),
                    estimate_cell(summary.mean_of(mine, "lesion_auc"), 3),
                    estimate_cell(summary.mean_of(mine, "lesion_snr"), 2),
                    hit,
                    estimate_cell(summary.mean_of(mine, "lesions_false"), 2),
                )
            )
    rates = {e.record.get("settings", {}).get("false_lesions") for e in comparison.evaluations}
    stated = ", ".join(f"{r:g}" for r in sorted(r for r in rates if r is not None)) or "a stated number of"
    return text_table(
        TABLES[1], [condition_column(comparison), *text_columns("conditions-lesions")], rows, stated=stated
    )


def _percent(interval: Interval) -> str:
    if math.isnan(interval.low):
        return ""
    return f"[{100 * interval.low:.0f} %, {100 * interval.high:.0f} %]"


NAMES = ("conditions-quality", "conditions-read", *TABLES, "conditions-paired")


def condition_tables(comparison: Comparison) -> list[Table]:
    """Every table by condition, in the order of the page; none where there is one kind of image."""
    if not comparison.conditions:
        return []
    tables = [
        _quality(comparison),
        _read(comparison),
        _levels_and_errors(comparison, TABLES[0], _TISSUE),
        _lesions(comparison),
        _levels_and_errors(comparison, TABLES[2], _ARTEFACTS),
        _paired(comparison),
    ]
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
    return text_table(
        NAMES[0],
        unique_meanings(columns),
        rows,
        condition=comparison.condition,
        against=against,
        where="inside the head mask" if head else "over the whole frame",
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
    columns = [*text_columns(NAMES[1]), *(Column(name, name) for name in comparison.conditions)]
    return text_table(NAMES[1], columns, rows, question=question, condition=comparison.condition)


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
    headings = [Column(m.key, with_reader_error(m, comparison.reader_error[0]).heading) for m in metrics]
    columns = [condition_column(comparison), *text_columns(NAMES[-1]), *headings]
    return text_table(NAMES[-1], columns, rows if metrics else (), condition=comparison.condition)


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
