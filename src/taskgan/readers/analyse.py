"""``taskgan readers analyse``: the figures of a study, from its answers."""

import math
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from taskgan.core.artefact import commit, is_done
from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, versions, write_text
from taskgan.core.lock import locked
from taskgan.page.cells import write_table
from taskgan.page.style import render_template
from taskgan.readers.answers import answers_digest, read_answers, who_reads
from taskgan.readers.study import ReaderStudyFolder, read_study
from taskgan.stats import Interval, ReaderStudy, cohen_kappa, fleiss_kappa, obuchowski_rockette, reader_figures
from taskgan.stats.mrmc import Figure, Random

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
FIGURES: tuple[Figure, ...] = ("error", "auc", "sensitivity", "specificity")
UNKNOWN = Interval(math.nan, math.nan, math.nan)


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

    @cached_property
    def subjects(self) -> list[str]:
        """Of each case."""
        return list(self.cases["subject"])

    @cached_property
    def truth(self) -> Array:
        """Of each case, 0 or 1."""
        return self.cases["truth"].to_numpy(dtype=np.float64)

    def table(self, column: str) -> Array:
        """(T, R, N) of a column of numbers."""
        names: tuple[list[str], ...] = (list(self.methods), self.readers, list(self.cases.index))
        out = np.full([len(one) for one in names], math.nan)
        keys = zip(("method", "reader", "case"), names, strict=True)
        out[tuple([known.index(v) for v in self.read[key]] for key, known in keys)] = self.read[column]
        return out

    @cached_property
    def errors(self) -> Array:
        """(T, R, N): 1 where the decision is wrong."""
        decisions = self.table("decision")
        return np.where(np.isnan(decisions), math.nan, decisions != self.truth)

    @property
    def random(self) -> Random:
        """What a result holds for: programs are not drawn from any others, so for other cases alone."""
        return "cases" if self.study.record.programs else "both"

    @cached_property
    def compared(self) -> dict[tuple[Figure, str], ReaderStudy]:
        """Obuchowski and Rockette's analysis of each figure; with the jackknife (``dbm``) that of DBM."""
        studies: dict[tuple[Figure, str], ReaderStudy] = {}
        for figure in FIGURES:
            scores = self.table("score" if figure == "auc" else "decision")
            for name in ("or", "dbm"):
                kind: Any = "delong" if name == "or" else "jackknife"
                values = reader_figures(scores, self.truth, self.subjects, figure=figure, covariance=kind)
                studies[figure, name] = obuchowski_rockette(values, random=self.random)
        return studies

    def difference(self, figure: Figure, method: str, kind: str = "or") -> tuple[Interval, float]:
        """A method minus the baseline, mean over readers, and p."""
        one, base = self.methods.index(method), self.methods.index(self.baseline)
        result = self.compared[figure, kind].differences[min(one, base), max(one, base)]
        ends = result.interval
        return (ends if one < base else Interval(0 - ends.estimate, 0 - ends.high, 0 - ends.low)), result.p

    def agreement(self, method: int) -> Interval:
        """Fleiss's κ over the readers of each case, who need not be the same ones of every case."""
        ratings = np.sort(self.table("decision")[method], axis=0)  # NaN is last
        fewest = int((~np.isnan(ratings)).sum(axis=0).min())
        return fleiss_kappa(ratings[:fewest], self.subjects) if fewest > 1 else UNKNOWN

    def with_truth(self, method: int) -> Interval:
        """κ of the decisions of all readers and the truth."""
        ratings = self.table("decision")[method]
        known = ~np.isnan(ratings)
        places = np.nonzero(known)[1]
        return cohen_kappa(ratings[known], self.truth[places], [self.subjects[k] for k in places])

    def repeated(self, reader: str) -> tuple[int, int, Interval]:
        """Hidden repeats of a reader: how many, how many with the same decision, and κ."""
        again = self.frame[(self.frame["repeat"] == 1) & (self.frame["reader"] == reader)]
        both = again.merge(self.read, on=["reader", "case", "method"], suffixes=("", "_first"))
        one, two = both["decision_first"].to_numpy(float), both["decision"].to_numpy(float)
        kappa = cohen_kappa(one, two, list(both["subject"])) if len(both) else UNKNOWN
        return len(both), int((one == two).sum()), kappa


def analyse_study(
    study: PathLike,
    out: PathLike | None = None,
    *,
    baseline: str = "input",
    plan: float | None = None,
    overwrite: bool = False,
) -> Path:
    """Analyse what has been answered so far: tables, ROC, ``readers.html`` and, last, ``analysis.yaml``.

    Args:
        study: The study's folder, in whose ``analysis`` the result is where ``out`` is None.
        out: Another folder.
        baseline: Kind of image that the others are compared with.
        plan: Difference of mean AUC that a next study is to show.
        overwrite: Replace an analysis of other answers.

    Raises:
        UserError: If there are no answers, the baseline is none of the study's, or another analysis is already there.
    """
    absent = [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]
    if absent:
        raise UserError(f"an analysis needs {' and '.join(absent)}, not installed here: pip install 'taskgan[readers]'")
    from taskgan.readers.tables import all_tables, by_method, findings, roc_chart

    read = read_study(Path(study))
    if baseline not in read.record.methods:
        raise UserError(f"--baseline {baseline}: the study has {', '.join(read.record.methods)}")
    if plan is not None and not 0 < plan < 1:
        raise UserError(f"--plan {plan:g}: expected a difference of AUC between 0 and 1, e.g. 0.05")
    answers = StudyAnswers(read, read_answers(read), baseline)
    folder = Path(out) if out is not None else Path(study) / "analysis"
    marker, page = folder / "analysis.yaml", folder / "readers.html"
    digest = answers_digest(read, answers.frame, baseline=baseline, plan=plan)
    with locked(folder, "the analysis"):
        if not overwrite and is_done(marker, digest):
            return page
        marker.unlink(missing_ok=True)
        page.unlink(missing_ok=True)
        tables = all_tables(answers, plan)
        files = [write_table(table, folder / "tables") for table in tables]
        chart = roc_chart(answers, folder / "figures")
        said: dict[str, Any] = {"title": read.form.title, "readers": who_reads(read)}
        said |= {"sentences": findings(answers), "warnings": _warnings(answers), "versions": versions()}
        write_text(
            page, render_template("taskgan.readers", "readers.html", tables=tables, charts={"roc": chart}, **said)
        )
        commit(marker, said | {"by_method": by_method(answers), "request": digest}, [*files, chart.path, page])
    for sentence in (*said["sentences"], *(f"note: {text}" for text in said["warnings"])):
        say(sentence)
    say(f"analysis: {page}")
    return page


def _warnings(answers: StudyAnswers) -> list[str]:
    warnings = []
    if answers.study.record.programs:
        warnings.append(
            "The readers are programs that rate a simple feature of the image: this shows that the study works, and "
            "says nothing of how people read. Intervals are for other cases read by these programs."
        )
    for name in answers.study.record.readers:
        done, assigned = int((answers.frame["reader"] == name).sum()), len(answers.study.of_reader(name))
        if done < assigned:
            warnings.append(f"{name} has read {done} of {assigned} images; what is missing is left out.")
    if (count := len(set(answers.subjects))) < 30:
        warnings.append(f"{count} subjects are few: intervals are wide, and no difference shown is no equality.")
    return warnings
