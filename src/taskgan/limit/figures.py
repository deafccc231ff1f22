"""What readers found: values, what is left to win, one sentence, one table, one picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taskgan.judges.metrics import reader_metrics
from taskgan.judges.readings import CLEAN, INPUT
from taskgan.judges.verification import ImagePairs, auc_difference_by_person, auc_interval_by_person
from taskgan.page.cells import Column, Table, display_name, estimate_cell, interval_text, text_cell
from taskgan.page.style import axes_figure, method_style, save_figure
from taskgan.stats import Interval, auc_difference, mean_difference


class Answer(NamedTuple):
    """The images that a reader was taught on, and those that it reads."""

    taught: str
    image: str


INPUTS = "inputs"  # all that a generator gets, where ``input`` is the degraded image alone
LIMIT, PLAIN, BEST = Answer(INPUTS, INPUTS), Answer(CLEAN, INPUT), Answer(CLEAN, CLEAN)


@dataclass(frozen=True)
class Answers:
    """Who read what, the names of the measures (the first counts), their values, and by how much one answer is better
    than another in the measure that counts, paired by subject."""

    known: Sequence[Answer]
    measures: tuple[str, ...]
    values: Callable[[Answer], tuple[Interval, ...]]
    gain: Callable[[Answer, Answer], Interval]


def read_answers(frames: Mapping[Answer, pd.DataFrame], error: str) -> Answers:
    """Of a property that is read from one image: readings by case and output, and the name of the kind's error.

    The AUC counts where one output is positive in some test subjects and negative in others, else the error.
    """
    rows = frames[LIMIT]
    area = rows.index.get_level_values("output").nunique() == 1 and set(rows["truth"].dropna()) == {0.0, 1.0}
    measures = ("AUC", error, "error") if area else (error, "error", "AUC")

    def _values(answer: Answer) -> tuple[Interval, ...]:
        metrics = reader_metrics(frames[answer], frames[BEST])
        by_name = {"AUC": metrics.auc, error: metrics.mae, "error": metrics.error}
        return tuple(by_name[name] for name in measures)

    def _gain(first: Answer, second: Answer) -> Interval:
        one, two = (frames[answer] for answer in (first, second))
        if area:
            return auc_difference(one["prediction"], two["prediction"], one["truth"], list(one["subject"])).interval
        output = one.index.get_level_values("output")
        mine = output == output[0]  # an image has one error, whatever its outputs
        return mean_difference((two["error"] - one["error"])[mine], list(one["subject"][mine])).interval

    return Answers(list(frames), measures, _values, _gain)


def verified_answers(distances: Mapping[Answer, NDArray[np.float64]], pairs: ImagePairs) -> Answers:
    """Of people who are told apart: distances (N,) of the test pairs; intervals by person."""
    return Answers(
        list(distances),
        ("AUC over pairs",),
        lambda answer: (auc_interval_by_person(distances[answer], pairs),),
        lambda first, second: auc_difference_by_person(distances[first], distances[second], pairs).interval,
    )


def limit_sentence(answers: Answers) -> str:
    """Whether a task network has anything to win, and what each method leaves of it."""

    def _signed(gap: Interval) -> str:
        return interval_text(gap, 3, sign=True)

    if PLAIN in answers.known:
        gap = answers.gain(LIMIT, PLAIN)
        words = "headroom for a task network here" if gap.low > 0 else "no headroom for a task network is shown here"
        parts = [f"{words}: {_signed(gap)} of {answers.measures[0]}"]
    else:
        values = [interval_text(answers.values(answer)[0], 3) for answer in (LIMIT, BEST)]
        parts = [f"{answers.measures[0]} of who was taught on the inputs {values[0]}, of clean images {values[1]}"]
    for answer in (one for one in answers.known if one.taught == CLEAN and one.image not in (CLEAN, INPUT)):
        left, own = answers.gain(LIMIT, answer), Answer(answer.image, answer.image)
        words = "leaves" if left.low > 0 else "already keeps all of it, as far as is shown: left"
        parts.append(f"{display_name(answer.image)} {words} {_signed(left)}")
        if own in answers.known and (more := answers.gain(own, answer)).low > 0:
            parts[-1] += f", and {_signed(more)} more is in its images for who is taught on them"
    if any(answers.gain(LIMIT, answer).high < 0 for answer in answers.known if answer not in (LIMIT, BEST)):
        # What was made of the inputs holds no more than they do.
        parts.append("the bound is too low: readers of the inputs find less than is in what was made of them")
    return "; ".join(parts) + "."


def limit_table(answers: Answers) -> Table:
    """Every answer with its measures, and what the readers of the inputs are better by."""
    names = ("Taught on", "Reads", *answers.measures, "Left to win")
    columns = tuple(Column(name.lower().replace(" ", "_"), name) for name in names)
    rows = []
    for answer in answers.known:
        values = [*answers.values(answer), answers.gain(LIMIT, answer)]
        rows.append((*map(text_cell, answer), *(estimate_cell(value, 3) for value in values)))
    return Table("limit", "What readers find", "", columns, tuple(rows))


def draw_limit(answers: Answers, path: Path) -> Path:
    """The measure that counts, of every answer; the line is what readers of the inputs reach."""
    with axes_figure(1, 1, (7.5, 0.8 + 0.32 * len(answers.known))) as (figure, ((axis,),)):
        for place, answer in enumerate(answers.known):
            value = answers.values(answer)[0]
            colour, marker = method_style(answer.image, [one.image for one in answers.known])
            axis.plot([value.low, value.high], [place, place], color=colour, linewidth=1.5)
            face = colour if answer.taught == CLEAN else "white"
            axis.plot(value.estimate, place, marker, color=colour, markerfacecolor=face, markersize=7)
        axis.axvline(answers.values(LIMIT)[0].estimate, color="#444444", linewidth=0.8, linestyle=":")
        names = [f"{display_name(a.image)}, read by who was taught on {display_name(a.taught)}" for a in answers.known]
        axis.set_yticks(range(len(names)), names)
        axis.set_xlabel(f"{answers.measures[0]}, 95 % by subject")
        axis.invert_yaxis()
        return save_figure(figure, path)
