"""The page: one HTML file with everything in it, that opens offline."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskgan.core.files import versions, write_text
from taskgan.judges.limits import LimitResult
from taskgan.page.cells import Table, display_name
from taskgan.page.style import PageFigure, render_template
from taskgan.report.condition_tables import NAMES
from taskgan.report.load import Comparison
from taskgan.report.metrics import Inference
from taskgan.report.study import reader_title
from taskgan.report.verdict import ReportVerdict


def write_page(
    path: Path,
    comparison: Comparison,
    verdict: ReportVerdict,
    tables: list[Table],
    cases: list[PageFigure],
    charts: list[PageFigure],
    rule: str,
    limit: LimitResult | None = None,
) -> Path:
    """Fill the template and write the page.

    Args:
        path: The HTML file.
        comparison: For provenance.
        verdict: The top of the page.
        tables: In order.
        cases: Figure 3.
        charts: All other figures, by file name in the template.
        rule: How the cases of Figure 3 were picked.
        limit: What a task network can win, where that was asked.
    """
    headings, readers = _readers(comparison)
    shown = {table.name: table for table in tables}
    page = render_template(
        "taskgan.report",
        "report.html",
        title=" · ".join(display_name(m) for m in comparison.methods),
        verdict=verdict,
        tables=shown,
        cases=cases,
        charts={chart.path.stem: chart for chart in charts},
        rule=rule,
        limit=limit,
        heading=_heading(comparison, shown),
        reading=not comparison.photos
        or any(shown[name].rows for name in ("table3-readers", "flips"))
        or "outputs" in shown,
        mapping=not comparison.photos or bool(shown["geometry"].rows),
        photos=comparison.photos,
        condition=comparison.condition if comparison.conditions else "",
        condition_tables=NAMES,
        commands=_commands(comparison, path.parent),
        provenance=[_provenance(one.record) for one in comparison.evaluations],
        reader_headings=headings,
        readers=readers,
        versions=versions(),
    )
    write_text(path, page)
    return path


def _heading(comparison: Comparison, tables: Mapping[str, Table]) -> str:
    if "verification" in tables:
        return "Is the person kept?"
    if comparison.photos and not tables["table3-readers"].rows and "outputs" not in tables:
        return "How good are the photos?"
    return f"Is the {'diagnosis' if comparison.kind == 'binary' and not comparison.photos else 'property'} kept?"


def _provenance(record: dict[str, Any]) -> dict[str, str]:
    def _text(key: str) -> str:
        value = record.get(key)
        return "–" if value is None else str(value)

    return {
        "method": display_name(_text("method")),
        "seed": _text("seed"),
        "fold": _text("fold"),
        "model": _text("model"),
        "checksum": _text("checksum")[:16],
        "cohort": _text("cohort"),
        "version": str((record.get("versions") or {}).get("taskgan", "–")),
    }


def _commands(comparison: Comparison, out: Path) -> list[str]:
    """The calls that make these figures again, with paths as seen from the folder that holds the report."""
    base = out.resolve().parent

    def _seen(path: Path) -> str:
        return shlex.quote(Path(os.path.relpath(path.resolve(), base)).as_posix())

    lines = []
    for one in comparison.evaluations:
        if "restored" in one.record and "cohort" in one.record:
            restored, cohort = (one.folder / str(one.record[key]) for key in ("restored", "cohort"))
            name = shlex.quote(str(one.record["method"]))
            lines.append(f"taskgan evaluate {_seen(restored)} {_seen(cohort)} -o {_seen(one.folder)} --method {name}")
    folders = " ".join(_seen(one.folder) for one in comparison.evaluations)
    options = f"--baseline {shlex.quote(comparison.baseline)}"
    options += "".join(f" --margin {name}={value:g}" for name, value in comparison.inference.margins.items())
    if comparison.inference.correction != Inference().correction:
        options += f" --correction {comparison.inference.correction}"
    lines.append(f"taskgan compare {folders} -o {_seen(out)} {options}")
    return lines


def _readers(comparison: Comparison) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """Headings of figures on clean images, and the recognisers that were used, each once."""
    identity = comparison.kind == "embedding"
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    for one in comparison.evaluations:
        verified = (one.record.get("verification") or {}).get("readers") or {} if identity else {}
        for name, record in (verified | (one.record.get("readers") or {})).items():
            checksum = str(record.get("checksum", "–"))
            auc = (verified.get(name) or {}).get("auc") or {}
            entries.setdefault(
                (name, checksum),
                {
                    "name": reader_title(name).split(" (")[0],
                    "network": str(record.get("network", "none" if name in verified else "–")),
                    "checksum": checksum[:16],
                    "figures": [_text(auc)] if identity else _clean_errors(record.get("on_clean") or {}),
                },
            )
    headings = ("AUC on clean test pairs",) if identity else ("Errors on clean", "Error on clean")
    return headings, list(entries.values())


def _clean_errors(record: Mapping[str, Any]) -> list[str]:
    return [f"{record.get('wrong', '–')}/{record.get('decisions', '–')}", _text(record.get("mae") or {})]


def _text(interval: Mapping[str, Any]) -> str:
    estimate = interval.get("estimate")
    return "–" if estimate is None else f"{estimate:.3f}"
