"""``taskgan audit``: whose restorations change what independent judges read, and how often."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from taskgan.audit.coverage import parse_calibration_source
from taskgan.audit.figures import (
    before_after,
    bland_altman,
    case_caption,
    case_figure,
    conformal_intervals,
    plotted_interval,
    plotted_value,
)
from taskgan.audit.flips import UNIT
from taskgan.audit.inputs import AuditInputs, AuditSettings
from taskgan.audit.invented import AGAIN, InventedStructure, invented_chart, invented_structure, invented_table
from taskgan.audit.judges import Judge, audited_target, check_judges, check_subjects, load_judges, train_judges
from taskgan.audit.maps import case_maps
from taskgan.audit.outcome import AuditResult, compute_result
from taskgan.audit.read import load_case, read_cohort
from taskgan.audit.tables import all_tables
from taskgan.audit.verdict import AuditVerdict, verdict, write_page
from taskgan.cohort.grids import relative_path
from taskgan.core.artefact import commit
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError
from taskgan.core.files import check_writable, versions
from taskgan.core.lock import exclusive
from taskgan.core.tables import write_frame
from taskgan.judges.readers import no_readers_reason
from taskgan.judges.readings import to_plain, write_readings
from taskgan.page.cells import write_table
from taskgan.page.style import PageFigure
from taskgan.stats.conformal import write_calibrations

PAGE, RECORD = "audit.html", "audit.yaml"


@dataclass(frozen=True)
class Audit:
    """What :func:`audit` hands back: ``audit.html``, all that was found, and the verdict in words."""

    page: Path
    outcome: AuditResult
    verdict: AuditVerdict

    def exceeds(self, rate: float) -> bool:
        """Whether the rate of flips may be above ``rate``: the upper end of the worst judge's interval is.

        True as well where there is no judge, for then nothing is shown.
        """
        worst = self.outcome.worst_flips
        return worst is None or worst.high > rate


@exclusive("out", "the audit")
def audit(
    inputs: AuditInputs,
    out: Path,
    *,
    judges: Sequence[Path | Judge] = (),
    store: Path | None = None,
    settings: AuditSettings | None = None,
    overwrite: bool = False,
    command: str = "",
    request: str = "",
) -> Audit:
    """Audit restorations. Refusals come before anything is written.

    Args:
        inputs: What to audit: :func:`~taskgan.audit.inputs.from_cohort` or
            :func:`~taskgan.audit.folders.from_folders`.
        out: Folder to make: ``readings.csv``, ``flips.csv``, ``tables/``, ``figures/``, ``conformal.yaml`` (where
            calibrated), ``audit.html`` and, last, ``audit.yaml``, which holds their checksums.
        judges: Trained judges, or their folders; two are trained on the table's training subjects where none is
            named, and kept.
        store: Where trained judges are kept; in the cohort where None.
        settings: Level, slices, cut, calibration.
        overwrite: Replace an existing audit.
        command: The call, for the page.
        request: A name for the call (:func:`~taskgan.core.artefact.request_digest`), for ``audit.yaml``.

    Raises:
        UserError: If there is nobody to judge, an image is unreadable, or an audit is already there.
        Problems: If a judge or the restorer is not independent of the audited subjects.
    """
    settings = settings or AuditSettings()
    _check_output(out, overwrite=overwrite)
    if any(out.resolve() == restored.folder.resolve() for restored in inputs.restorations):
        raise UserError(f"{out} holds restored images; choose another folder for the audit")
    if any(out.resolve() == evaluation.folder.resolve() for evaluation in inputs.evaluations):
        raise UserError(f"{out} is the evaluation itself; choose another folder for the audit")
    if settings.calibration not in ("val", "none"):
        # Before judges are trained, and also where none turns out to be fit.
        parse_calibration_source(settings.calibration)
    notes = [*inputs.notes, *check_subjects(inputs)]
    panel = _judges(inputs, judges, store, notes)
    for judge in panel:
        audited_target(judge, inputs)  # refused before images are read
    notes += check_judges(panel, inputs, store)
    readings, statistics = read_cohort(inputs, panel, settings)
    outcome = compute_result(inputs, panel, readings, statistics, settings, notes)
    conclusion = verdict(outcome)
    for name in (RECORD, PAGE):  # written last: old ones must not stand beside new numbers
        (out / name).unlink(missing_ok=True)
    write_readings(out, readings.table)
    write_frame(out / "flips.csv", outcome.flipped, digits=6)
    invented = invented_structure(inputs)
    tables = [*all_tables(outcome), invented_table(invented)]
    for table in tables:
        write_table(table, out / "tables")
    conformal = out / "conformal.yaml"
    conformal.unlink(missing_ok=True)
    if outcome.conformal.metadata:
        write_calibrations(conformal, [m.calibration for m in outcome.conformal.coverage], outcome.conformal.metadata)
    figures = out / "figures"
    charts = _charts(outcome, invented, figures)
    cases = _cases(outcome, figures, settings)
    page = write_page(out / PAGE, outcome, conclusion, tables, charts, cases, command or "taskgan audit")
    files = [out / "readings.csv", out / "flips.csv", page, *(out / "tables").glob("*.csv")]
    files += [*figures.glob("*.png"), *[conformal] * conformal.is_file()]
    record = _record(outcome, conclusion, settings, out, command) | {"invented": to_plain(invented.record())}
    commit(out / RECORD, {**record, "request": request}, files)
    say(conclusion.headline)
    for sentence in conclusion.warnings:
        say(f"note: {sentence}")
    say(f"audit: {page}")
    return Audit(page, outcome, conclusion)


def _check_output(out: Path, *, overwrite: bool) -> None:
    absent = [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]
    if absent:
        raise UserError(f"an audit needs {' and '.join(absent)}, not installed here: pip install 'taskgan[report]'")
    check_writable(out, "the audit")
    if (out / RECORD).exists() and not overwrite:  # without it a call was interrupted
        raise UserError(f"{out} already holds an audit; say --overwrite to replace it")


def _judges(inputs: AuditInputs, named: Sequence[Path | Judge], store: Path | None, notes: list[str]) -> list[Judge]:
    """The judges that were named, else two that are trained; the observer alone where nobody can be taught."""
    if named:
        loaded = load_judges([g for g in named if isinstance(g, Path)])
        return [*loaded, *(g for g in named if isinstance(g, Judge))]
    reason = no_readers_reason(inputs.pairs, inputs.recipe.task.target)
    observed = all(p.path("cortex") and p.path("reference") for p in inputs.cases)
    if reason and observed:
        notes.append(f"{reason}: the SUVR observer judges alone")
        return []
    if not inputs.has_recipe and not reason:
        say("note: nobody says how judges are trained, so the defaults are taken (--recipe RECIPE says otherwise)")
    return train_judges(inputs, store)


def _charts(outcome: AuditResult, invented: InventedStructure, folder: Path) -> list[PageFigure]:
    of = outcome.readings.property_of
    points = (
        "Filled: positive by label; hollow: negative. Dashed: the judge’s cut. A case in a shaded quadrant flipped "
        "(ring)."
        if outcome.metrics
        else "A dot is a case; on the line the restored image reads as the clean one."
    )
    if any(of(judge).kind == "multi_class" for judge in outcome.readings.judges):
        squares = (
            "Number of cases by the class on the clean image (across) and on the restored one (down): off the "
            "diagonal they flipped."
        )
        points = f"{squares} Elsewhere: {points}" if outcome.readings.value_judges else squares
    named = plotted_value(outcome) if outcome.agreements else ""
    rings = f"; rings: flipped by {named}" if named and of(outcome.judge_of(named)).decides else ""
    interval = plotted_interval(outcome)
    read = of(interval.calibration.judge if interval else "")
    cut = " Dashed: the cut; a bar across it is no decision." if read.decides else ""
    against = "On the line: no more than noise." if AGAIN in invented.patches else "Dashed: the table’s."
    charts: tuple[tuple[str, Callable[[AuditResult, Path], Path | None], str, str], ...] = (
        ("before-after", before_after, "Restored against clean, judge by judge", points),
        (
            "bland-altman",
            bland_altman,
            "Bland–Altman",
            f"Solid line: mean difference; dashed: 95 % limits of agreement of a single case{rings}.",
        ),
        (
            "intervals",
            conformal_intervals,
            f"Conformal intervals of the clean image’s {read.unit}, made from the restored image alone",
            f"Bars: intervals; dots: the clean image’s {read.unit} by the same reader.{cut}",
        ),
        (
            "invented",
            lambda _, path: invented_chart(invented, path),
            "Operating curve of the hallucination rate",
            f"Each point is a threshold. {against}",
        ),
    )
    figures = []
    for name, draw, title, text in charts:
        path = draw(outcome, folder / f"{name}.png")
        if path is None:
            (folder / f"{name}.png").unlink(missing_ok=True)  # of an audit that this one replaces
        else:
            figures.append(PageFigure(path, title, text))
    return figures


def _cases(outcome: AuditResult, folder: Path, settings: AuditSettings) -> list[PageFigure]:
    pictures: list[PageFigure] = []
    pairs = {pair.case: pair for pair in outcome.inputs.cases}
    rows = outcome.flipped.head(settings.figures)
    if len(rows):
        with progress("draw", len(rows), "flipped cases") as bar:
            for number, (_, row) in enumerate(rows.iterrows(), start=1):
                case = load_case(pairs[row["case"]], outcome.inputs)
                maps = case_maps(outcome, row, case, settings.steps)
                name = "".join(c if c.isalnum() or c in "-_" else "-" for c in str(row["case"]))
                path = case_figure(case, outcome.method, maps, folder / f"case-{number:02d}-{name}.png")
                title = f"{row['case']}: label {row['label']}, flipped by {row['flipped_by']}"
                text = f"{case_caption(row, outcome.readings)}. {maps.caption}"
                pictures.append(PageFigure(path, title, text))
                bar.advance()
    for stale in set(folder.glob("case-*.png")) - {picture.path for picture in pictures}:
        stale.unlink()  # of an audit that this one replaces
    return pictures


def _record(
    outcome: AuditResult, conclusion: AuditVerdict, settings: AuditSettings, out: Path, command: str
) -> dict[str, Any]:
    inputs = outcome.inputs
    measures = ("subjects", "coverage", "by_label", "width", "abstained", "wrong")
    measured = [
        {
            "judge": m.calibration.target,
            "kind": m.calibration.kind,
            "alpha": m.calibration.alpha,
            "calibrated_on": {k: len(v) for k, v in m.calibration.scores.items()},
            **{key: to_plain(getattr(m, key)) for key in measures},
        }
        for m in outcome.conformal.coverage
    ]
    return {
        "headline": conclusion.headline,
        "findings": list(conclusion.findings),
        "warnings": list(conclusion.warnings),
        "method": outcome.method,
        "restored": relative_path(inputs.audited.folder, out),
        "checksum": inputs.audited.origin.get("checksum"),
        "cohort": relative_path(inputs.pairs.source, out),
        "cases": len(inputs.cases),
        "subjects": len({p.subject for p in inputs.cases}),
        "against": [r.method for r in inputs.against],
        "judges": [to_plain(j.description()) for j in outcome.judges],
        "fit": {name: f.fit for name, f in outcome.fitness.items()},
        "worst": outcome.worst,
        "property": to_plain(outcome.main_property),
        "unit": UNIT,
        "opinions": to_plain(outcome.metrics),
        "outputs": to_plain(outcome.outputs),
        "mcnemar": to_plain(outcome.contrasts),
        "agreement": to_plain(outcome.agreements),
        "overlap": to_plain(outcome.overlaps),
        "conformal": {
            "source": outcome.conformal.source,
            "measured": measured,
            "shifts": to_plain(list(outcome.conformal.shifts)),
        },
        "settings": settings.model_dump(mode="json"),
        "command": command,
        "versions": versions(),
    }
