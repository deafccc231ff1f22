"""Train the four objectives in the plane, measure and draw what they do."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from explain.figures import animate, figure4, figure5, snapshot_steps
from explain.measures import NAMES, ObjectiveResult, findings, measure_objective
from explain.problem import draw_pairs
from explain.train import METHODS, ExplainSettings, Method, train_objective
from taskgan.core.artefact import commit, is_done, request_digest
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError
from taskgan.core.files import check_writable, versions
from taskgan.core.lock import exclusive
from taskgan.page.cells import Cell, Column, Table, number, range_text, text_cell, write_table
from taskgan.stats import Interval

RECORD = "explain.yaml"
_HELD_OUT = 100
_COLUMNS = (
    Column("method", "Objective"),
    Column("shrinkage", "Shrinkage"),
    Column("rank_correlation", "Rank correlation"),
    Column("retrieval", "Retrieval"),
    Column("flips", "Labels lost"),
    Column("flips_minority", "of label 1"),
    Column("distance", "Off the domain"),
)


@exclusive("out", "the figures")
def explain(out: Path, *, seed: int = 0, steps: int | None = None, overwrite: bool = False) -> Path:
    """Draw Figures 4 and 5 from real training on the problem of :mod:`explain.problem`.

    Args:
        out: Folder to make: ``figure4.png``, ``figure5.png``, ``explain.gif``, ``explain.csv`` and, last,
            ``explain.yaml``.
        seed: Of the points, the first weights and the order of the data.
        steps: Of every objective; None is the default, with which the figures of the documentation are made.
        overwrite: Replace an existing result.

    Returns:
        ``out``.

    Raises:
        UserError: If ``out`` is a file or holds a result already, or a library is missing.
    """
    absent = [name for name in ("matplotlib", "PIL") if find_spec(name) is None]
    if absent:
        raise UserError(f"figures need {' and '.join(absent)}, not installed here: pip install 'taskgan[report]'")
    check_writable(out, "the figures")
    settings = ExplainSettings(seed=seed) if steps is None else ExplainSettings(seed=seed, steps=steps)
    request = request_digest(out, settings=settings)
    if not overwrite and is_done(out / RECORD, request):
        return out
    if (out / RECORD).exists() and not overwrite:
        raise UserError(f"{out} already holds the figures; say --overwrite to replace them")
    rng = np.random.default_rng(seed)
    points, held_out = draw_pairs(settings.pairs, rng), draw_pairs(_HELD_OUT, rng)
    outcomes: dict[Method, ObjectiveResult] = {}
    with progress("explain", len(METHODS) * settings.steps, "steps") as bar:
        for method in METHODS:
            trained = train_objective(
                method,
                points,
                held_out,
                settings,
                snapshot_steps(settings.steps),
                lambda method=method: bar.advance(1, training=method),  # type: ignore[misc]
            )
            outcomes[method] = measure_objective(trained, held_out)
    (out / RECORD).unlink(missing_ok=True)  # written last: it vouches for the others
    table = _table(outcomes)
    written = write_table(table, out)
    figure4(outcomes, held_out, out / "figure4.png")
    figure5(outcomes, held_out, out / "figure5.png")
    animate(outcomes, held_out, out / "explain.gif")
    sentences = findings(outcomes, held_out)
    files = [written, *(out / name for name in ("figure4.png", "figure5.png", "explain.gif"))]
    commit(out / RECORD, {**_record(outcomes, settings, sentences), "request": request}, files)
    _print_summary(table, sentences)
    say(f"explain: {out / 'figure4.png'}, figure5.png, explain.gif; the figures as numbers: {written}")
    return out


def _table(outcomes: Mapping[Method, ObjectiveResult]) -> Table:
    rows = []
    for method, outcome in outcomes.items():
        cells = [Cell(number(i.estimate, 2), range_text(i, 2), i) for i in _intervals(outcome).values()]
        rows.append((text_cell(NAMES[method]), *cells))
    return Table("explain", "", "", _COLUMNS, tuple(rows))


def _record(
    outcomes: Mapping[Method, ObjectiveResult], settings: ExplainSettings, sentences: list[str]
) -> dict[str, Any]:
    return {
        "settings": settings.model_dump(mode="json"),
        "held_out": _HELD_OUT,
        "findings": sentences,
        "measures": {
            method: {
                name: {**_plain(value), "by_seed": [_rounded(v) for v in outcome.by_seed[name]]}
                for name, value in _intervals(outcome).items()
            }
            for method, outcome in outcomes.items()
        },
        "versions": versions(),
    }


def _intervals(outcome: ObjectiveResult) -> dict[str, Interval]:
    return {column.key: getattr(outcome.measures, column.key) for column in _COLUMNS[1:]}


def _plain(interval: Interval) -> dict[str, Any]:
    return {name: _rounded(value) for name, value in asdict(interval).items()}


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _print_summary(table: Table, sentences: list[str]) -> None:
    lines = [[column.heading for column in table.columns]]
    lines += [[f"{cell.text} {cell.small}".strip() for cell in row] for row in table.rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(table.columns))]
    for line in lines:
        say("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    for sentence in sentences:
        say(sentence)
