"""Tables of what observers measure, by condition (an MR contrast): tissue contrast, lesions, rim and grid."""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from taskgan.evaluate import cases as summary
from taskgan.page.cells import Cell, Column, Table, estimate_cell, number, range_text, text_cell
from taskgan.page.names import name_cell
from taskgan.report.load import Comparison
from taskgan.stats import Interval, mean_interval

TABLES = ("conditions-tissue", "conditions-lesions", "conditions-artefacts")
_ERROR = "Minus that of the clean image; marked where the interval excludes zero."


def observer_tables(comparison: Comparison) -> list[Table]:
    """All three; without rows where the cohort has no masks for them."""
    tissue = _levels_and_errors(
        comparison,
        TABLES[0],
        "Tissue contrast",
        "Mean signal of grey matter and of CSF over that of white matter, in pure voxels of the true anatomy.",
        (("grey_white", "Grey/white", 2, 1.0, ""), ("csf_white", "CSF/white", 2, 1.0, "")),
    )
    artefacts = _levels_and_errors(
        comparison,
        TABLES[2],
        "Rim and grid artefacts",
        "A fit of one tissue a voxel makes a bright rim where CSF should be dark; up-sampling layers leave a grid of "
        "two or four pixels. A clean head has some energy at the grid’s frequencies too: what counts is the error.",
        (
            ("rim", "Rim at CSF", 2, 1.0, "Voxels between brain and CSF over white matter."),
            ("checkerboard", "Grid, ‰", 2, 1000.0, "Share of the brain’s spectral energy in peaks of a pixel grid."),
        ),
    )
    return [tissue, _lesions(comparison), artefacts]


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
    tone = "worse" if harm else ""
    return Cell(number(interval.estimate, digits, sign=True), range_text(interval, digits, sign=True), interval, tone)


def _levels_and_errors(
    comparison: Comparison, name: str, title: str, note: str, measures: Sequence[tuple[str, str, int, float, str]]
) -> Table:
    """A row a condition and kind of image; of each measure its level and its error.

    Args:
        comparison: What is compared.
        name: Of the table.
        title: Its heading.
        note: What it shows.
        measures: Column, heading, digits, factor and meaning; those without a value are left out.
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
    return Table(name, title, note, unique_meanings(columns), rows, grouped=True)


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
    return Table(
        TABLES[1],
        "Lesions",
        "A matched filter on difference-of-Gaussians channels looks for lesions: its template comes from clean "
        f"images of training subjects, its threshold gives {stated} false lesions an image on clean validation "
        "images. It never saw a restored image.",
        (
            condition_column(comparison),
            Column("method", "Images"),
            Column("lesion_white", "Lesion/white", "Mean signal of lesions over that of white matter."),
            Column("lesion_white_error", "Error", _ERROR),
            Column(
                "lesion_auc",
                "AUC",
                "Chance that the filter answers more in a lesion than in healthy white matter of the same image; "
                "mean over subjects with lesions.",
            ),
            Column(
                "lesion_snr", "SNR", "Mean answer in lesions over that in healthy white matter, in SD of the latter."
            ),
            Column("lesions_found", "Found", "Lesions found of all; interval of the mean share over subjects."),
            Column("lesions_false", "False", "Lesions reported in healthy white matter, per image."),
        ),
        tuple(rows),
        grouped=True,
    )


def _percent(interval: Interval) -> str:
    if math.isnan(interval.low):
        return ""
    return f"[{100 * interval.low:.0f} %, {100 * interval.high:.0f} %]"
