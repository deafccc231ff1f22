"""Tables, figures and sentences of a study's analysis."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.page.cells import (
    Cell,
    Column,
    Table,
    difference_cell,
    estimate_cell,
    interval_text,
    number,
    number_cell,
    rate_cell,
    text_cell,
)
from taskgan.page.names import display_name, name_cell, versus_cell
from taskgan.page.pictures import PageFigure
from taskgan.page.style import axes_figure, method_style, panel_axes, save_figure
from taskgan.readers.analyse import FIGURES, StudyAnswers, who_reads
from taskgan.stats import (
    ErrorRate,
    Interval,
    adjusted_p_values,
    auc_interval,
    cases_for_readers,
    exact_rate,
    mcnemar,
    mean_difference,
    mean_interval,
    mrmc_power,
)
from taskgan.stats.mrmc import Figure

_NAMES = {"auc": "AUC", "sensitivity": "Sensitivity", "specificity": "Specificity", "error": "Error rate"}
_MOST_READERS = 6  # columns of the page; the CSV has all
_PLANNED = (2, 3, 4, 5, 6, 8, 10, 15, 20)
_READ = "Brackets are 95 % intervals by subject."


def _table(name: str, title: str, note: str, headings: dict[str, str], rows: Sequence[Sequence[Cell]], **more: Any) -> Table:
    columns = tuple(Column(key, text.strip("*"), hidden=text.startswith("*")) for key, text in headings.items())
    return Table(name, title, note, columns, tuple(tuple(row) for row in rows), **more)


def all_tables(answers: StudyAnswers, plan: float | None) -> list[Table]:
    """Every table, in the order of the page."""
    tables = [_errors(answers), _areas(answers), _compared(answers), _paired(answers), *_agreement(answers)]
    return [*tables, _quality(answers), *_marks(answers), *([_plan(answers, plan)] if plan else [])]


def _reader_headings(answers: StudyAnswers) -> dict[str, str]:
    hidden = "*" * (len(answers.readers) > _MOST_READERS)
    return {f"reader_{k + 1}": hidden + name for k, name in enumerate(answers.readers)}


def _rate(rate: ErrorRate) -> Cell:
    return rate_cell(rate.interval, rate.wrong, rate.decisions)


def _errors(answers: StudyAnswers) -> Table:
    rows = []
    for k, method in enumerate(answers.methods):
        every = [_rate(answers.error(k, r)) for r in range(len(answers.readers))]
        rows.append([name_cell(method, tone="strong"), *every, _rate(answers.error(k)), *(_rate(answers.rate(k, t)) for t in (1, 0))])
    headings = {"method": "Images", **_reader_headings(answers), "all": "All readers", "sensitivity": "Sensitivity"}
    note = (
        "Wrong decisions of all, as in the paper's Table 3, and right ones on positive and on negative cases. Exact "
        "(Clopper–Pearson) 95 % intervals with the number of subjects as n, not that of decisions."
    )
    return _table("errors", "Error rates", note, headings | {"specificity": "Specificity"}, rows)


def _areas(answers: StudyAnswers) -> Table:
    scores, rows = answers.table("score"), []
    overall = compared(answers, "auc")
    for k, method in enumerate(answers.methods):
        own = [estimate_cell(auc_interval(one, answers.truth, answers.subjects), 3) for one in scores[k]]
        rows.append([name_cell(method, tone="strong"), *own, estimate_cell(overall.methods[k], 3)])
    note = "Area under the ROC curve of decision and confidence: DeLong's interval for each reader, Obuchowski–Rockette's for the mean."
    return _table("auc", "ROC", note, {"method": "Images", **_reader_headings(answers), "mean": "Mean of readers"}, rows)


@cache
def compared(answers: StudyAnswers, figure: Figure, jackknife: bool = False) -> Any:
    """The analysis of several readers and cases, computed once."""
    return answers.compared(figure, "jackknife" if jackknife else "delong")


def _differences(answers: StudyAnswers, figure: Figure, jackknife: bool = False) -> dict[str, tuple[Interval, float]]:
    """Each method minus the baseline, with p."""
    base = answers.methods.index(answers.baseline)
    found = {}
    for k, method in enumerate(answers.methods):
        if k != base:
            one = compared(answers, figure, jackknife).differences[min(k, base), max(k, base)]
            ends = one.interval
            turned = ends if k < base else Interval(-ends.estimate, -ends.high, -ends.low)
            found[method] = (turned, one.p)
    return found


def _compared(answers: StudyAnswers) -> Table:
    rows = []
    for figure in FIGURES:
        study = compared(answers, figure)
        other = _differences(answers, figure, True)
        mine = _differences(answers, figure)
        adjusted = adjusted_p_values([p for _, p in mine.values()])
        for (method, (gap, p)), corrected in zip(mine.items(), adjusted, strict=True):
            better = -1 if figure == "error" else 1
            cells = [text_cell(_NAMES[figure], tone="strong"), versus_cell(method, answers.baseline)]
            cells += [difference_cell(gap, 3, better=better, significant=not corrected >= 0.05)]
            cells += [number_cell(v, 3) for v in (p, other[method][1], corrected)]
            rows.append([*cells, Cell(f"F = {number(study.f, 2)}", f"p = {number(study.p, 3)}", study.p)])
    whom = "other cases read by these programs" if answers.study.record.programs else "other readers and other cases"
    note = (
        f"Obuchowski and Rockette's analysis with Hillis's degrees of freedom; the result is for {whom}. DBM: the same "
        "with the jackknife's covariances. Holm: p corrected over the methods. Readers of a split-plot share no cases "
        f"between groups, which the covariances take into account. {_READ}"
    )
    headings = {"figure": "Figure", "comparison": "Difference", "difference": "Mean over readers", "p": "p"}
    headings |= {"p_dbm": "p, DBM", "p_holm": "p, Holm", "overall": "All methods alike?"}
    return _table("mrmc", "Several readers and cases", note, headings, rows, grouped=True)


def _paired(answers: StudyAnswers) -> Table:
    base, rows = answers.methods.index(answers.baseline), []
    for k, method in enumerate(answers.methods):
        if k == base:
            continue
        ours, theirs = answers.errors[k], answers.errors[base]
        for r, reader in enumerate(answers.readers):
            worse, better = int(((ours[r] == 1) & (theirs[r] == 0)).sum()), int(((ours[r] == 0) & (theirs[r] == 1)).sum())
            counts = [Cell(str(n), "", n) for n in (worse, better)]
            p = number_cell(mcnemar(worse, better), 3)
            rows.append([versus_cell(method, answers.baseline), text_cell(reader), *counts, text_cell("–"), p])
        known = ~np.isnan(ours - theirs)
        who = [answers.subjects[n] for n in np.nonzero(known)[1]]
        gap = mean_difference((ours - theirs)[known], who)
        counts = [Cell(str(n), "", n) for n in (int(((ours - theirs) == s).sum()) for s in (1, -1))]
        cells = [difference_cell(gap.interval, 3, better=-1), number_cell(gap.p, 3)]
        rows.append([versus_cell(method, answers.baseline), text_cell("all", tone="strong"), *counts, *cells])
    note = (
        "The same cases, read by the same readers. Of one reader McNemar's exact p; of all the mean difference of the "
        f"error by subject (bootstrap interval, paired t), which holds for these readers. {_READ}"
    )
    headings = {"comparison": "Difference", "reader": "Reader", "worse": "Wrong only with the first"}
    headings |= {"better": "Wrong only with the second", "difference": "Error", "p": "p"}
    return _table("paired", "Errors, paired by case", note, headings, rows, grouped=True)


def _agreement(answers: StudyAnswers) -> list[Table]:
    rows = [
        [name_cell(m, tone="strong"), estimate_cell(answers.agreement(k), 2), estimate_cell(answers.with_truth(k), 2)]
        for k, m in enumerate(answers.methods)
    ]
    note = f"κ of the decisions: Fleiss's between readers; Cohen's of a reader and the truth, mean over readers. {_READ}"
    headings = {"method": "Images", "readers": "Between readers", "truth": "With the truth"}
    between = _table("agreement", "Agreement", note, headings, rows)
    own = []
    for reader in answers.readers:
        count, same, kappa = answers.repeated(reader)
        own.append([text_cell(reader, tone="strong"), rate_cell(exact_rate(same, count), same, count), estimate_cell(kappa, 2)])
    note = "Hidden repeats: the same image again in a later session. Exact interval of the share, κ by subject."
    headings = {"reader": "Reader", "same": "Same decision", "kappa": "κ"}
    return [between, _table("repeats", "Agreement of readers with themselves", note, headings, own)]


def _means(answers: StudyAnswers, method: str, column: str) -> Interval:
    mine = answers.read[answers.read["method"] == method]
    return mean_interval(mine[column].to_numpy(float), list(mine["subject"]))


def _quality(answers: StudyAnswers) -> Table:
    likert, choices = answers.study.form.of_type("likert"), answers.study.form.of_type("choices")
    headings = {"method": "Images", **{q.id: f"{q.text} (1 to {q.points})" for q in likert}}
    headings |= {f"{q.id}_{k + 1}": option for q in choices for k, option in enumerate(q.options)}
    rows = []
    for method in answers.methods:
        mine = answers.read[answers.read["method"] == method]
        cells = [name_cell(method, tone="strong"), *(estimate_cell(_means(answers, method, q.id), 2) for q in likert)]
        for q in choices:
            named = [str(text).split("; ") for text in mine[q.id]]
            counts = [sum(option in one for one in named) for option in q.options]
            cells += [Cell(f"{n}/{len(mine)}", "", n / max(1, len(mine))) for n in counts]
        rows.append([*cells, number_cell(float(mine["seconds"].median()), 0)])
    note = f"Mean grade, how often an artefact was named, and the median time of a case in seconds. {_READ}"
    return _table("quality", "Quality and time", note, headings | {"seconds": "Seconds"}, rows)


def _marks(answers: StudyAnswers) -> list[Table]:
    if not answers.study.form.of_type("marks"):
        return []
    rows = []
    for method in answers.methods:
        mine = answers.read[(answers.read["method"] == method) & (answers.read["lesions"] > 0)]
        share = mean_interval((mine["found"] / mine["lesions"]).to_numpy(float), list(mine["subject"]))
        cells = [estimate_cell(share, 2), estimate_cell(_means(answers, method, "false_marks"), 2)]
        rows.append([name_cell(method, tone="strong"), Cell(f"{mine['found'].sum():g}/{mine['lesions'].sum():g}", "", None), *cells])
    note = f"A mark within the radius of a lesion, at least {answers.study.form.acceptance_mm:g} mm, has found it. {_READ}"
    headings = {"method": "Images", "found": "Lesions found", "share": "Share, mean over subjects", "false": "False marks an image"}
    return [_table("marks", "Lesions marked", note, headings, rows)]


def _plan(answers: StudyAnswers, effect: float) -> Table:
    study = compared(answers, "auc")
    random = "cases" if answers.study.record.programs else "both"
    rows = []
    for readers in _PLANNED:
        cases = cases_for_readers(study.components, effect, readers, random=random)
        power = mrmc_power(study.components, effect, readers, study.components.cases, random=random)
        rows.append([Cell(str(readers), "", readers), Cell("–" if cases is None else str(cases), "", cases), number_cell(power, 2)])
    note = (
        f"For a difference of {effect:g} in mean AUC between two methods, power 0.8 at 0.05, from this study's variance "
        f"components (Hillis, Obuchowski and Berbaum 2011) and its share of positives; – where no number of cases is "
        f"enough. Last column: power with the {study.components.cases} cases of this study. A pilot's components are "
        "themselves uncertain."
    )
    headings = {"readers": "Readers", "cases": "Cases needed", "power": "Power with these cases"}
    return _table("plan", "The next study", note, headings, rows)


def by_method(answers: StudyAnswers) -> dict[str, dict[str, list[float | None]]]:
    """Mean over readers with its ends of each figure and method, and wrong decisions of all, for the record."""
    out: dict[str, dict[str, list[float | None]]] = {}
    for k, method in enumerate(answers.methods):
        error = answers.error(k)
        rates = {"error": error.interval, "sensitivity": answers.rate(k, 1).interval, "specificity": answers.rate(k, 0).interval}
        rates["auc"] = compared(answers, "auc").methods[k]
        out[method] = {name: [_plain(v) for v in (i.estimate, i.low, i.high)] for name, i in rates.items()}
        out[method]["wrong"] = [error.wrong, error.decisions]
    return out


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)


def findings(answers: StudyAnswers) -> list[str]:
    """Who read what, and each method against the baseline."""
    positive = int(answers.truth.sum())
    sentences = [
        f"{who_reads(answers.study)} read {len(answers.cases)} cases ({positive} positive) in {len(answers.methods)} kinds "
        f"of image, {len(answers.read)} readings."
    ]
    for figure in ("error", "auc"):
        gaps = _differences(answers, figure)
        for (method, (gap, _)), p in zip(gaps.items(), adjusted_p_values([p for _, p in gaps.values()]), strict=True):
            shown = gap.excludes(0.0) and p < 0.05
            values = dict(zip(answers.methods, compared(answers, figure).methods, strict=True))
            text = f"{_NAMES[figure]} {number(values[method].estimate, 2)} with {display_name(method)}, "
            text += f"{number(values[answers.baseline].estimate, 2)} with {display_name(answers.baseline)}: difference "
            sentences.append(text + f"{interval_text(gap, 2, sign=True)}{'' if shown else ', not shown to be one'}.")
    return sentences


def charts(answers: StudyAnswers, folder: Path) -> list[PageFigure]:
    """ROC curves of each reader, and error rates."""
    path, scores = folder / "roc.png", answers.table("score")
    with panel_axes(len(answers.readers), (3.0, 3.1), sharex=True, sharey=True) as (figure, axes):
        for r, (axis, reader) in enumerate(zip(axes, answers.readers, strict=True)):
            for k, method in enumerate(answers.methods):
                colour, marker = method_style(method, answers.methods)
                axis.plot(*_curve(scores[k, r], answers.truth), color=colour, marker=marker, markersize=3, label=display_name(method))
            axis.plot([0, 1], [0, 1], color="#bbb", linewidth=0.7, zorder=0)
            axis.set(title=reader, xlabel="1 − specificity", aspect="equal")
        axes[0].set_ylabel("sensitivity")
        axes[-1].legend(loc="lower right")
        save_figure(figure, path)
    caption = "Each point is a step of confidence, from “surely positive” to “surely negative”."
    found = [PageFigure(path, "ROC curves", caption)]
    with axes_figure(1, 1, (6.5, 0.5 + 0.42 * len(answers.methods))) as (figure, grid):
        axis = grid[0][0]
        for k, method in enumerate(answers.methods):
            rate, (colour, marker) = answers.error(k).interval, method_style(method, answers.methods)
            ends = [[rate.estimate - rate.low], [rate.high - rate.estimate]]
            axis.errorbar([rate.estimate], [-k], xerr=ends, color=colour, marker=marker, capsize=3)
            each = [answers.error(k, r).interval.estimate for r in range(len(answers.readers))]
            axis.plot(each, [-k - 0.22] * len(each), "|", color=colour, alpha=0.6)
        axis.set_yticks([-k for k in range(len(answers.methods))], [display_name(m) for m in answers.methods])
        axis.set(xlabel="error rate", xlim=(-0.02, 1))
        path = save_figure(figure, folder / "errors.png")
    return [*found, PageFigure(path, "Error rates", "All readers with the exact interval; ticks below: each reader.")]


def _curve(scores: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """False and true positive shares at each cut, from (0, 0) to (1, 1)."""
    known = ~np.isnan(scores)
    values, positive = scores[known], truth[known] > 0.5
    cuts = [math.inf, *np.unique(values)[::-1]]
    shares = [[float((values[kind] >= cut).mean()) if kind.any() else math.nan for cut in cuts] for kind in (~positive, positive)]
    return shares[0], shares[1]
