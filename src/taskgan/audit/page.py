"""``audit.html``: one file with everything in it, that opens offline."""

from collections.abc import Sequence
from pathlib import Path

from taskgan.audit.outcome import AuditResult
from taskgan.audit.verdict import AuditVerdict
from taskgan.audit.words import UNIT, evidence_legend
from taskgan.core.files import versions, write_text
from taskgan.report.cells import Table
from taskgan.report.page import PageFigure
from taskgan.report.template import render_template


def write_page(
    path: Path,
    outcome: AuditResult,
    verdict: AuditVerdict,
    tables: Sequence[Table],
    charts: Sequence[PageFigure],
    cases: Sequence[PageFigure],
    command: str,
) -> Path:
    """Fill the template and write the page.

    Args:
        path: The HTML file.
        outcome: For counts.
        verdict: The top of the page.
        tables: By name in the template.
        charts: By file name in the template.
        cases: Flipped cases, in the order of the table.
        command: The call that makes it again.
    """
    page = render_template(
        "taskgan.audit",
        "audit.html",
        method=outcome.method,
        verdict=verdict,
        unit=UNIT,
        decided=bool(outcome.metrics),
        compared=bool(outcome.inputs.against),
        towards=evidence_legend(outcome.main_property),
        tables={table.name: table for table in tables},
        charts={chart.path.stem: chart for chart in charts},
        cases=cases,
        left_out=len(outcome.flipped) - len(cases),
        command=command,
        versions=versions(),
    )
    write_text(path, page)
    return path
