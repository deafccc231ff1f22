"""``taskgan readers analyse``: the figures of a study, from its answers."""

import math
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from taskgan.core.artefact import commit, is_done
from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, versions, write_text
from taskgan.core.lock import locked
from taskgan.page.cells import write_table
from taskgan.page.style import render_template
from taskgan.readers.answers import answers_digest, read_answers
from taskgan.readers.study import ReaderStudyFolder, read_study
from taskgan.stats import (
    ErrorRate,
    Interval,
    ReaderStudy,
    cohen_kappa,
    error_rate,
    fleiss_kappa,
    obuchowski_rockette,
    reader_figures,
)
from taskgan.stats.mrmc import CovarianceMethod, Figure

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
RECORD, PAGE = "analysis.yaml", "readers.html"
FIGURES: tuple[Figure, ...] = ("auc", "sensitivity", "specificity", "error")


@dataclass(frozen=True, eq=False)
class StudyAnswers:
    """First readings as arrays (methods, readers, cases), NaN where a reader has not read one."""

    study: ReaderStudyFolder
    frame: "pd.DataFrame"
    baseline: str

    @property
    def methods(self) -> tuple[str, ...]:
        """In the order of the study: input first, clean last."""
        return self.study.record.methods

    @cached_property
    def read(self) -> "pd.DataFrame":
        """First readings, without training."""
        return self.frame[(self.frame["training"] == 0) & (self.frame["repeat"] == 0)]

    @cached_property
    def readers(self) -> list[str]:
        """Those who have read at least one case."""
        return [name for name in self.study.record.readers if (self.read["reader"] == name).any()]

    @cached_property
    def cases(self) -> "pd.DataFrame":
        """``subject`` and ``truth`` of each case that was read."""
        return self.read.groupby("case", sort=True)[["subject", "truth"]].first()

    @property
    def subjects(self) -> list[str]:
        """Of each case."""
        return list(self.cases["subject"])

    @property
    def truth(self) -> Array:
        """Of each case, 0 or 1."""
        return self.cases["truth"].to_numpy(dtype=np.float64)

    def table(self, column: str) -> Array:
        """(T, R, N) of a column of numbers."""
        out = np.full((len(self.methods), len(self.readers), len(self.cases)), math.nan)
        places = [
            [list(names).index(v) for v in self.read[key]]
            for key, names in (("method", self.methods), ("reader", self.readers))
        ]
        out[places[0], places[1], self.cases.index.get_indexer(self.read["case"])] = self.read[column]
        return out

    @cached_property
    def errors(self) -> Array:
        """(T, R, N): 1 where the decision is wrong."""
        decisions = self.table("decision")
        return np.where(np.isnan(decisions), math.nan, decisions != self.truth)

    def error(self, method: int, reader: int | None = None) -> ErrorRate:
        """Wrong decisions of one reader or of all."""
        rows = self.errors[method] if reader is None else self.errors[method, reader]
        return error_rate(rows, self.subjects)

    def rate(self, method: int, truth: int) -> ErrorRate:
        """Right decisions of all readers on positive (sensitivity) or negative cases (specificity)."""
        mine = self.truth == truth
        return error_rate(1 - self.errors[method][:, mine], [s for s, k in zip(self.subjects, mine, strict=True) if k])

    def compared(self, figure: Figure, covariance: CovarianceMethod = "delong") -> ReaderStudy:
        """Obuchowski and Rockette's analysis; with the jackknife it is that of DBM."""
        scores = self.table("score" if figure == "auc" else "decision")
        values = reader_figures(scores, self.truth, self.subjects, figure=figure, covariance=covariance)
        # Programs are not drawn from any others: the result is for other cases alone.
        return obuchowski_rockette(values, random="cases" if self.study.record.programs else "both")

    def agreement(self, method: int) -> Interval:
        """Fleiss's κ over the readers of each case, who need not be the same ones of every case."""
        ratings = np.sort(self.table("decision")[method], axis=0)  # NaN is last
        each = (~np.isnan(ratings)).sum(axis=0)
        fewest = int(each.min(initial=len(ratings), where=each > 0))
        if fewest < 2:
            return Interval(math.nan, math.nan, math.nan)
        return fleiss_kappa(ratings[:fewest], self.subjects)

    def with_truth(self, method: int) -> Interval:
        """κ of decisions and truth, mean over readers who have the same cases."""
        ratings = self.table("decision")[method]
        shared = ratings[~np.isnan(ratings).all(axis=1)]
        if np.isnan(shared).any():  # split-plot or unfinished: each reading is a row of its own
            known = ~np.isnan(shared)
            places = np.nonzero(known)[1]
            return cohen_kappa(shared[known], self.truth[places], [self.subjects[k] for k in places])
        return cohen_kappa(shared, np.broadcast_to(self.truth, shared.shape), self.subjects)

    def repeated(self, reader: str) -> tuple[int, int, Interval]:
        """Hidden repeats of a reader: how many, how many with the same decision, and κ."""
        keys = ["reader", "case", "method"]
        again = self.frame[(self.frame["repeat"] == 1) & (self.frame["reader"] == reader)]
        both = again.merge(self.read, on=keys, suffixes=("", "_first"))
        one, two = both["decision_first"].to_numpy(float), both["decision"].to_numpy(float)
        nothing = Interval(math.nan, math.nan, math.nan)
        kappa = cohen_kappa(one, two, list(both["subject"])) if len(both) else nothing
        return len(both), int((one == two).sum()), kappa


def analyse_study(
    study: PathLike,
    out: PathLike | None = None,
    *,
    baseline: str = "input",
    plan: float | None = None,
    overwrite: bool = False,
) -> Path:
    """Analyse what has been answered so far.

    Args:
        study: The study's folder.
        out: Folder to make: ``tables/*.csv``, ``figures/*.png``, ``readers.html`` and, last, ``analysis.yaml``; None
            is ``analysis`` in the study.
        baseline: Kind of image that the others are compared with.
        plan: Difference of mean AUC that a next study is to show.
        overwrite: Replace an analysis of other answers.

    Returns:
        The page.

    Raises:
        UserError: If there are no answers, the baseline is none of the study's, or another analysis is already there.
    """
    absent = [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]
    if absent:
        raise UserError(f"an analysis needs {' and '.join(absent)}, not installed here: pip install 'taskgan[readers]'")
    from taskgan.readers.tables import all_tables, by_method, charts, findings

    read = read_study(Path(study))
    if baseline not in read.record.methods:
        raise UserError(f"--baseline {baseline}: the study has {', '.join(read.record.methods)}")
    if plan is not None and not 0 < plan < 1:
        raise UserError(f"--plan {plan:g}: expected a difference of AUC between 0 and 1, e.g. 0.05")
    frame = read_answers(read)
    folder = Path(out) if out is not None else Path(study) / "analysis"
    digest = answers_digest(read, frame, baseline=baseline, plan=plan)
    page = folder / PAGE
    with locked(folder, "the analysis"):
        if not overwrite and is_done(folder / RECORD, digest):
            return page
        for path in (folder / RECORD, page):
            path.unlink(missing_ok=True)
        answers = StudyAnswers(read, frame, baseline)
        tables = all_tables(answers, plan)
        files = [write_table(table, folder / "tables") for table in tables]
        pictures = charts(answers, folder / "figures")
        sentences, warnings = findings(answers), _warnings(answers)
        text = render_template(
            "taskgan.readers",
            "readers.html",
            title=read.form.title,
            who=who_reads(read),
            sentences=sentences,
            warnings=warnings,
            tables=tables,
            charts={one.path.stem: one for one in pictures},
            versions=versions(),
        )
        with_page = [*files, *(one.path for one in pictures), page]
        write_text(page, text)
        record = {"readers": who_reads(read), "title": read.form.title, "sentences": sentences, "warnings": warnings}
        record |= {"by_method": by_method(answers), "versions": versions(), "request": digest}
        commit(folder / RECORD, record, with_page)
    for sentence in (*sentences, *(f"note: {text}" for text in warnings)):
        say(sentence)
    say(f"analysis: {page}")
    return page


def who_reads(study: ReaderStudyFolder) -> str:
    """What must stand beside every figure of the study."""
    count = len(study.record.readers)
    return f"{count} model observers (programs, no people)" if study.record.programs else f"{count} readers"


def _warnings(answers: StudyAnswers) -> list[str]:
    study = answers.study
    found = []
    if study.record.programs:
        found.append(
            "The readers are programs that rate a simple feature of the image: this shows that the study works, and says "
            "nothing of how people read. Intervals are for other cases read by these programs."
        )
    for name in study.record.readers:
        mine, asked = answers.frame[answers.frame["reader"] == name], study.of_reader(name)
        if len(mine) < len(asked):
            found.append(f"{name} has read {len(mine)} of {len(asked)} images; what is missing is left out.")
    count = len(set(answers.subjects))
    if count < 30:
        found.append(f"{count} subjects are few: intervals are wide, and no difference shown is no equality.")
    return found

