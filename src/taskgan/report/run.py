"""``taskgan compare``: the paper's tables and figures over several evaluations, as one page."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from taskgan.core.artefact import commit, is_done, request_digest
from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, check_writable, versions
from taskgan.core.lock import exclusive
from taskgan.judges.limits import LimitResult, find_limit
from taskgan.page.cells import Table, write_table
from taskgan.page.names import display_name
from taskgan.page.pictures import PageFigure
from taskgan.report.charts import bland_altman, difference_chart, suvr_scatter
from taskgan.report.condition_figures import choose_subject, condition_chart, condition_figure, condition_rule
from taskgan.report.curves import curve_chart, roc_chart
from taskgan.report.example import choose_examples, example_caption, example_figure
from taskgan.report.flips import flips_table
from taskgan.report.geometry import MappingGeometry, geometry_paired, geometry_table, mapping_geometry
from taskgan.report.geometry_figure import geometry_figure
from taskgan.report.images import case_figure, choose_cases, psnr_differences, selection_rule
from taskgan.report.load import Comparison, load_comparison
from taskgan.report.metrics import Inference
from taskgan.report.page import write_page
from taskgan.report.photo_figures import grid_rule, photo_figure, photo_grid
from taskgan.report.study import VerificationStudy, verification_study
from taskgan.report.study_tables import people_table
from taskgan.report.tables import all_tables
from taskgan.report.verdict import report_verdict

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
    known = {"limit": bound.folder} if bound is not None else {}
    people = [people_table(Path(readers))] if readers is not None else []
    known |= {"readers": Path(readers) / "analysis"} if readers is not None else {}
    request = request_digest(out, evaluations=folders, baseline=baseline, inference=inference, **known)
    if not overwrite and is_done(out / RECORD, request):
        return page
    if (out / RECORD).exists() and not overwrite:  # of an earlier version; without it a call was interrupted
        raise UserError(f"{page} already exists; say --overwrite to replace it")
    mapped = mapping_geometry(comparison)
    faces = verification_study(comparison)
    for path in (out / RECORD, page):  # written last: old ones must not stand beside new tables
        path.unlink(missing_ok=True)
    tables = [
        *all_tables(comparison, faces),
        flips_table(comparison),
        geometry_table(comparison, mapped),
        geometry_paired(comparison, mapped),
        *people,
    ]
    statements = report_verdict(comparison, faces)
    files = [write_table(table, out / "tables") for table in (*tables, statements.badges)]
    cases = _condition_cases(comparison, out / "figures") or _cases(comparison, out / "figures")
    picked = condition_rule(comparison) if comparison.conditions else selection_rule(comparison)
    charts = [*_charts(comparison, mapped, out / "figures"), *_face_figures(comparison, faces, out / "figures")]
    write_page(page, comparison, statements, tables, cases, charts, picked, bound)
    record = {
        "compared": statements.compared,
        "headline": statements.headline,
        "sentences": list(statements.sentences),
        "findings": list(statements.findings),
        "warnings": list(statements.warnings),
        **({"limit": bound.sentence} if bound is not None else {}),
        "versions": versions(),
        "request": request,
    }
    commit(out / RECORD, record, [*files, *(picture.path for picture in (*cases, *charts)), page])
    _print_summary(tables[0], statements.sentences)
    say(f"report: {page}")
    return page


def _limit(comparison: Comparison, folder: Path | None) -> LimitResult | None:
    """The limit that is named, or one beside a cohort of the evaluations."""
    seen = [(one.folder / str(one.record["cohort"])) for one in comparison.evaluations if "cohort" in one.record]
    recipe = comparison.evaluations[0].record.get("recipe") or {}
    return find_limit(folder, seen, recipe)


def _cases(comparison: Comparison, folder: Path) -> list[PageFigure]:
    pictures = []
    for letter, chosen in zip("ABCDEFGH", choose_cases(comparison), strict=False):
        draw = photo_figure if comparison.photos else case_figure
        path = draw(comparison, chosen, folder / f"figure3-{letter.lower()}-{_file(chosen.case)}.png")
        if path is not None:
            gap = f"{chosen.psnr_difference:+.2f}".replace("-", "−")
            against = f"{display_name(comparison.focus)} {gap} dB"
            pictures.append(PageFigure(path, f"{letter}. {chosen.case}, {chosen.criterion}", against))
    return _remove_stale(pictures, folder)


def _condition_cases(comparison: Comparison, folder: Path) -> list[PageFigure]:
    """A figure for each condition, of one subject; none where there is one kind of image or no image file."""
    subject = choose_subject(comparison) if comparison.conditions else None
    pictures = []
    for name, part in comparison.conditions.items() if subject is not None else ():
        path = condition_figure(part, name, str(subject), folder / f"figure3-{_file(name)}.png")
        if path is not None:
            gap = psnr_differences(part)
            mine = gap[[str(part.cases["subject"][case]) == subject for case in gap.index]]
            caption = f"{display_name(comparison.focus)} {mine.mean():+.2f} dB".replace("-", "−")
            pictures.append(PageFigure(path, f"{name}, {subject}", caption))
    return _remove_stale(pictures, folder) if pictures else []


def _remove_stale(pictures: list[PageFigure], folder: Path) -> list[PageFigure]:
    """The pictures, without files of a report that this one replaces, with other cases."""
    for stale in set(folder.glob("figure3-*.png")) - {picture.path for picture in pictures}:
        stale.unlink()
    return pictures


def _file(case: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in case)


def _charts(comparison: Comparison, mapped: MappingGeometry, folder: Path) -> list[PageFigure]:
    figures = (
        (
            difference_chart(comparison, folder / "differences.png"),
            f"Paired differences to {display_name(comparison.baseline)}",
            "One faint marker a subject; the bar is the 95 % interval of the mean (tick). A bar that crosses the "
            "line at zero shows no difference. Thin line: with another training run in mind too (three seeds or "
            "more). Shaded: the margin of equivalence, where one was stated.",
        ),
        (
            suvr_scatter(comparison, folder / "suvr-scatter.png"),
            "Composite SUVR of image and truth",
            "Filled markers are positive, hollow ones negative cases. Dashed: the cut of "
            f"{comparison.suvr_cut:g}; a case "
            "in a shaded quadrant has changed its side. Thin line: identity; coloured line: regression.",
        ),
        (
            bland_altman(comparison, folder / "bland-altman.png"),
            "Bland–Altman",
            "Solid line: mean difference; dashed: 95 % limits of agreement of a single case.",
        ),
        (
            geometry_figure(comparison, mapped, folder / "geometry.png"),
            "The mapping",
            "Above: every measure with its 95 % interval by subject; the line is a mapping that changes nothing. "
            "Below: where a run of baseline and focus method, and the degradation, take the test images, in "
            "the first two principal components of the clean images’ "
            "features; lines go from the clean image (hollow) to the image itself (filled).",
        ),
        (
            condition_chart(comparison, folder / "conditions.png"),
            f"Every {comparison.condition}",
            "Mean over subjects with its 95 % interval, clean images where they have a value of their own. Rim and "
            "grid: minus the clean image’s, so that zero is the aim.",
        ),
        (curve_chart(comparison, folder / "curves.png"), "Curves", "As logged by the runs beside the evaluations."),
    )
    return [PageFigure(path, title, caption) for path, title, caption in figures if path is not None]


def _face_figures(comparison: Comparison, study: VerificationStudy | None, folder: Path) -> list[PageFigure]:
    """Figure 2: ROC curves, pairs that methods win and lose, a grid of photos."""
    shown_pairs = choose_examples(comparison, study)
    figures: list[tuple[Path | None, str, str]] = [
        (
            roc_chart(comparison, study, folder / "roc.png"),
            "Figure 2 (a). ROC curves",
            "Two photos are called one person up to a distance; the curves are of all distances, mean over the "
            "seeds. Below: the same where few pairs of two people are accepted, on a logarithmic axis."
            + (
                ""
                if shown_pairs
                else " There is no Figure 2 (b): no pair that is judged wrongly on the input divides the methods."
            ),
        )
    ]
    for one in shown_pairs:
        heading, caption = example_caption(comparison, one)
        path = folder / f"example-{'won' if one.recovered else 'lost'}.png"
        figures.append((example_figure(comparison, study, one, path) if study else None, heading, caption))
    grid = "Figure 2 (c). Photos" if study is not None else "Photos"
    figures.append((photo_grid(comparison, folder / "grid.png"), grid, grid_rule(comparison)))
    pictures = [PageFigure(path, title, caption) for path, title, caption in figures if path is not None]
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
