"""Tables, the figure and sentences of a study's analysis."""

import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from taskgan.core.files import read_yaml
from taskgan.page.cells import (
    Cell,
    Column,
    Table,
    difference_cell,
    display_name,
    estimate_cell,
    interval_text,
    name_cell,
    number,
    number_cell,
    rate_cell,
    text_cell,
    versus_cell,
)
from taskgan.page.style import PageFigure, method_style, panel_axes, save_figure
from taskgan.readers.analyse import FIGURES, StudyAnswers
from taskgan.readers.answers import who_reads
from taskgan.stats import (
    adjusted_p_values,
    auc_interval,
    cases_for_readers,
    error_rate,
    exact_rate,
    mcnemar,
    mean_difference,
    mean_interval,
    mrmc_power,
)

if TYPE_CHECKING:
    import pandas as pd

_NAMES = {"auc": "AUC", "sensitivity": "Sensitivity", "specificity": "Specificity", "error": "Error rate"}
_MOST_READERS = 6  # columns of the page; the CSV has all
_PLANNED = (2, 3, 4, 5, 6, 8, 10, 15, 20)


def _table(name: str, rows: Sequence[Sequence[Cell]], before: dict[str, str] | None = None, **filled: object) -> Table:
    """A table whose words stand in ``templates/tables.yaml``, with further columns before its own."""
    texts = read_yaml(Path(str(resources.files("taskgan.readers") / "templates" / "tables.yaml")))[name]
    headings = {**(before or {}), **texts["columns"]}
    columns = tuple(Column(key, text.strip("*"), hidden=text.startswith("*")) for key, text in headings.items())
    note, grouped = texts["note"].format(**filled), name in ("mrmc", "paired")
    return Table(name, texts["title"], note, columns, tuple(map(tuple, rows)), grouped=grouped)


def all_tables(answers: StudyAnswers, plan: float | None) -> list[Table]:
    """Every table, in the order of the page."""
    tables = [*_by_reader(answers), _compared(answers), _paired(answers), *_agreement(answers), _quality(answers)]
    tables += [_marks(answers) for _ in answers.study.form.of_type("marks")]
    return tables + [_plan(answers, effect) for effect in (plan,) if effect]


def _by_reader(answers: StudyAnswers) -> list[Table]:
    """Table 3 of the paper, and AUC."""
    errors, areas, subjects, scores = [], [], answers.subjects, answers.table("score")
    for k, method in enumerate(answers.methods):
        rates = [error_rate(rows, subjects) for rows in (*answers.errors[k], answers.errors[k])]
        for truth in (1, 0):  # right decisions: sensitivity, specificity
            mine = np.flatnonzero(answers.truth == truth)
            rates.append(error_rate(1 - answers.errors[k][:, mine], [subjects[n] for n in mine]))
        name = name_cell(method, tone="strong")
        errors.append([name, *(rate_cell(one.interval, one.wrong, one.decisions) for one in rates)])
        own = [auc_interval(row, answers.truth, subjects) for row in scores[k]]
        areas.append([name, *(estimate_cell(i, 3) for i in (*own, answers.compared["auc", "or"].methods[k]))])
    hidden = "*" * (len(answers.readers) > _MOST_READERS)
    before = {"method": "Images", **{f"reader_{k + 1}": hidden + name for k, name in enumerate(answers.readers)}}
    return [_table("errors", errors, before), _table("auc", areas, before)]


def _compared(answers: StudyAnswers) -> Table:
    others, rows = [m for m in answers.methods if m != answers.baseline], []
    for figure in FIGURES:
        study, differences = answers.compared[figure, "or"], [answers.difference(figure, m) for m in others]
        adjusted = adjusted_p_values([p for _, p in differences])
        overall = Cell(f"F = {number(study.f, 2)}", f"p = {number(study.p, 3)}", study.p)
        for method, (gap, p), holm in zip(others, differences, adjusted, strict=True):
            better, dbm = -1 if figure == "error" else 1, answers.difference(figure, method, "dbm")[1]
            cells = [text_cell(_NAMES[figure], tone="strong"), versus_cell(method, answers.baseline)]
            cells += [difference_cell(gap, 3, better=better, significant=holm < 0.05)]
            rows.append([*cells, *(number_cell(value, 3) for value in (p, dbm, holm)), overall])
    whom = "other cases read by these programs" if answers.random == "cases" else "other readers and other cases"
    return _table("mrmc", rows, whom=whom)


def _paired(answers: StudyAnswers) -> Table:
    base, rows = answers.errors[answers.methods.index(answers.baseline)], []
    for method, errors in zip(answers.methods, answers.errors, strict=True):
        if method == answers.baseline:
            continue
        gaps, name = errors - base, versus_cell(method, answers.baseline)
        for reader, own in zip((*answers.readers, "all"), (*gaps, gaps), strict=True):
            worse, better = (int((own == sign).sum()) for sign in (1, -1))
            cells = [name, text_cell(reader), *(Cell(str(n), "", n) for n in (worse, better))]
            if reader != "all":
                rows.append([*cells, text_cell("–"), number_cell(mcnemar(worse, better), 3)])
                continue
            known = np.argwhere(~np.isnan(gaps))
            difference = mean_difference(gaps[tuple(known.T)], [answers.subjects[n] for _, n in known])
            rows.append([*cells, difference_cell(difference.interval, 3, better=-1), number_cell(difference.p, 3)])
    return _table("paired", rows)


def _agreement(answers: StudyAnswers) -> list[Table]:
    rows = [
        [name_cell(m, tone="strong"), estimate_cell(answers.agreement(k), 2), estimate_cell(answers.with_truth(k), 2)]
        for k, m in enumerate(answers.methods)
    ]
    own = []
    for reader in answers.readers:
        count, same, kappa = answers.repeated(reader)
        share = rate_cell(exact_rate(same, count), same, count)
        own.append([text_cell(reader, tone="strong"), share, estimate_cell(kappa, 2)])
    return [_table("agreement", rows), _table("repeats", own)]


def _quality(answers: StudyAnswers) -> Table:
    likert, choices = answers.study.form.of_type("likert"), answers.study.form.of_type("choices")
    headings = {"method": "Images", **{q.id: f"{q.text} (1 to {q.points})" for q in likert}}
    headings |= {f"{q.id}_{k + 1}": option for q in choices for k, option in enumerate(q.options)}
    rows = []
    for method, mine in _of_methods(answers):
        cells = [estimate_cell(mean_interval(mine[q.id].to_numpy(float), list(mine["subject"])), 2) for q in likert]
        for q in choices:
            counts = [sum(option in str(text).split("; ") for text in mine[q.id]) for option in q.options]
            cells += [Cell(f"{n}/{len(mine)}", "", n / max(1, len(mine))) for n in counts]
        rows.append([name_cell(method, tone="strong"), *cells, number_cell(float(mine["seconds"].median()), 0)])
    return _table("quality", rows, headings)


def _of_methods(answers: StudyAnswers) -> list[tuple[str, "pd.DataFrame"]]:
    return [(method, answers.read[answers.read["method"] == method]) for method in answers.methods]


def _marks(answers: StudyAnswers) -> Table:
    rows = []
    for method, mine in _of_methods(answers):
        subjects, some = list(mine["subject"]), mine["lesions"].where(mine["lesions"] > 0)
        count = f"{mine['found'].sum()}/{mine['lesions'].sum()}"
        means = [mean_interval(v.to_numpy(float), subjects) for v in (mine["found"] / some, mine["false_marks"])]
        rows.append([name_cell(method, tone="strong"), text_cell(count), *(estimate_cell(one, 2) for one in means)])
    return _table("marks", rows, acceptance=f"{answers.study.form.acceptance_mm:g}")


def _plan(answers: StudyAnswers, effect: float) -> Table:
    parts, rows = answers.compared["auc", "or"].components, []
    for readers in _PLANNED:
        cases = cases_for_readers(parts, effect, readers, random=answers.random)
        power = number_cell(mrmc_power(parts, effect, readers, parts.cases, random=answers.random), 2)
        rows.append([Cell(str(readers), "", readers), Cell("–" if cases is None else str(cases), "", cases), power])
    return _table("plan", rows, effect=f"{effect:g}", cases=parts.cases)


def by_method(answers: StudyAnswers) -> dict[str, dict[str, list[float | None]]]:
    """Wrong decisions of all readers, error rate and AUC with their ends, of each method: for the record."""
    out: dict[str, dict[str, list[float | None]]] = {}
    for k, method in enumerate(answers.methods):
        error = error_rate(answers.errors[k], answers.subjects)
        out[method] = {"wrong": [error.wrong, error.decisions]}
        for name, one in (("error", error.interval), ("auc", answers.compared["auc", "or"].methods[k])):
            out[method][name] = [None if math.isnan(v) else round(v, 6) for v in (one.estimate, one.low, one.high)]
    return out


def findings(answers: StudyAnswers) -> list[str]:
    """Who read what, and each method against the baseline."""
    others = [method for method in answers.methods if method != answers.baseline]
    sentences = [
        f"{who_reads(answers.study)} read {len(answers.cases)} cases ({answers.truth.sum():g} positive) in "
        f"{len(answers.methods)} kinds of image, {len(answers.read)} readings."
    ]
    for figure in FIGURES[:2]:
        means = dict(zip(answers.methods, answers.compared[figure, "or"].methods, strict=True))
        gaps = [answers.difference(figure, method) for method in others]
        for method, (gap, _), p in zip(others, gaps, adjusted_p_values([p for _, p in gaps]), strict=True):
            values = [f"{number(means[m].estimate, 2)} with {display_name(m)}" for m in (method, answers.baseline)]
            unsure = "" if gap.excludes(0.0) and p < 0.05 else ", not shown to be one"
            text = f"{_NAMES[figure]} {', '.join(values)}"
            sentences.append(f"{text}: difference {interval_text(gap, 2, sign=True)}{unsure}.")
    return sentences


def roc_chart(answers: StudyAnswers, folder: Path) -> PageFigure:
    """ROC curves of each reader."""
    scores = answers.table("score")
    with panel_axes(len(answers.readers), (3.0, 3.1), sharex=True, sharey=True) as (figure, axes):
        for r, (axis, reader) in enumerate(zip(axes, answers.readers, strict=True)):
            for k, method in enumerate(answers.methods):
                colour, marker = method_style(method, answers.methods)
                known = ~np.isnan(scores[k, r])
                values, truth = scores[k, r][known], answers.truth[known]
                if len(set(truth.tolist())) == 2:
                    cuts = [math.inf, *np.unique(values)[::-1]]
                    shares = [[(values[truth == kind] >= cut).mean() for cut in cuts] for kind in (0, 1)]
                    axis.plot(*shares, color=colour, marker=marker, markersize=3, label=display_name(method))
            axis.plot([0, 1], [0, 1], color="#bbb", linewidth=0.7, zorder=0)
            axis.set(title=reader, xlabel="1 − specificity", aspect="equal")
        axes[0].set_ylabel("sensitivity")
        axes[-1].legend(loc="lower right")
        path = save_figure(figure, folder / "roc.png")
    return PageFigure(
        path, "ROC curves", "Each point is a step of confidence, from “surely positive” to “surely negative”."
    )
