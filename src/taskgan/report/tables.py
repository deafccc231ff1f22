"""The report's tables: the paper's Table 2 and 3 with intervals, and paired differences."""

import math
from collections.abc import Sequence
from dataclasses import replace

from taskgan.evaluate import cases as summary
from taskgan.page.cells import (
    Cell,
    Column,
    Table,
    count_cell,
    csv_name,
    estimate_cell,
    name_cell,
    number_cell,
    rate_cell,
    report_texts,
    text_cell,
    text_columns,
    text_table,
    versus_cell,
    without_empty_columns,
)
from taskgan.report import paper
from taskgan.report.agreement import flips_cell, outputs_tables, suvr_table
from taskgan.report.comparisons import comparisons_table, p_text
from taskgan.report.condition_tables import condition_tables
from taskgan.report.load import Comparison
from taskgan.report.metrics import ALPHA, AUCS, BACK, PSNR_COLOUR, QUALITY, READINGS, Metric, with_reader_error
from taskgan.report.paired import compare_methods, deciding_readers, discordance, mean_auc, metric_cell
from taskgan.report.study import VerificationStudy, reader_title
from taskgan.report.study_tables import study_tables
from taskgan.stats import Interval, exact_rate

_NOTHING = text_cell("–", tone="muted")


def all_tables(comparison: Comparison, study: VerificationStudy | None = None) -> list[Table]:
    """Every table of the report, in its order (that of flips is in ``report.agreement``)."""
    judged = [] if study is None else [(study, r, m) for r in study.valid_judges for m in comparison.compared_methods]
    changes = [study.difference(reader, method, comparison.baseline) for study, reader, method in judged]
    return [
        quality_table(comparison, ""),
        quality_table(comparison, "_head"),
        paired_quality_table(comparison),
        readers_table(comparison),
        paired_readings_table(comparison),
        *outputs_tables(comparison),
        *study_tables(comparison, study),
        *condition_tables(comparison),
        suvr_table(comparison),
        comparisons_table(comparison, [change.auc for change in changes if change is not None]),
    ]


def quality_table(comparison: Comparison, suffix: str) -> Table:
    """Table 2 over the frame (suffix empty) or the head (``_head``)."""
    photos, experiment = comparison.photos, comparison.experiment
    extra = [m for m in (PSNR_COLOUR, BACK) if not suffix and comparison.frame[m.column].notna().any()]
    # The paper's figures are of one kind of image.
    beside_paper = not suffix and not comparison.conditions and experiment != paper.NONE
    columns = text_columns(
        "table2-quality",
        peak="range of the values" if photos else "maximum of the clean volume",
        by_slice="" if photos else " by slice",
        unit="as a share of the range" if photos else "in the images' own units",
        data="LFW-a" if photos else "its own in-vivo data",
    )
    left_out = {m.key for m in (PSNR_COLOUR, BACK) if m not in extra} | ({"paper"} if not beside_paper else set())
    columns = tuple(c for c in columns if c.key not in left_out)
    rows: list[tuple[Cell, ...]] = []
    for method in (*comparison.references, *comparison.methods):
        mine = comparison.rows(method)
        figures = summary.quality_intervals(mine)
        rmse = figures[f"rmse{suffix}"]
        if math.isnan(rmse.estimate):
            continue
        seeds = int(mine["seed"].nunique())
        cells = [
            name_cell(method, tone="strong"),
            count_cell(int(mine["subject"].nunique())),
            Cell(str(seeds or "–"), "", seeds),
            estimate_cell(figures[f"psnr{suffix}"], 2),
            estimate_cell(figures[f"ssim{suffix}"], 3),
            estimate_cell(rmse, 3 if rmse.estimate < 10 else 0 if rmse.estimate >= 1000 else 1),
            estimate_cell(figures[f"rmse_relative{suffix}"], 3),
            *(_mean(comparison, method, metric) for metric in extra),
        ]
        rows.append((*cells, *([_paper_level(method, experiment)] if beside_paper else [])))
    if BACK in extra:
        back = replace(_mean(comparison, "clean", BACK), tone="muted")
        dashes = (back if column.key == BACK.key else Cell("–", tone="muted") for column in columns[1:])
        rows.append((name_cell("clean", tone="muted"), *dashes))
    return text_table(
        "table2-quality",
        [replace(c, meaning="") for c in columns] if suffix else columns,
        rows,
        name=f"table2-quality{suffix.replace('_', '-') or '-frame'}",
        where="inside the head mask" if suffix else "over the whole frame",
    )


def _mean(comparison: Comparison, method: str, metric: Metric) -> Cell:
    return estimate_cell(summary.mean_of(comparison.rows(method), metric.column), metric.digits)


def _paper_level(method: str, experiment: str) -> Cell:
    levels = paper.quality(method, experiment)
    if levels is None:
        return _NOTHING
    return text_cell(f"{levels['psnr']:.2f} / {levels['ssim']:.3f} / {levels[paper.RMSE_IS]:.3f}", tone="muted")


def _compared(comparison: Comparison, metrics: Sequence[Metric]) -> list[tuple[str, str, list[Cell]]]:
    """Every method with the baseline, then with the input: names, and their difference in each of the metrics."""
    pairs = [(m, name) for name in comparison.references for m in comparison.methods]
    if comparison.baseline != "input":
        pairs = [*((m, comparison.baseline) for m in comparison.compared_methods), *pairs]
    # The paper's differences are set beside none of means over several kinds of image.
    experiment = paper.NONE if comparison.conditions else comparison.experiment
    families = {
        (metric, baseline): compare_methods(comparison, metric, baseline, seeds=False)
        for metric in metrics
        for baseline in dict.fromkeys(b for _, b in pairs)
    }

    def _cell(metric: Metric, method: str, baseline: str) -> Cell:
        beside = paper.difference(metric.key, method, baseline, experiment)
        return metric_cell(families[metric, baseline][method], beside)

    return [(method, baseline, [_cell(m, method, baseline) for m in metrics]) for method, baseline in pairs]


def known_metrics(comparison: Comparison, metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    """Those of the metrics that the comparison has values of."""
    return tuple(m for m in metrics if comparison.frame[m.column].notna().any())


_CORRECTIONS = {
    "holm": "corrected over the methods (Holm)",
    "benjamini-hochberg": "corrected over the methods (Benjamini–Hochberg)",
    "none": "not corrected for the number of methods",
}


def paired_quality_table(comparison: Comparison) -> Table:
    """Paired differences in image quality, to the baseline and to the input."""
    metrics = known_metrics(comparison, QUALITY)
    columns = [*text_columns("table2-paired"), *(Column(m.key, m.heading) for m in metrics)]
    rows = [(versus_cell(method, other), *cells) for method, other, cells in _compared(comparison, metrics)]
    return text_table(
        "table2-paired", columns, rows, correction=_CORRECTIONS[comparison.inference.correction], errors=""
    )


def readers_table(comparison: Comparison) -> Table:
    """Table 3: every reader on clean images, the input and each method; always-negative for comparison."""
    clean = comparison.rows("clean")
    error, description = comparison.reader_error
    binary, photos = comparison.kind == "binary", comparison.photos
    identity = photos and comparison.kind == "embedding"
    columns = text_columns(
        "table3-readers",
        who="Who decides positive or negative." if binary else "Who reads.",
        error=f"{error[0].upper()}{error[1:]}",
        description=description,
    )
    rows: list[tuple[Cell, ...]] = []
    for reader in ("task", "judge", "suvr"):
        for method in ("clean", *comparison.references, *comparison.methods):
            reading = summary.reader_summary(comparison.rows(method), clean, reader)
            if not reading.decisions and math.isnan(reading.mae.estimate):
                continue
            of_pet = reader == "task" and binary and comparison.experiment == paper.PET
            paper_mae = paper.TASK_MAE.get(method) if of_pet else None
            rows.append(
                (
                    text_cell(reader_title(reader)),
                    name_cell(method, tone="strong"),
                    estimate_cell(reading.mae, 3),
                    rate_cell(reading.error, reading.wrong, reading.decisions) if reading.decisions else Cell("–"),
                    _share(reading.sensitivity),
                    _share(reading.specificity),
                    number_cell(reading.balanced_accuracy.estimate, 2),
                    estimate_cell(mean_auc(comparison, AUCS[reader], method), 2) if binary else Cell("–"),
                    flips_cell(reading) if method != "clean" and reading.decisions else Cell("–", "", 0),
                    _NOTHING if paper_mae is None else text_cell(f"{paper_mae:.3f}", tone="muted"),
                )
            )
    if rows and binary:
        rows.append(_always_negative(comparison))
    if not binary:
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    if photos:
        columns, rows = without_empty_columns(columns, rows)
    if identity:  # what clean images are is nothing that they can be right or wrong about
        rows = [row for row in rows if row[1].value != csv_name("clean")]
    notes = report_texts("table3-readers")["notes"]
    erred = notes["erred"].format(**paper.READERS_WRONG) if binary and not photos else ""
    return text_table(
        "table3-readers",
        columns,
        rows,
        what="diagnosis" if binary else "property",
        read_by=notes["identity" if identity else "photos" if photos else "volumes"] + erred,
    )


def _share(interval: Interval) -> Cell:
    if math.isnan(interval.estimate):
        return Cell("–", "", interval)
    return Cell(f"{100 * interval.estimate:.0f} %", f"[{100 * interval.low:.0f}, {100 * interval.high:.0f}]", interval)


def _always_negative(comparison: Comparison) -> tuple[Cell, ...]:
    known = comparison.rows("clean").dropna(subset=["label"]).drop_duplicates("subject")
    positive = int((known["label"] > 0.5).sum())
    rates = (("0 %", 0.0), ("100 %", 1.0), ("0.50", 0.5), ("0.50", 0.5))
    return (
        text_cell("No reader", tone="muted"),
        text_cell("always “negative”", tone="muted"),
        Cell("–"),
        Cell(f"{positive}/{len(known)}", "", exact_rate(positive, len(known)), "muted"),
        *(Cell(text, "", value, "muted") for text, value in rates),
        Cell("–"),
        Cell("–", tone="muted"),
    )


def paired_readings_table(comparison: Comparison) -> Table:
    """Paired differences in what readers make of the images, with McNemar's test of their errors."""
    metrics, readers = known_metrics(comparison, READINGS), deciding_readers(comparison)
    short = {"task": "T", "judge": "judge", "suvr": "SUVR"}
    columns = [
        *text_columns("table3-paired"),
        *(Column(m.key, with_reader_error(m, comparison.reader_error[0]).heading) for m in metrics),
        *(Column(f"mcnemar_{reader}", f"Errors: {short[reader]}") for reader in readers),
    ]
    rows = []
    for method, baseline, cells in _compared(comparison, metrics) if metrics else ():
        for reader in readers:
            discordant = discordance(comparison, reader, method, baseline)
            text = f"{discordant.only_method} : {discordant.only_baseline}"
            cells.append(Cell(text, p_text(discordant.p), discordant.p, "none" if discordant.p >= ALPHA else ""))
        rows.append((versus_cell(method, baseline), *cells))
    counted = report_texts("table3-paired")["notes"]["errors"] if readers or not comparison.photos else ""
    correction = _CORRECTIONS[comparison.inference.correction]
    return text_table("table3-paired", columns, rows, correction=correction, errors=counted)
