"""The page: one HTML file with everything in it, that opens offline."""

import base64
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskgan.files import versions, write_text
from taskgan.report.cells import Table
from taskgan.report.condition_tables import NAMES
from taskgan.report.inference import Inference
from taskgan.report.load import Comparison
from taskgan.report.names import shown
from taskgan.report.template import fill
from taskgan.report.verdict import Verdict


@dataclass(frozen=True)
class Picture:
    """A figure of the page: its file, a heading, and what it shows."""

    path: Path
    title: str
    caption: str

    @property
    def uri(self) -> str:
        """The file as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.path.read_bytes()).decode("ascii")


def write_page(
    path: Path,
    comparison: Comparison,
    verdict: Verdict,
    tables: list[Table],
    cases: list[Picture],
    charts: list[Picture],
    rule: str,
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
    """
    page = fill(
        "taskgan.report",
        "report.html",
        title=" · ".join(shown(m) for m in comparison.methods),
        verdict=verdict,
        tables={table.name: table for table in tables},
        cases=cases,
        charts={chart.path.stem: chart for chart in charts},
        rule=rule,
        heading=f"Is the {_kept(comparison, tables)} kept?",
        photos=comparison.photos,
        condition=comparison.condition if comparison.conditions else "",
        condition_tables=NAMES,
        commands=_commands(comparison, path.parent),
        provenance=[_provenance(one.record) for one in comparison.evaluations],
        readers=_readers(comparison),
        versions=versions(),
    )
    write_text(path, page)
    return path


def _kept(comparison: Comparison, tables: list[Table]) -> str:
    if any(table.name == "verification" for table in tables):
        return "person"
    return "diagnosis" if comparison.kind == "binary" and not comparison.photos else "property"


def _provenance(record: dict[str, Any]) -> dict[str, str]:
    def text(key: str) -> str:
        value = record.get(key)
        return "–" if value is None else str(value)

    return {
        "method": shown(text("method")),
        "seed": text("seed"),
        "fold": text("fold"),
        "model": text("model"),
        "checksum": text("checksum")[:16],
        "cohort": text("cohort"),
        "version": str((record.get("versions") or {}).get("taskgan", "–")),
    }


def _commands(comparison: Comparison, out: Path) -> list[str]:
    """The calls that make these figures again, with paths as seen from the folder that holds the report."""
    base = out.resolve().parent

    def seen(path: Path) -> str:
        return shlex.quote(Path(os.path.relpath(path.resolve(), base)).as_posix())

    lines = []
    for one in comparison.evaluations:
        if "restored" in one.record and "cohort" in one.record:
            restored, cohort = (one.folder / str(one.record[key]) for key in ("restored", "cohort"))
            name = shlex.quote(str(one.record["method"]))
            lines.append(
                f"taskgan evaluate {seen(restored)} {seen(cohort)} -o {seen(one.folder)} --method {name}"
            )
    folders = " ".join(seen(one.folder) for one in comparison.evaluations)
    options = f"--baseline {shlex.quote(comparison.baseline)}"
    options += "".join(f" --margin {name}={value:g}" for name, value in comparison.inference.margins.items())
    if comparison.inference.correction != Inference().correction:
        options += f" --correction {comparison.inference.correction}"
    lines.append(f"taskgan compare {folders} -o {seen(out)} {options}")
    return lines


def _readers(comparison: Comparison) -> list[dict[str, str]]:
    """The recognisers that were used, each once."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for one in comparison.evaluations:
        for name, told in (one.record.get("readers") or {}).items():
            checksum = str(told.get("checksum", "–"))
            clean = told.get("on_clean") or {}
            mae = (clean.get("mae") or {}).get("estimate")
            found.setdefault(
                (name, checksum),
                {
                    "name": "T" if name == "task" else name.capitalize(),
                    "network": str(told.get("network", "–")),
                    "checksum": checksum[:16],
                    "wrong": f"{clean.get('wrong', '–')}/{clean.get('decisions', '–')}",
                    "mae": "–" if mae is None else f"{mae:.3f}",
                },
            )
    return list(found.values())
