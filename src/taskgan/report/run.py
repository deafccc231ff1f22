"""``taskgan compare``: the paper's tables and figures over several evaluations, as one HTML file that opens offline."""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from taskgan.core.artefact import commit, is_done, request_digest
from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, check_writable, versions, write_text
from taskgan.core.lock import exclusive
from taskgan.judges.limits import LimitResult, find_limit
from taskgan.page.cells import Table, display_name, report_texts, write_table
from taskgan.page.style import PageFigure, render_template
from taskgan.report.agreement import bland_altman, flips_table, suvr_scatter
from taskgan.report.charts import curve_chart, difference_chart, roc_chart
from taskgan.report.condition_figures import (
    choose_subject,
    condition_chart,
    condition_figure,
    condition_rule,
    load_condition,
)
from taskgan.report.condition_tables import NAMES
from taskgan.report.geometry import MappingGeometry, geometry_figure, geometry_paired, geometry_table, mapping_geometry
from taskgan.report.images import case_figure, choose_cases, load_panels, psnr_differences, selection_rule
from taskgan.report.load import Comparison, load_comparison
from taskgan.report.measurement import TABLES, dose_chart, measurement_tables, recovery_chart, repeatability_chart
from taskgan.report.metrics import Inference
from taskgan.report.photo_figures import (
    choose_examples,
    example_caption,
    example_figure,
    grid_rule,
    photo_figure,
    photo_grid,
)
from taskgan.report.strata import precision_table, strata_table, stratified
from taskgan.report.study import VerificationStudy, reader_title, verification_study
from taskgan.report.study_tables import people_table
from taskgan.report.tables import all_tables
from taskgan.report.verdict import ReportVerdict, report_verdict
from taskgan.report.viewer import Viewer

RECORD = "report.yaml"


@exclusive("out", "the report")
def compare(
    evaluations: Sequence[PathLike],
    out: PathLike,
    *,
    baseline: str | None = None,
    inference: Inference | None = None,
    limit: PathLike | None = None,
    readers: PathLike | None = None,
    strata: Sequence[str] = (),
    precision: tuple[float, float] | None = None,
    overwrite: bool = False,
) -> Path:
    """Compare evaluations.

    Args:
        evaluations: Folders that ``taskgan evaluate`` made: one per method, seed or fold.
        out: Folder to make: ``tables/*.csv``, ``figures/*.png``, ``report.html`` and, last, ``report.yaml`` (the
            verdict, and the checksums of the others). The same call on a finished one says so.
        baseline: Method that the others are compared with; None is ``gan``, or the degraded input without it.
        inference: Margins of equivalence and the correction over methods; None is no margin and Holm's.
        limit: What ``taskgan limit`` made of the cohort; None looks beside the cohort (``derivatives/limit``).
        readers: A study of ``taskgan readers``, analysed: what its readers decided is shown too.
        strata: Columns (of ``cases.csv`` or the cohort's table) by whose groups headline measures are told too.
        precision: Least and greatest true SUVR that is possible: rank the methods without the clean images.
        overwrite: Replace an existing report.

    Returns:
        The page.

    Raises:
        UserError: If a folder is no evaluation, they cannot be compared, or a report is already there.
    """
    absent = [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]
    if absent:
        raise UserError(f"a report needs {' and '.join(absent)}, not installed here: pip install 'taskgan[report]'")
    out, folders = Path(out), [Path(folder) for folder in evaluations]
    page = out / "report.html"
    check_writable(out, "the report")
    comparison = load_comparison(folders, baseline, inference)
    bound = _limit(comparison, Path(limit) if limit is not None else None)
    options = {"strata": ",".join(strata)} if strata else {}
    options |= {"precision": f"{precision[0]:g},{precision[1]:g}"} if precision else {}
    known = {**options, **({"limit": bound.folder} if bound is not None else {})}
    people = [people_table(Path(readers))] if readers is not None else []
    known |= {"readers": Path(readers) / "analysis"} if readers is not None else {}
    request = request_digest(out, evaluations=folders, baseline=baseline, inference=inference, **known)
    if not overwrite and is_done(out / RECORD, request):
        return page
    if (out / RECORD).exists() and not overwrite:  # of an earlier version; without it a call was interrupted
        raise UserError(f"{page} already exists; say --overwrite to replace it")
    grouped = [strata_table(comparison, stratified(comparison, strata))] if strata else []
    ranked = [precision_table(comparison, precision)] if precision else []
    mapped, faces = mapping_geometry(comparison), verification_study(comparison)
    for path in (out / RECORD, page):  # written last: old ones must not stand beside new tables
        path.unlink(missing_ok=True)
    tables = [
        *all_tables(comparison, faces),
        *measurement_tables(comparison),
        *(table for table, _ in grouped),
        *ranked,
        flips_table(comparison),
        geometry_table(comparison, mapped),
        geometry_paired(comparison, mapped),
        *people,
    ]
    statements = report_verdict(comparison, faces, [sentence for _, sentence in grouped])
    files = [write_table(table, out / "tables") for table in (*tables, statements.badges)]
    viewer = Viewer()
    cases = _condition_cases(comparison, out / "figures", viewer) or _cases(comparison, out / "figures", viewer)
    picked = condition_rule(comparison) if comparison.pictured else selection_rule(comparison)
    charts = [*_charts(comparison, mapped, out / "figures"), *_face_figures(comparison, faces, out / "figures")]
    write_page(page, comparison, statements, tables, cases, charts, picked, bound, options, viewer)
    record = {**_verdict(statements, bound), "versions": versions(), "request": request}
    commit(out / RECORD, record, [*files, *(picture.path for picture in (*cases, *charts)), page])
    _print_summary(tables[0], statements.sentences)
    say(f"report: {page}")
    return page


def _verdict(statements: ReportVerdict, bound: LimitResult | None) -> dict[str, Any]:
    """What ``report.yaml`` says of the comparison."""
    return {
        "compared": statements.compared,
        "headline": statements.headline,
        "sentences": list(statements.sentences),
        "findings": list(statements.findings),
        "warnings": list(statements.warnings),
        **({"limit": bound.sentence} if bound is not None else {}),
    }


def _limit(comparison: Comparison, folder: Path | None) -> LimitResult | None:
    """The limit that is named, or one beside a cohort of the evaluations."""
    seen = [(one.folder / str(one.record["cohort"])) for one in comparison.evaluations if "cohort" in one.record]
    recipe = comparison.evaluations[0].record.get("recipe") or {}
    return find_limit(folder, seen, recipe)


def _cases(comparison: Comparison, folder: Path, viewer: Viewer) -> list[PageFigure]:
    pictures = []
    for letter, chosen in zip("ABCDEFGH", choose_cases(comparison), strict=False):
        title = f"{letter}. {chosen.case}, {chosen.criterion}"
        place = folder / f"figure3-{letter.lower()}-{_file(chosen.case)}.png"
        path = photo_figure(comparison, chosen, place) if comparison.photos else None
        if not comparison.photos and (panels := load_panels(comparison, chosen.case)):
            path = case_figure(comparison, panels, place)
            viewer.add(title, panels)
        if path is not None:
            gap = f"{chosen.psnr_difference:+.2f}".replace("-", "−")
            pictures.append(PageFigure(path, title, f"{display_name(comparison.focus)} {gap} dB"))
    return _remove_stale(pictures, folder)


def _condition_cases(comparison: Comparison, folder: Path, viewer: Viewer) -> list[PageFigure]:
    """A figure for each condition, of one subject; none where no condition or lesion is known, or no image."""
    subject = choose_subject(comparison) if comparison.pictured else None
    pictures = []
    for name, part in comparison.pictured.items() if subject is not None else ():
        if panels := load_condition(part, str(subject)):
            title, file = ", ".join(filter(None, (name, subject))), _file(name or str(subject))
            path = condition_figure(part, panels, name, str(subject), folder / f"figure3-{file}.png")
            viewer.add(title, panels)
            gap = psnr_differences(part)
            mine = gap[[str(part.cases["subject"][case]) == subject for case in gap.index]]
            caption = f"{display_name(comparison.focus)} {mine.mean():+.2f} dB".replace("-", "−")
            pictures.append(PageFigure(path, title, caption))
    return _remove_stale(pictures, folder) if pictures else []


def _remove_stale(pictures: list[PageFigure], folder: Path) -> list[PageFigure]:
    """The pictures, without files of a report that this one replaces, with other cases."""
    for stale in set(folder.glob("figure3-*.png")) - {picture.path for picture in pictures}:
        stale.unlink()
    return pictures


def _file(case: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in case)


def _charts(comparison: Comparison, mapped: MappingGeometry, folder: Path) -> list[PageFigure]:
    figures: dict[str, Callable[..., Path | None]] = {
        "differences": difference_chart,
        "suvr-scatter": suvr_scatter,
        "bland-altman": bland_altman,
        "repeatability": repeatability_chart,
        "doses": dose_chart,
        "recovery": recovery_chart,
        "geometry": partial(geometry_figure, geometry=mapped),
        "conditions": condition_chart,
        "curves": curve_chart,
    }
    baseline = display_name(comparison.baseline)
    words = {"baseline": baseline, "cut": comparison.suvr_cut, "condition": comparison.condition}
    paths = [draw(comparison, path=folder / f"{name}.png") for name, draw in figures.items()]
    return [_captioned(path, **words) for path in paths if path is not None]


def _captioned(path: Path, **words: object) -> PageFigure:
    title, caption = (text.format(**words) for text in report_texts("figures")[path.stem])
    return PageFigure(path, title, caption)


def _face_figures(comparison: Comparison, study: VerificationStudy | None, folder: Path) -> list[PageFigure]:
    """Figure 2: ROC curves, pairs that methods win and lose, a grid of photos."""
    examples = choose_examples(comparison, study)
    pictures = []
    if path := roc_chart(comparison, study, folder / "roc.png"):
        pictures.append(_captioned(path, remark="" if examples else report_texts("no-example")))
    for one in examples:
        path = folder / f"example-{'won' if one.recovered else 'lost'}.png"
        if study is not None and example_figure(comparison, study, one, path):
            pictures.append(PageFigure(path, *example_caption(comparison, one)))
    if path := photo_grid(comparison, folder / "grid.png"):
        title = "Figure 2 (c). Photos" if study is not None else "Photos"
        pictures.append(PageFigure(path, title, grid_rule(comparison)))
    for name in ("roc", "example-won", "example-lost", "grid"):  # of a report that this one replaces
        if name not in {picture.path.stem for picture in pictures}:
            (folder / f"{name}.png").unlink(missing_ok=True)
    return pictures


def _print_summary(table: Table, sentences: Sequence[str]) -> None:
    keys = ("method", "psnr", "ssim", "rmse_relative")
    places = [i for i, column in enumerate(table.columns) if column.key in keys]
    lines = [[table.columns[i].heading for i in places]]
    for row in table.rows:
        lines.append([f"{row[i].text} {row[i].small}".strip() for i in places])
    widths = [max(len(line[k]) for line in lines) for k in range(len(places))]
    for line in lines:
        say("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    for sentence in sentences:
        say(sentence)


def write_page(
    path: Path,
    comparison: Comparison,
    verdict: ReportVerdict,
    tables: list[Table],
    cases: list[PageFigure],
    charts: list[PageFigure],
    rule: str,
    limit: LimitResult | None = None,
    options: Mapping[str, str] | None = None,
    viewer: Viewer | None = None,
) -> Path:
    """Fill the template and write the page: Figure 3 with its rule, all other figures by file name, and the limit;
    ``options`` of the call that it shows beside baseline and inference; the viewer of Figure 3's cases.
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
        viewer=viewer,
        limit=limit,
        heading=_heading(comparison, shown),
        reading=not comparison.photos
        or any(shown[name].rows for name in ("table3-readers", "flips"))
        or "outputs" in shown,
        mapping=not comparison.photos or bool(shown["geometry"].rows),
        photos=comparison.photos,
        condition=comparison.condition if comparison.conditions else "",
        condition_tables=NAMES,
        at_lesions=bool(comparison.pictured),
        measurement_tables=[name for name in ("strata", *TABLES, "precision") if name in shown],
        commands=_commands(comparison, path.parent, options or {}),
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
    keys = ("method", "seed", "fold", "model", "checksum", "cohort")
    texts = {key: "–" if record.get(key) is None else str(record[key]) for key in keys}
    version = str((record.get("versions") or {}).get("taskgan", "–"))
    return {**texts, "method": display_name(texts["method"]), "checksum": texts["checksum"][:16], "version": version}


def _commands(comparison: Comparison, out: Path, further: Mapping[str, str]) -> list[str]:
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
    options += "".join(f" --{name} {shlex.quote(value)}" for name, value in further.items())
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
