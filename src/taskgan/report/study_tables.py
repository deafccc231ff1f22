"""Tables of the verification: every reader on every kind of image, by both protocols, and the paired differences."""

import math
from dataclasses import replace
from pathlib import Path

from taskgan.core.artefact import differing
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.page.cells import MISSING, Cell, Column, Table, difference_cell, estimate_cell, number, range_text
from taskgan.page.names import display_name, name_cell, versus_cell
from taskgan.report import paper
from taskgan.report.comparisons import p_text
from taskgan.report.load import Comparison
from taskgan.report.paired import UNKNOWN
from taskgan.report.study import TASK, MethodVerification, ReaderDifference, VerificationStudy, reader_title
from taskgan.report.verified import BOTH, PROBE, THRESHOLDS
from taskgan.stats import Interval

TABLES = ("verification", "verification-probe", "verification-paired")
_READERS = (
    "T also teaches Task-GAN, so it is no judge of it. The rows on clean images say how well the reader tells people "
    "apart itself: no restoration should be blamed for what its reader cannot see on the truth. "
)


def people_table(study: Path) -> Table:
    """Errors and AUC of the readers of a ``taskgan readers`` study; a UserError where it has no whole analysis."""
    marker, rows = study / "analysis" / "analysis.yaml", []
    try:
        record = read_yaml(marker)
        for method, found in record["by_method"].items():
            error, area = (Interval(*(math.nan if v is None else v for v in found[key])) for key in ("error", "auc"))
            rate = Cell("{}/{}".format(*found["wrong"]), range_text(error, 2), error)
            rows.append((name_cell(method, tone="strong"), rate, estimate_cell(area, 3)))
        note = (
            f"{record['readers']}, study {record['title']}. Wrong decisions of all with the exact interval, mean AUC."
        )
        whole = not differing(marker, record)
    except (KeyError, TypeError, AttributeError, ValueError):
        whole = False
    if not whole:
        raise UserError(f"{marker} is not what taskgan readers analyse writes, or its files were changed since")
    columns = (Column("method", "Images"), Column("error", "Error rate"), Column("auc", "AUC"))
    return Table("readers", "Readers of the study", note, columns, tuple(rows))


def study_tables(comparison: Comparison, study: VerificationStudy | None) -> list[Table]:
    """The three of ``TABLES``; none where nothing was verified."""
    if study is None:
        return []
    tables = [_levels(comparison, study, BOTH), _levels(comparison, study, PROBE), _differences(comparison, study)]
    return [table for table in tables if table.rows]


def reader_cell(study: VerificationStudy, reader: str) -> Cell:
    """A reader, and why its figures are no evidence."""
    if reader == TASK:
        return Cell(reader_title(reader), "no judge: it taught the generator", reader, "muted")
    if not study.identifies(reader):
        area = number(study.clean_auc(reader).estimate, 2)
        return Cell(reader_title(reader), f"no judge: AUC {area} on clean images", reader, "muted")
    return Cell(reader_title(reader), "", reader)


def _levels(comparison: Comparison, study: VerificationStudy, protocol: str) -> Table:
    """Every reader and kind of image by one protocol."""
    verified = study.data
    rows = [
        _row(comparison, study, reader, method, protocol)
        for reader in verified.readers
        for method in verified.methods
        if (reader, method, protocol) in study.levels
    ]
    against = display_name(comparison.baseline)
    how = {
        BOTH: "Both images of a pair are of the kind that the row names.",
        PROBE: "The first image of a pair is of the kind that the row names, the second is clean: a degraded "
        "photo is looked for in a gallery of good ones.",
    }
    return Table(
        TABLES[0] if protocol == BOTH else TABLES[1],
        "Verification: is it the same person?" if protocol == BOTH else "Verification against a clean gallery",
        f"{_pair_counts(study)} {how[protocol]} {_READERS}"
        "Intervals know which pairs share a person; figures are means over the training seeds.",
        _level_columns(against, first=protocol == BOTH),
        tuple(rows),
        grouped=True,
    )


def _pair_counts(study: VerificationStudy) -> str:
    pairs = study.data.pairs
    same = int(pairs.same.sum())
    return f"{same} pairs of one person and {len(pairs) - same} of two, {pairs.count} people, test set."


def _level_columns(against: str, *, first: bool) -> tuple[Column, ...]:
    columns = (
        Column("reader", "Reader", "Who compares two images by the distance of their descriptors."),
        Column("method", "Images"),
        Column(
            "auc",
            "AUC",
            "Chance that a pair of one person is nearer than a pair of two; interval by person (in the CSV also "
            "DeLong’s, of independent pairs).",
        ),
        Column("auc_delong", "DeLong", hidden=True),
        Column(
            "difference",
            f"Δ to {against}",
            f"AUC minus that of {against} on the same pairs, interval by person; grey where zero is inside.",
        ),
        Column("excludes_zero", "Zero excluded", hidden=True),
        Column("p", "p", hidden=True),
        Column("seeds", "By seed", "Lowest and highest AUC of the training runs."),
        Column("seed_lowest", "Lowest", hidden=True),
        Column("seed_highest", "Highest", hidden=True),
        Column(
            "equal_error_rate",
            "Equal error rate",
            "Where as many pairs of two people are accepted as pairs of one are refused; bootstrap by person.",
        ),
        Column(
            "accuracy_train",
            "Accuracy, train cut",
            "Right decisions at the threshold that is best on clean training pairs (LFW: pairsDevTrain), whose "
            "people the recognisers may have learnt.",
        ),
        Column(
            "accuracy_val",
            "Accuracy, validation cut",
            "At the threshold that is best on clean pairs of validation people, whom nobody has learnt.",
        ),
        Column("threshold_train", "Threshold", hidden=True),
        Column("threshold_val", "Threshold", hidden=True),
        Column("pairs", "Pairs", hidden=True),
        Column("people", "People", hidden=True),
    )
    return columns if first else tuple(replace(column, meaning="") for column in columns)


def _row(comparison: Comparison, study: VerificationStudy, reader: str, method: str, protocol: str) -> tuple[Cell, ...]:
    level = study.levels[reader, method, protocol]
    change = study.difference(reader, method, comparison.baseline, protocol)
    cuts = study.data.thresholds[reader]
    trusted = reader in study.valid_judges
    cells = [
        reader_cell(study, reader),
        name_cell(method, tone="strong" if trusted else "muted"),
        _muted_unless(estimate_cell(level.verification.auc_by_person, 3), trusted),
        estimate_cell(level.verification.auc, 3),
        *_change_cells(change, trusted, paper_too=trusted and protocol == BOTH),
        *_seed_cells(level),
        _muted_unless(_percent(level.verification.equal_error_rate), trusted),
        *(
            _muted_unless(_percent(level.accuracy[s]), trusted) if s in level.accuracy else _nothing()
            for s in THRESHOLDS
        ),
        *(Cell("", "", cuts.get(s, float("nan"))) for s in THRESHOLDS),
        Cell("", "", level.verification.pairs),
        Cell("", "", level.verification.people),
    ]
    return tuple(cells)


def _nothing() -> Cell:
    return Cell(MISSING, "", UNKNOWN)


def _muted_unless(cell: Cell, trusted: bool) -> Cell:
    return cell if trusted else replace(cell, tone="muted")


def _percent(interval: Interval) -> Cell:
    scaled = Interval(*(100 * value for value in (interval.estimate, interval.low, interval.high)))
    return Cell(f"{number(scaled.estimate, 1)} %", range_text(scaled, 1), interval)


def _change_cells(change: ReaderDifference | None, trusted: bool, *, paper_too: bool) -> tuple[Cell, Cell, Cell]:
    """Difference, whether zero is outside of its interval, and p."""
    if change is None:
        return _nothing(), Cell(MISSING), Cell(MISSING)
    compared = change.auc
    cell = _difference(change, trusted)
    paper_text = paper.verification(compared.method, compared.baseline)
    if paper_text and paper_too:
        cell = replace(cell, aside=f"paper {paper_text}")
    outside = int(compared.interval.excludes(0.0))
    return cell, Cell("", "", outside), Cell("", "", compared.p)


def _difference(change: ReaderDifference, trusted: bool) -> Cell:
    """The AUC's difference; a reader that is no judge makes nothing better or worse."""
    compared = change.auc
    cell = difference_cell(compared.interval, 3, better=1, significant=trusted and compared.verdict != "none")
    return _muted_unless(cell, trusted)


def _seed_cells(level: MethodVerification) -> tuple[Cell, Cell, Cell]:
    if len(level.auc_by_seed) < 2:
        return Cell(MISSING), Cell(MISSING), Cell(MISSING)
    low, high = min(level.auc_by_seed), max(level.auc_by_seed)
    return (
        Cell(
            f"{number(low, 3)} to {number(high, 3)}", f"{len(level.auc_by_seed)} seeds", len(level.auc_by_seed), "muted"
        ),
        Cell("", "", low),
        Cell("", "", high),
    )


def _differences(comparison: Comparison, study: VerificationStudy) -> Table:
    """Every method against the baseline and against the input, by both protocols."""
    baselines = list(dict.fromkeys((comparison.baseline, *comparison.references)))
    rows = []
    for reader in study.data.readers:
        for baseline in baselines:
            for method in study.data.methods:
                change = study.difference(reader, method, baseline)
                if change is not None:
                    probe = study.difference(reader, method, baseline, PROBE)
                    rows.append(_difference_row(study, reader, change, probe))
    columns = (
        Column("reader", "Reader"),
        Column("difference", "Difference"),
        Column("auc", "AUC", "Both images of a pair restored; interval by person."),
        Column("auc_delong", "DeLong", hidden=True),
        Column("excludes_zero", "Zero excluded", hidden=True),
        Column("p", "p", "Normal test with the variance by person, corrected over the methods."),
        Column(
            "other_seeds",
            "With other seeds",
            "The same difference with an interval for other people and another training run (three seeds or more).",
        ),
        Column(
            "equal_error_rate",
            "Equal error rate (pp)",
            "Percentage points, bootstrap by person, marked by the interval alone. Lower is better.",
        ),
        Column("probe", "AUC, clean gallery", "Only the first image of a pair restored."),
        Column("probe_delong", "DeLong", hidden=True),
        Column("probe_excludes_zero", "Zero excluded", hidden=True),
        Column("probe_p", "p", hidden=True),
    )
    return Table(
        TABLES[2],
        "Paired differences in verification",
        "First minus second, on the same pairs. ▲ better, ▼ worse: the 95 % interval excludes zero and the corrected "
        "p is below .05. Grey figures are not shown to differ from zero, or are a reader's that is no judge.",
        columns,
        tuple(rows),
        grouped=True,
    )


def _difference_row(
    study: VerificationStudy, reader: str, change: ReaderDifference, probe: ReaderDifference | None
) -> tuple[Cell, ...]:
    compared, trusted = change.auc, reader in study.valid_judges
    crossed = compared.crossed
    ends = range_text(crossed, 3, sign=True)
    seeds = Cell(
        ends or MISSING,
        f"{compared.seeds} seeds" if ends else "",
        crossed,
        "" if trusted and crossed.excludes(0.0) else "none",
    )
    equal = change.equal_error_rate
    scaled = Interval(*(100 * value for value in (equal.estimate, equal.low, equal.high)))
    marked = difference_cell(scaled, 1, better=-1, significant=trusted)
    return (
        reader_cell(study, reader),
        replace(versus_cell(compared.method, compared.baseline), tone="strong" if trusted else "muted"),
        *_auc_cells(change, trusted),
        Cell(p_text(compared.p).removeprefix("p ").removeprefix("= ") or MISSING, "", compared.p),
        seeds,
        replace(marked, value=equal),
        *(_auc_cells(probe, trusted) if probe is not None else (_nothing(), _nothing(), Cell(MISSING))),
        Cell("", "", probe.auc.p if probe is not None else float("nan")),
    )


def _auc_cells(change: ReaderDifference, trusted: bool) -> tuple[Cell, Cell, Cell]:
    return (
        _difference(change, trusted),
        Cell("", "", change.delong.interval),
        Cell("", "", int(change.auc.interval.excludes(0.0))),
    )
