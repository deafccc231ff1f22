"""What readers found: values, what is left to win, one sentence, one picture."""

import math
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
from taskgan.page.cells import Cell, Column, Table, estimate_cell, interval_text, text_cell
from taskgan.page.names import display_name
from taskgan.page.style import axes_figure, method_style, save_figure
from taskgan.stats import Difference, Interval, auc_difference, mean_difference


class Answer(NamedTuple):
    """Who reads what: the images that a reader was taught on, and those that it reads."""

    taught: str
    image: str

    def __str__(self) -> str:
        return f"{display_name(self.image)}, read by who was taught on {display_name(self.taught)}"


INPUTS = "inputs"
"""All that a generator gets, where ``input`` is the degraded image alone."""
LIMIT, PLAIN, BEST = Answer(INPUTS, INPUTS), Answer(CLEAN, INPUT), Answer(CLEAN, CLEAN)


@dataclass(frozen=True)
class Answers:
    """The answers of readers of one architecture, in the measures that their property has.

    Attributes:
        known: Who read what.
        measures: Names of the measures; the first is the one that counts.
        values: Each measure of an answer.
        gain: How much better the first of two answers is in the measure that counts, paired by subject.
    """

    known: Sequence[Answer]
    measures: tuple[str, ...]
    values: Callable[[Answer], tuple[Interval, ...]]
    gain: Callable[[Answer, Answer], Difference]


def read_answers(frames: Mapping[Answer, pd.DataFrame], error: str) -> Answers:
    """Of a property that is read from one image.

    Args:
        frames: Readings indexed by case and output.
        error: Name of the kind's error, such as ``MAE``; where one output is positive in some test subjects and
            negative in others, the AUC counts.
    """
    rows = frames[LIMIT]
    area = rows.index.get_level_values("output").nunique() == 1 and set(rows["truth"].dropna()) == {0.0, 1.0}
    measures = ("AUC", error, "error") if area else (error, "error", "AUC")

    def _values(answer: Answer) -> tuple[Interval, ...]:
        found = reader_metrics(frames[answer], frames[BEST])
        by_name = {"AUC": found.auc, error: found.mae, "error": found.error}
        return tuple(by_name[name] for name in measures)

    def _gain(first: Answer, second: Answer) -> Difference:
        one, two = (frames[answer] for answer in (first, second))
        if area:
            return auc_difference(one["prediction"], two["prediction"], one["truth"], list(one["subject"]))
        output = one.index.get_level_values("output")
        mine = output == output[0]  # an image has one error, whatever its outputs
        return mean_difference((two["error"] - one["error"])[mine], list(one["subject"][mine]))

    return Answers(list(frames), measures, _values, _gain)


def verified_answers(distances: Mapping[Answer, NDArray[np.float64]], pairs: ImagePairs) -> Answers:
    """Of people who are told apart: distances (N,) of the test pairs; intervals by person."""
    return Answers(
        list(distances),
        ("AUC over pairs",),
        lambda answer: (auc_interval_by_person(distances[answer], pairs),),
        lambda first, second: auc_difference_by_person(distances[first], distances[second], pairs),
    )


def limit_sentence(found: Answers) -> str:
    """Whether a task network has anything to win, and what each method leaves of it."""
    measure = found.measures[0]

    def signed(gap: Interval) -> str:
        return interval_text(gap, 3, sign=True)

    if PLAIN in found.known:
        gap = found.gain(LIMIT, PLAIN).interval
        words = "headroom for a task network here" if gap.low > 0 else "no headroom for a task network is shown here"
        parts = [f"{words}: {signed(gap)} of {measure}"]
    else:
        values = [interval_text(found.values(answer)[0], 3) for answer in (LIMIT, BEST)]
        parts = [f"{measure} of who was taught on the inputs {values[0]}, of clean images {values[1]}"]
    for answer in found.known:
        if answer.taught != CLEAN or answer.image in (CLEAN, INPUT):
            continue
        left, own = found.gain(LIMIT, answer).interval, Answer(answer.image, answer.image)
        words = "leaves" if left.low > 0 else "already keeps all of it, as far as is shown: left"
        parts.append(f"{display_name(answer.image)} {words} {signed(left)}")
        if own in found.known and (more := found.gain(own, answer).interval).low > 0:
            parts[-1] += f", and {signed(more)} more is in its images for who is taught on them"
    if any(found.gain(LIMIT, answer).interval.high < 0 for answer in found.known if answer not in (LIMIT, BEST)):
        # What was made of the inputs holds no more than they do.
        parts.append("the bound is too low: readers of the inputs find less than is in what was made of them")
    return "; ".join(parts) + "."


def limit_table(found: Answers, reader: str) -> Table:
    """Every answer with its measures, and what the readers of the inputs are better by."""
    columns = [Column("reader", "Reader"), Column("taught_on", "Taught on"), Column("reads", "Reads")]
    columns += [Column(name.lower().replace(" ", "_"), name) for name in found.measures]
    columns.append(Column("left", f"Left to win, {found.measures[0]}"))
    rows = []
    for answer in found.known:
        gap = Interval(*[math.nan] * 3) if answer == LIMIT else found.gain(LIMIT, answer).interval
        cells = [text_cell(reader), text_cell(answer.taught), text_cell(answer.image)]
        rows.append((*cells, *(estimate_cell(value, 3) for value in found.values(answer)), estimate_cell(gap, 3)))
    return Table(f"limit-{reader}", f"Read by the architecture of the {reader}", "", tuple(columns), tuple(rows))


def as_markdown(table: Table) -> str:
    """A table as text."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    def text(cell: Cell) -> str:
        return f"{cell.text} {cell.small}".strip()

    heads = line([column.heading for column in table.columns])
    return "\n".join(
        [heads, line(["---"] * len(table.columns)), *(line([text(c) for c in row]) for row in table.rows)]
    )


def draw_limit(by_reader: Mapping[str, Answers], path: Path) -> Path:
    """The measure that counts, of every answer with its interval; the line is what readers of the inputs reach."""
    height = 0.8 + 0.32 * max(len(found.known) for found in by_reader.values())
    with axes_figure(1, len(by_reader), (4.2 + 3.6 * len(by_reader), height), sharey=True) as (figure, axes):
        for axis, (reader, found) in zip(axes[0], by_reader.items(), strict=True):
            methods = [answer.image for answer in found.known]
            for place, answer in enumerate(found.known):
                value = found.values(answer)[0]
                colour, marker = method_style(answer.image, methods)
                axis.plot([value.low, value.high], [place, place], color=colour, linewidth=1.5)
                face = colour if answer.taught == CLEAN else "white"
                axis.plot(value.estimate, place, marker, color=colour, markerfacecolor=face, markersize=7)
            axis.axvline(found.values(LIMIT)[0].estimate, color="#444444", linewidth=0.8, linestyle=":")
            axis.set_yticks(range(len(found.known)), [str(answer) for answer in found.known])
            axis.set_xlabel(f"{found.measures[0]}, 95 % by subject")
            axis.set_title(reader)
            axis.set_ylim(len(found.known) - 0.5, -0.5)
        return save_figure(figure, path)
