"""Figure 2(b): pairs that are judged wrongly on degraded photos, which one method wins back, and another does not."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.report.cells import number
from taskgan.report.load import Comparison
from taskgan.report.names import shown
from taskgan.report.pictures import Array, case_paths, read_pictures, show_picture
from taskgan.report.study import Study, title
from taskgan.report.style import look, save, sheet
from taskgan.report.verified import BOTH, Floats

SETS = {"val": "validation", "train": "training"}
_SAME, _OTHER = "#0072B2", "#C44601"


@dataclass(frozen=True)
class Example:
    """A pair that is shown.

    Attributes:
        place: Among the test pairs.
        same: Whether it is of one person.
        reader: The judge that decides.
        cut: Its threshold.
        chosen_on: The set that the threshold was chosen on, ``val`` or ``train``.
        won: Whether the focus method wins it back; else the method that it is set against does.
        count: Pairs that the rule picked it from.
        other: How many pairs there are of which the opposite is true.
    """

    place: int
    same: bool
    reader: str
    cut: float
    chosen_on: str
    won: bool
    count: int
    other: int


def examples(comparison: Comparison, found: Study | None) -> list[Example]:
    """At most one pair that the focus method wins back and one that it loses, by rule.

    By the first judge that can tell people apart, at the threshold of validation pairs (else of training pairs),
    with the lowest seed of each method: of all test pairs of one person that the judge recognises on clean photos
    and not on the degraded ones, those that the focus method wins back and what it is set against does not, and
    those the other way round. Where there are none, of the pairs of two people that it tells apart on clean photos
    and not on the degraded ones, which may look alike because little is left of either. Of each, the median by the
    difference of the two methods' ranks, a pair's rank being the share of pairs of two people that are nearer.
    Without a counterpart beside the input: those that the focus wins back, and those that it does not.
    """
    if found is None or not found.able or "input" not in found.verified.methods:
        return []
    reader = found.able[0]
    cuts = found.verified.cuts[reader]
    chosen_on = next((name for name in SETS if name in cuts), None)
    focus, other = comparison.focus, comparison.counterpart or "input"
    distances = _lowest_seed(found, reader)
    if chosen_on is None or focus not in distances or other not in distances:
        return []
    same, cut = found.verified.pairs.same, cuts[chosen_on]
    right = {method: (values <= cut) == same for method, values in distances.items()}
    asked = right["clean"] & ~right["input"]
    ours, theirs = right[focus], right[other]
    gap = _ranks(distances[focus], same) - _ranks(distances[other], same)
    groups = {True: asked & ours & ~theirs, False: asked & ~ours & (theirs if other != "input" else True)}
    picked = []
    for won in (True, False):
        for sort, one in ((same, True), (~same, False)):
            places = np.flatnonzero(groups[won] & sort)
            if len(places):
                ordered = places[np.argsort(gap[places], kind="stable")]
                place = int(ordered[(len(ordered) - 1) // 2])
                against = int((groups[not won] & sort).sum())
                picked.append(Example(place, one, reader, cut, chosen_on, won, len(places), against))
                break
    return picked


def _lowest_seed(found: Study, reader: str) -> dict[str, Floats]:
    """(N,) of every method; seeds are sorted."""
    verified = found.verified
    return {m: verified.distances[reader, m, BOTH][0] for m in verified.methods}


def _ranks(distances: Floats, same: Any) -> Floats:
    """Share of pairs of two people that are nearer than each pair."""
    others = np.sort(distances[~same])
    return np.asarray(np.searchsorted(others, distances, side="left") / len(others), dtype=np.float64)


def example_words(comparison: Comparison, one: Example) -> tuple[str, str]:
    """Heading, and what the figure shows with the rule."""
    focus, other = shown(comparison.focus), shown(comparison.counterpart or "input")
    beside = "" if other == shown("input") else f" and {other} does not" if one.won else f", {other} does"
    if one.same:
        what = (
            f"A person whom the input loses and {focus} {'wins' if one.won else 'does not win'} back{beside}"
        )
        told = ("Two photos of one person", "of one person that it recognises")
    else:
        what = f"Two people whom the input takes for one and {focus} {'tells' if one.won else 'does not tell'} apart"
        what += beside
        told = ("Photos of two people", "of two people that it tells apart")
    heading = f"Figure 2 (b). {what}"
    many = "pair" if one.count == 1 else "pairs"
    caption = (
        f"{told[0]}. {title(one.reader).split(' (')[0]} calls two photos one person up to a distance "
        f"of {number(one.cut, 3)}, the best on clean pairs of {SETS[one.chosen_on]} people. By rule: of {one.count} "
        f"{many} {told[1]} on clean photos and not on the degraded ones, and for which this "
        "is so, the median by the difference in rank (share of pairs of two people that are nearer); the opposite is "
        f"so for {one.other} pairs. Seed: the lowest. Below: distances; bars hold the middle 80 % of all test pairs "
        "of one person (blue) and of two (orange)."
    )
    return heading, caption


def example_figure(comparison: Comparison, found: Study, one: Example, path: Path) -> Path | None:
    """Draw a pair; None where its images are gone."""
    cases = (found.verified.first[one.place], found.verified.second[one.place])
    read = [read_pictures(case_paths(comparison, case)) for case in cases]
    methods = list(found.verified.methods)
    pictures = [pair for pair in read if pair is not None and set(methods) <= pair.keys()]
    if len(pictures) < 2:
        return None
    order = ["clean", *(m for m in methods if m != "clean")]
    distances = _lowest_seed(found, one.reader)
    inch = min(1.7, 11.0 / len(order))
    clean = pictures[0]["clean"]
    tall = clean.shape[0] / clean.shape[1]
    heights = [2 * inch * tall + 0.75, 0.24 * len(order) + 0.75]
    with sheet((max(inch * len(order) + 0.2, 6.5), sum(heights))) as figure:
        parts = figure.subfigures(2, 1, height_ratios=heights)
        axes = parts[0].subplots(2, len(order), squeeze=False)
        _photos(axes, pictures, order, {m: float(distances[m][one.place]) for m in order}, one.cut)
        _strip(parts[1].subplots(), comparison, found, distances, order, one)
        return save(figure, path)


def _photos(
    axes: Any,
    pictures: list[dict[str, Array]],
    order: list[str],
    distances: Mapping[str, float],
    cut: float,
) -> None:
    for column, method in enumerate(order):
        for row in (0, 1):
            show_picture(axes[row][column], pictures[row][method])
        axes[0][column].set_title(shown(method), fontsize=9)
        one = distances[method] <= cut
        told = f"{number(distances[method], 3)}\n{'one person' if one else 'two people'}"
        place = {"transform": axes[1][column].transAxes, "ha": "center", "va": "top", "fontsize": 8}
        axes[1][column].text(0.5, -0.03, told, color=_SAME if one else _OTHER, **place)


def _strip(
    axis: Any,
    comparison: Comparison,
    found: Study,
    distances: Mapping[str, Floats],
    order: list[str],
    one: Example,
) -> None:
    """Where the pair lies among all test pairs, a line a kind of image."""
    same = found.verified.pairs.same
    for place, method in enumerate(reversed(order)):
        for kind, colour, shift in ((same, _SAME, 0.16), (~same, _OTHER, -0.16)):
            ends = np.quantile(distances[method][kind], [0.1, 0.9])
            axis.plot(
                ends, [place + shift] * 2, color=colour, alpha=0.35, linewidth=3.5, solid_capstyle="butt"
            )
        colour, marker = look(method, comparison.methods)
        axis.plot(
            distances[method][one.place], place, marker, color=colour, markersize=7, markeredgewidth=1.8
        )
    axis.axvline(one.cut, color="#222222", linewidth=1)
    above = {"transform": axis.get_xaxis_transform(), "va": "bottom", "fontsize": 8}
    axis.text(one.cut, 1.01, "one person ←  ", ha="right", color=_SAME, **above)
    axis.text(one.cut, 1.01, "  → two people", ha="left", color=_OTHER, **above)
    axis.set_yticks(range(len(order)), [shown(m) for m in reversed(order)])
    axis.set_ylim(-0.6, len(order) - 0.4)
    axis.set_xlabel(f"Distance of descriptors, {title(one.reader).split(' (')[0]}")
