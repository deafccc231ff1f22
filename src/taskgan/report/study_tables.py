"""Tables of the verification: every reader on every kind of image, by both protocols, and the paired differences."""

import math
from dataclasses import replace
from pathlib import Path

from taskgan.core.artefact import differing
from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.page.cells import (
    MISSING,
    Cell,
    Column,
    Table,
    difference_cell,
    display_name,
    estimate_cell,
    name_cell,
    number,
    range_text,
    text_columns,
    text_table,
    versus_cell,
)
from taskgan.report import paper
from taskgan.report.comparisons import other_seeds_cell, p_cell
from taskgan.report.load import Comparison
from taskgan.report.paired import UNKNOWN
from taskgan.report.study import TASK, MethodVerification, ReaderDifference, VerificationStudy, reader_title
from taskgan.report.verified import BOTH, PROBE, THRESHOLDS
from taskgan.stats import Interval

_NOTHING = Cell(MISSING, "", UNKNOWN)
TABLES = ("verification", "verification-probe", "verification-paired")


def people_table(study: Path) -> Table:
    """Errors and AUC of the readers of a ``taskgan readers`` study; a UserError where it has no whole analysis."""
    marker, rows = study / "analysis" / "analysis.yaml", []
    try:
        record = read_yaml(marker)
        for method, figures in record["by_method"].items():
            error, area = (Interval(*(math.nan if v is None else v for v in figures[key])) for key in ("error", "auc"))
            rate = Cell("{}/{}".format(*figures["wrong"]), range_text(error, 2), error)
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
    rows = [
        _row(comparison, study, reader, method, protocol)
        for reader in study.data.readers
        for method in study.data.methods
        if (reader, method, protocol) in study.levels
    ]
    pairs = study.data.pairs
    same = int(pairs.same.sum())
    name = TABLES[0] if protocol == BOTH else TABLES[1]
    columns = text_columns(name, against=display_name(comparison.baseline))
    return text_table(
        name,
        columns if protocol == BOTH else [replace(column, meaning="") for column in columns],
        rows,
        counts=f"{same} pairs of one person and {len(pairs) - same} of two, {pairs.count} people, test set.",
    )


def _row(comparison: Comparison, study: VerificationStudy, reader: str, method: str, protocol: str) -> tuple[Cell, ...]:
    level = study.levels[reader, method, protocol]
    change = study.difference(reader, method, comparison.baseline, protocol)
    cuts = study.data.thresholds[reader]
    trusted = reader in study.valid_judges
    return (
        reader_cell(study, reader),
        name_cell(method, tone="strong" if trusted else "muted"),
        _muted_unless(estimate_cell(level.verification.auc_by_person, 3), trusted),
        estimate_cell(level.verification.auc, 3),
        *_change_cells(change, trusted, paper_too=trusted and protocol == BOTH),
        *_seed_cells(level),
        _muted_unless(_percent(level.verification.equal_error_rate), trusted),
        *(_muted_unless(_percent(level.accuracy[s]), trusted) if s in level.accuracy else _NOTHING for s in THRESHOLDS),
        *(_hidden(cuts.get(s, float("nan"))) for s in THRESHOLDS),
        _hidden(level.verification.pairs),
        _hidden(level.verification.people),
    )


def _hidden(value: Interval | float) -> Cell:
    """A cell that is in the CSV alone."""
    return Cell("", "", value)


def _muted_unless(cell: Cell, trusted: bool) -> Cell:
    return cell if trusted else replace(cell, tone="muted")


def _times_100(interval: Interval) -> Interval:
    return Interval(*(100 * value for value in (interval.estimate, interval.low, interval.high)))


def _percent(interval: Interval) -> Cell:
    scaled = _times_100(interval)
    return Cell(f"{number(scaled.estimate, 1)} %", range_text(scaled, 1), interval)


def _change_cells(change: ReaderDifference | None, trusted: bool, *, paper_too: bool) -> tuple[Cell, Cell, Cell]:
    """Difference, whether zero is outside of its interval, and p."""
    if change is None:
        return _NOTHING, Cell(MISSING), Cell(MISSING)
    compared = change.auc
    cell = _difference(change, trusted)
    paper_text = paper.verification(compared.method, compared.baseline)
    if paper_text and paper_too:
        cell = replace(cell, aside=f"paper {paper_text}")
    outside = int(compared.interval.excludes(0.0))
    return cell, _hidden(outside), _hidden(compared.p)


def _difference(change: ReaderDifference, trusted: bool) -> Cell:
    """The AUC's difference; a reader that is no judge makes nothing better or worse."""
    compared = change.auc
    cell = difference_cell(compared.interval, 3, better=1, significant=trusted and compared.verdict != "none")
    return _muted_unless(cell, trusted)


def _seed_cells(level: MethodVerification) -> tuple[Cell, Cell, Cell]:
    if len(level.auc_by_seed) < 2:
        return Cell(MISSING), Cell(MISSING), Cell(MISSING)
    low, high, count = min(level.auc_by_seed), max(level.auc_by_seed), len(level.auc_by_seed)
    text = Cell(f"{number(low, 3)} to {number(high, 3)}", f"{count} seeds", count, "muted")
    return text, _hidden(low), _hidden(high)


def _differences(comparison: Comparison, study: VerificationStudy) -> Table:
    """Every method against the baseline and against the input, by both protocols."""
    rows = [
        _difference_row(study, reader, change, study.difference(reader, method, baseline, PROBE))
        for reader in study.data.readers
        for baseline in dict.fromkeys((comparison.baseline, *comparison.references))
        for method in study.data.methods
        if (change := study.difference(reader, method, baseline)) is not None
    ]
    return text_table(TABLES[2], text_columns(TABLES[2]), rows)


def _difference_row(
    study: VerificationStudy, reader: str, change: ReaderDifference, probe: ReaderDifference | None
) -> tuple[Cell, ...]:
    compared, trusted = change.auc, reader in study.valid_judges
    equal = change.equal_error_rate
    marked = difference_cell(_times_100(equal), 1, better=-1, significant=trusted)
    return (
        reader_cell(study, reader),
        replace(versus_cell(compared.method, compared.baseline), tone="strong" if trusted else "muted"),
        *_auc_cells(change, trusted),
        p_cell(compared.p),
        other_seeds_cell(compared, 3, claimed=trusted),
        replace(marked, value=equal),
        *(_auc_cells(probe, trusted) if probe is not None else (_NOTHING, _NOTHING, Cell(MISSING))),
        _hidden(probe.auc.p if probe is not None else float("nan")),
    )


def _auc_cells(change: ReaderDifference, trusted: bool) -> tuple[Cell, Cell, Cell]:
    outside = int(change.auc.interval.excludes(0.0))
    return _difference(change, trusted), _hidden(change.delong.interval), _hidden(outside)
