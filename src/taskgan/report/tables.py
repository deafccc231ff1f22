"""The report's tables: the paper's Table 2 and 3 with intervals, paired differences, SUVR."""

import math
from collections.abc import Sequence
from dataclasses import replace

from taskgan.evaluate import cases as summary
from taskgan.page.cells import (
    Cell,
    Column,
    Table,
    estimate_cell,
    number_cell,
    rate_cell,
    text_cell,
    without_empty_columns,
)
from taskgan.page.names import csv_name, name_cell, versus_cell
from taskgan.report import paper
from taskgan.report.comparisons import comparisons_table, p_text
from taskgan.report.condition_tables import condition_tables
from taskgan.report.flips import flips_cell, outputs_tables
from taskgan.report.load import Comparison
from taskgan.report.metrics import ALPHA, AUCS, BACK, PSNR_COLOUR, QUALITY, READINGS, Metric, with_reader_error
from taskgan.report.paired import (
    MetricComparison,
    compare_methods,
    deciding_readers,
    discordance,
    mean_auc,
    metric_cell,
)
from taskgan.report.study import VerificationStudy, reader_title
from taskgan.report.study_tables import study_tables
from taskgan.report.suvr_table import suvr_table
from taskgan.stats import Interval, exact_rate

IMAGES = Column("method", "Images", "What was measured: the degraded input or a method's restorations.")


def all_tables(comparison: Comparison, study: VerificationStudy | None = None) -> list[Table]:
    """Every table of the report, in its order (that of flips is in ``report.flips``).

    Args:
        comparison: What is compared.
        study: Its verification, where there is one.
    """
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
        comparisons_table(comparison, _verified(comparison, study)),
    ]


def _verified(comparison: Comparison, study: VerificationStudy | None) -> list[MetricComparison]:
    """What judges of faces say of every method against the baseline."""
    if study is None:
        return []
    methods = comparison.compared_methods
    return [
        change.auc
        for reader in study.valid_judges
        for method in methods
        if (change := study.difference(reader, method, comparison.baseline)) is not None
    ]


def quality_table(comparison: Comparison, suffix: str) -> Table:
    """Table 2 over the frame (suffix empty) or the head (``_head``)."""
    where = "inside the head mask" if suffix else "over the whole frame"
    columns = _quality_columns(comparison.photos)
    rows: list[tuple[Cell, ...]] = []
    for method in (*comparison.references, *comparison.methods):
        mine = comparison.rows(method)
        figures = summary.quality_intervals(mine)
        if math.isnan(figures[f"rmse{suffix}"].estimate):
            continue
        seeds = mine["seed"].nunique()
        rows.append(
            (
                name_cell(method, tone="strong"),
                Cell(str(mine["subject"].nunique()), "", int(mine["subject"].nunique())),
                Cell(str(seeds) if seeds else "–", "", int(seeds)),
                estimate_cell(figures[f"psnr{suffix}"], 2),
                estimate_cell(figures[f"ssim{suffix}"], 3),
                estimate_cell(figures[f"rmse{suffix}"], _digits(figures[f"rmse{suffix}"].estimate)),
                estimate_cell(figures[f"rmse_relative{suffix}"], 3),
                _paper_level(method, comparison.experiment) if not suffix else text_cell("–", tone="muted"),
            )
        )
    # The paper's figures are of one kind of image.
    if suffix or comparison.conditions or comparison.experiment == paper.NONE:
        columns = columns[:-1]
        rows = [row[:-1] for row in rows]
    for metric, meaning in _OF_PHOTOS if not suffix else ():
        if comparison.frame[metric.column].notna().any():
            columns, rows = _with_column(comparison, columns, rows, metric, meaning)
    if not suffix and comparison.frame[BACK.column].notna().any():
        clean = [name_cell("clean", tone="muted"), *[Cell("–", tone="muted")] * (len(columns) - 1)]
        clean[[column.key for column in columns].index(BACK.key)] = replace(
            _mean(comparison, "clean", BACK), tone="muted"
        )
        rows.append(tuple(clean))
    if suffix:
        columns = tuple(Column(c.key, c.heading) for c in columns)
    return Table(
        f"table2-quality{suffix.replace('_', '-') or '-frame'}",
        f"Table 2. Image quality {where}",
        f"Mean over test subjects {where}, with its 95 % bootstrap interval by subject in small print.",
        columns,
        tuple(rows),
        "The cohort has no head mask (column mask of pairs.csv).",
    )


def _quality_columns(photos: bool) -> tuple[Column, ...]:
    psnr = "range of the values" if photos else "maximum of the clean volume"
    by_slice = "" if photos else " by slice"
    own = "as a share of the range" if photos else "in the images' own units"
    data = "LFW-a" if photos else "its own in-vivo data"
    return (
        IMAGES,
        Column("subjects", "Subjects", "Test subjects; each counts once, whatever its number of cases and seeds."),
        Column("seeds", "Seeds", "Training runs that differ in their random numbers only."),
        Column("psnr", "PSNR (dB)", f"20 log₁₀({psnr} / RMSE). Higher is better."),
        Column("ssim", "SSIM", f"Structural similarity{by_slice}, Gaussian window σ 1.5. Higher is better."),
        Column("rmse", "RMSE", f"Root mean squared error {own}. Lower is better."),
        Column("rmse_relative", "Relative RMSE", "‖x̂ − x‖ / ‖x‖, the scale of the paper. Lower is better."),
        Column("paper", "Paper", f"PSNR / SSIM / relative RMSE that the paper reports for {data}."),
    )


_OF_PHOTOS = (
    (PSNR_COLOUR, "Of red, green and blue together; every other measure sees luminance. Higher is better."),
    (
        BACK,
        "RMSE between the image, degraded again, and the low-resolution image, as a share of the range. What clean "
        "images have of it is rounding (and noise): less cannot be asked for.",
    ),
)


def _with_column(
    comparison: Comparison, columns: tuple[Column, ...], rows: list[tuple[Cell, ...]], metric: Metric, meaning: str
) -> tuple[tuple[Column, ...], list[tuple[Cell, ...]]]:
    """A further measure before the paper's column."""
    place = next((i for i, column in enumerate(columns) if column.key == "paper"), len(columns))
    methods = [m for m in (*comparison.references, *comparison.methods) if comparison.rows(m)["rmse"].notna().any()]
    cells = [_mean(comparison, method, metric) for method in methods]
    wider = [(*row[:place], cell, *row[place:]) for row, cell in zip(rows, cells, strict=True)]
    return (*columns[:place], Column(metric.key, metric.heading, meaning), *columns[place:]), wider


def _mean(comparison: Comparison, method: str, metric: Metric) -> Cell:
    return estimate_cell(summary.mean_of(comparison.rows(method), metric.column), metric.digits)


def _digits(value: float) -> int:
    return 3 if math.isnan(value) or value < 10 else 0 if value >= 1000 else 1


def _paper_level(method: str, experiment: str) -> Cell:
    levels = paper.quality(method, experiment)
    if levels is None:
        return text_cell("–", tone="muted")
    text = f"{levels['psnr']:.2f} / {levels['ssim']:.3f} / {levels[paper.RMSE_IS]:.3f}"
    return text_cell(text, tone="muted")


def _difference(compared: MetricComparison, experiment: str = paper.NONE) -> Cell:
    """Paired difference of a method to a baseline, that of an experiment of the paper beside it."""
    beside = paper.difference(compared.metric.key, compared.method, compared.baseline, experiment)
    return metric_cell(compared, beside)


def _beside(comparison: Comparison) -> str:
    """The paper's experiment that differences are set beside: of means over several kinds of image none."""
    return paper.NONE if comparison.conditions else comparison.experiment


def _compared(
    comparison: Comparison, metrics: Sequence[Metric]
) -> list[tuple[tuple[str, str], tuple[MetricComparison, ...]]]:
    """Every pair of :func:`_pairs` with its difference in each of the metrics."""
    pairs = _pairs(comparison)
    families = {
        (metric, baseline): compare_methods(comparison, metric, baseline, seeds=False)
        for metric in metrics
        for baseline in dict.fromkeys(b for _, b in pairs)
    }
    return [((m, b), tuple(families[metric, b][m] for metric in metrics)) for m, b in pairs]


def _pairs(comparison: Comparison) -> list[tuple[str, str]]:
    against_input = [(m, name) for name in comparison.references for m in comparison.methods]
    if comparison.baseline == "input":
        return against_input
    return [*((m, comparison.baseline) for m in comparison.compared_methods), *against_input]


def known_metrics(comparison: Comparison, metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    """Those of the metrics that the comparison has values of."""
    return tuple(m for m in metrics if comparison.frame[m.column].notna().any())


_VERSUS = Column("difference", "Difference")


def _read_difference(comparison: Comparison) -> str:
    correction = {
        "holm": " and its p, corrected over the methods (Holm), is below .05",
        "benjamini-hochberg": " and its p, corrected over the methods (Benjamini–Hochberg), is below .05",
        "none": " and its p, not corrected for the number of methods, is below .05",
    }[comparison.inference.correction]
    return (
        "First minus second, on the same subjects. ▲ better, ▼ worse: the 95 % interval excludes zero"
        f"{correction}. Grey figures are not shown to differ from zero (which is no proof that they do not). In "
        "italics, where there is one, the difference that the paper reports."
    )


def paired_quality_table(comparison: Comparison) -> Table:
    """Paired differences in image quality, to the baseline and to the input."""
    metrics = known_metrics(comparison, QUALITY)
    rows = [
        (versus_cell(*pair), *(_difference(one, _beside(comparison)) for one in compared))
        for pair, compared in _compared(comparison, metrics)
    ]
    return Table(
        "table2-paired",
        "Paired differences in image quality",
        _read_difference(comparison),
        (_VERSUS, *(Column(m.key, m.heading, "") for m in metrics)),
        tuple(rows),
    )


def readers_table(comparison: Comparison) -> Table:
    """Table 3: every reader on clean images, the input and each method; always-negative for comparison."""
    clean = comparison.rows("clean")
    error, description = comparison.reader_error
    binary = comparison.kind == "binary"
    columns: tuple[Column, ...] = (
        Column("reader", "Reader", "Who decides positive or negative." if binary else "Who reads."),
        Column("method", "Images", "What is read."),
        Column("mae", f"{error[0].upper()}{error[1:]}", f"{description}, interval by subject."),
        Column("error", "Volume error", "Wrong decisions of all; Clopper–Pearson interval, n = number of subjects."),
        Column("sensitivity", "Sensitivity", "Share of positive subjects read as positive, exact interval."),
        Column("specificity", "Specificity", "Share of negative subjects read as negative, exact interval."),
        Column("balanced_accuracy", "Balanced accuracy", "Mean of the two; ½ is what guessing gives."),
        Column("auc", "AUC", "Chance that a positive scores above a negative; mean over seeds, DeLong’s interval."),
        Column("flips", "Flips", "Subjects with a decision that differs from the same reader's on the clean image."),
        Column("paper", "Paper", "Slice MAE of the paper's T; it made no volume error."),
    )
    rows: list[tuple[Cell, ...]] = []
    for reader in ("task", "judge", "suvr"):
        for method in ("clean", *comparison.references, *comparison.methods):
            reading = summary.reader_summary(comparison.rows(method), clean, reader)
            if not reading.decisions and math.isnan(reading.mae.estimate):
                continue
            of_pet = binary and comparison.experiment == paper.PET
            paper_mae = paper.TASK_MAE.get(method) if reader == "task" and of_pet else None
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
                    text_cell("–" if paper_mae is None else f"{paper_mae:.3f}", tone="muted"),
                )
            )
    if rows and binary:
        rows.append(_always_negative(comparison))
    if not binary:
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    erred = (
        f" The paper’s two radiologists erred in {paper.READERS_WRONG['gan']} readings of GAN’s and "
        f"{paper.READERS_WRONG['task_gan']} of Task-GAN’s images."
    )
    if comparison.photos:
        columns, rows = without_empty_columns(columns, rows)
        if comparison.kind == "embedding":  # what they are is nothing that they can be right or wrong about
            rows = [row for row in rows if row[1].value != csv_name("clean")]
    return Table(
        "table3-readers",
        "Table 3. Is the diagnosis kept?" if binary else "Table 3. Is the property kept?",
        _read_by(comparison) + (erred if binary and not comparison.photos else ""),
        columns,
        tuple(rows),
        "The cohort has no labels that a reader could be tested against.",
        grouped=True,
    )


def _read_by(comparison: Comparison) -> str:
    if comparison.photos and comparison.kind == "embedding":
        return (
            "How far each reader's descriptor of an image is from its descriptor of the clean one. T also teaches "
            "Task-GAN, so it is no judge of it. Whether the person is recognised is for the verification to say."
        )
    both = "T also teaches Task-GAN, so it is no judge of it; the judge is another network that no generator saw"
    clean = (
        "The rows on clean images say how good the reader itself is: no restoration should be blamed for what its "
        "reader gets wrong on the truth."
    )
    if comparison.photos:
        return f"Two readers read every photo. {both}. {clean}"
    return f"Three readers read every volume. {both}; the SUVR is not learned. {clean}"


def _share(interval: Interval) -> Cell:
    if math.isnan(interval.estimate):
        return Cell("–", "", interval)
    return Cell(f"{100 * interval.estimate:.0f} %", f"[{100 * interval.low:.0f}, {100 * interval.high:.0f}]", interval)


def _always_negative(comparison: Comparison) -> tuple[Cell, ...]:
    known = comparison.rows("clean").dropna(subset=["label"]).drop_duplicates("subject")
    positive = int((known["label"] > 0.5).sum())
    return (
        text_cell("No reader", tone="muted"),
        text_cell("always “negative”", tone="muted"),
        Cell("–"),
        Cell(f"{positive}/{len(known)}", "", exact_rate(positive, len(known)), "muted"),
        Cell("0 %", "", 0.0, "muted"),
        Cell("100 %", "", 1.0, "muted"),
        Cell("0.50", "", 0.5, "muted"),
        Cell("0.50", "", 0.5, "muted"),
        Cell("–"),
        Cell("–", tone="muted"),
    )


def paired_readings_table(comparison: Comparison) -> Table:
    """Paired differences in what readers make of the images, with McNemar's test of their errors."""
    metrics = known_metrics(comparison, READINGS)
    readers = deciding_readers(comparison)
    columns = [
        _VERSUS,
        *(Column(m.key, with_reader_error(m, comparison.reader_error[0]).heading, "") for m in metrics),
        *(
            Column(f"mcnemar_{r}", f"Errors: {short}")
            for r, short in (("task", "T"), ("judge", "judge"), ("suvr", "SUVR"))
            if r in readers
        ),
    ]
    rows = []
    for (method, baseline), compared in _compared(comparison, metrics) if metrics else ():
        cells = [_difference(one, _beside(comparison)) for one in compared]
        for reader in readers:
            discordant = discordance(comparison, reader, method, baseline)
            text = f"{discordant.only_method} : {discordant.only_baseline}"
            cells.append(Cell(text, p_text(discordant.p), discordant.p, "none" if discordant.p >= ALPHA else ""))
        rows.append((versus_cell(method, baseline), *cells))
    counted = (
        " Errors: subjects read wrongly with the first only : with the second only, and the exact McNemar p (not "
        "corrected here) of the two being equally many."
    )
    return Table(
        "table3-paired",
        "Paired differences in reading",
        _read_difference(comparison) + (counted if readers or not comparison.photos else ""),
        tuple(columns),
        tuple(rows),
    )
