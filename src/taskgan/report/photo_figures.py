"""Figures of photos: a case, a grid of cases, and pairs that one method wins back and another does not."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskgan.core.errors import UserError
from taskgan.core.parse import truncated
from taskgan.images.photos import LUMINANCE, is_photo_name, read_photo
from taskgan.images.volumes import read_volume
from taskgan.page.cells import display_name, number, report_texts
from taskgan.page.style import Array, axes_figure, blank_figure, method_style, save_figure, set_heading
from taskgan.report.images import SelectedCase, choose_detail, column_figure, first_seeds, psnr_differences
from taskgan.report.load import Comparison
from taskgan.report.metrics import PSNR
from taskgan.report.paired import by_case, by_seed
from taskgan.report.study import VerificationStudy, reader_title
from taskgan.report.verified import BOTH, Floats


def photo_paths(comparison: Comparison, case: str) -> dict[str, Path]:
    """The images of a case in the order of the figures: input, methods (the lowest seed of each), clean."""
    firsts = first_seeds(comparison, "case", case, (*comparison.references, *comparison.methods, "clean"))
    return {method: Path(row["restored"]) for method, row in firsts.items()}


def read_photos(paths: Mapping[str, Path]) -> dict[str, Array] | None:
    """Images (H, W), or (H, W, 3) where all are in colour, 0 to 1; None where one cannot be read."""
    try:
        pictures = {name: _read(path) for name, path in paths.items()}
    except UserError:
        return None
    if all(picture.ndim == 3 for picture in pictures.values()):
        return pictures
    return {name: luminance(picture) for name, picture in pictures.items()}


def luminance(picture: Array) -> Array:
    """Luminance (H, W) of a picture in grey or colour."""
    return picture if picture.ndim == 2 else np.asarray(picture @ LUMINANCE, dtype=np.float32)


def _read(path: Path) -> Array:
    if not is_photo_name(path):  # other tools may write the photo that they restored as NIfTI
        data = read_volume(path).data
        return np.ascontiguousarray(data[:, :, data.shape[2] // 2].T)
    pixels = np.swapaxes(read_photo(path).pixels, 0, 1)
    return np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def show_photo(axis: Any, picture: Array) -> None:
    """A picture without axes: black is 0, white 1."""
    axis.imshow(np.clip(picture, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set_axis_off()


def photo_figure(comparison: Comparison, chosen: SelectedCase, path: Path) -> Path | None:
    """Draw one case: the whole photo, a detail, the error of its luminance; None where its images are gone.

    Errors are image − clean on one scale for all columns that is symmetric about zero and set by the restored
    images; the input's may exceed it.
    """
    pictures = read_photos(photo_paths(comparison, chosen.case))
    if pictures is None or "clean" not in pictures or comparison.focus not in pictures:
        return None
    plain = {method: luminance(picture) for method, picture in pictures.items()}
    truth = plain["clean"]
    if any(picture.shape != truth.shape for picture in plain.values()):
        return None
    other = comparison.contrast_method if comparison.contrast_method in plain else "clean"
    window = choose_detail(plain[comparison.focus] - plain[str(other)])
    errors = {method: picture - truth for method, picture in plain.items() if method != "clean"}
    restored = np.stack([error for method, error in errors.items() if method != "input"])
    worst = max(float(np.percentile(np.abs(restored), 99.5)), 1e-6)
    titles, units = ("Photo", "Detail", "Image − clean"), ("", "error (white is 1)")
    return column_figure(path, pictures, errors, window, show_photo, worst, titles=titles, units=units)


ROWS = 7
_ENDS = (0.05, 0.95)  # the very best and worst are where files are odd


def grid_rule(comparison: Comparison) -> str:
    """How the rows were picked, in words."""
    against = f" to {display_name(comparison.contrast_method)}" if comparison.contrast_method else ""
    what = f"PSNR difference of {display_name(comparison.focus)}{against}" if against else "PSNR"
    return str(report_texts("rules")["grid"]).format(rows=ROWS, what=what)


def grid_cases(comparison: Comparison) -> pd.Series:
    """PSNR difference of the cases that are shown, by case, smallest first."""
    ordered = psnr_differences(comparison).sort_values(kind="stable")
    places = np.unique(np.round(np.linspace(*_ENDS, ROWS) * (len(ordered) - 1)).astype(int))
    return ordered.iloc[places] if len(ordered) else ordered


def photo_grid(comparison: Comparison, path: Path) -> Path | None:
    """Draw them; None where there are no photos, or their files are gone."""
    if not comparison.photos:
        return None
    chosen = grid_cases(comparison)
    rows = {str(case): read_photos(photo_paths(comparison, str(case))) for case in chosen.index}
    pictures_by_case = {case: pictures for case, pictures in rows.items() if pictures and "clean" in pictures}
    if not pictures_by_case:
        return None
    methods = (*comparison.references, *comparison.methods, "clean")
    psnr = {m: _lowest(comparison, m) for m in methods if m != "clean"}
    inch = min(1.55, 11.0 / len(methods))
    tall = max(p["clean"].shape[0] / p["clean"].shape[1] for p in pictures_by_case.values())
    size = (inch * len(methods) + 0.5, (inch * tall + 0.2) * len(pictures_by_case) + 0.3)
    with axes_figure(len(pictures_by_case), len(methods), size) as (figure, axes):
        for line, (case, pictures) in zip(axes, pictures_by_case.items(), strict=True):
            for axis, method in zip(line, methods, strict=True):
                axis.set_axis_off()
                if method in pictures:
                    show_photo(axis, pictures[method])
                value = float(psnr[method].get(case, np.nan)) if method in psnr else np.nan
                if np.isfinite(value):
                    place = {"transform": axis.transAxes, "ha": "center", "va": "top", "fontsize": 7}
                    axis.text(0.5, -0.02, f"{number(value, 1)} dB", **place)
            gap = f"{number(float(chosen[case]), 2, sign=True)} dB"
            beside = {"transform": line[0].transAxes, "rotation": 90, "fontsize": 8}
            line[0].text(-0.04, 0.5, gap, ha="right", va="center", **beside)
        for axis, method in zip(axes[0], methods, strict=True):
            set_heading(axis, display_name(method), inch, 9)
        return save_figure(figure, path)


def _lowest(comparison: Comparison, method: str) -> pd.Series:
    """PSNR of the seed that is shown, by case."""
    seeds = by_seed(comparison, method, PSNR)
    return seeds[min(seeds.columns)] if len(seeds.columns) else by_case(comparison, method, PSNR)


SETS = {"val": "validation", "train": "training"}
_INCHES = 1.7  # of a photo at most
_SAME, _OTHER = "#0072B2", "#C44601"


@dataclass(frozen=True)
class PairExample:
    """A pair that is shown.

    Attributes:
        index: Among the test pairs.
        same: Whether it is of one person.
        reader: The judge that decides.
        threshold: Its threshold.
        threshold_set: The set that the threshold was chosen on, ``val`` or ``train``.
        recovered: Whether the focus method wins it back; else the method that it is set against does.
        count: Pairs that the rule picked it from.
        opposite_count: How many pairs there are of which the opposite is true.
    """

    index: int
    same: bool
    reader: str
    threshold: float
    threshold_set: str
    recovered: bool
    count: int
    opposite_count: int


def choose_examples(comparison: Comparison, study: VerificationStudy | None) -> list[PairExample]:
    """At most one pair that the focus method wins back and one that it loses, by rule.

    By the first judge that can tell people apart, at the threshold of validation pairs (else of training pairs),
    with the lowest seed of each method: of all test pairs of one person that the judge recognises on clean photos
    and not on the degraded ones, those that the focus method wins back and what it is set against does not, and
    those the other way round. Where there are none, of the pairs of two people that it tells apart on clean photos
    and not on the degraded ones, which may look alike because little is left of either. Of each, the median by the
    difference of the two methods' ranks, a pair's rank being the share of pairs of two people that are nearer.
    Pairs whose distance is within the noise of the cut for either method are no examples of either. Without a
    counterpart beside the input: those that the focus wins back, and those that it does not.
    """
    if study is None or not study.valid_judges or "input" not in study.data.methods:
        return []
    reader = study.valid_judges[0]
    cuts = study.data.thresholds[reader]
    chosen_on = next((name for name in SETS if name in cuts), None)
    focus, other = comparison.focus, comparison.contrast_method or "input"
    distances = _lowest_seed(study, reader)
    if chosen_on is None or focus not in distances or other not in distances:
        return []
    same, cut = study.data.pairs.same, cuts[chosen_on]
    right = {method: (values <= cut) == same for method, values in distances.items()}
    clear = np.minimum(*(np.abs(distances[method] - cut) for method in (focus, other)))
    eligible = right["clean"] & ~right["input"] & (clear > _noise(study, reader, focus, other))
    ours, theirs = right[focus], right[other]
    gap = _ranks(distances[focus], same) - _ranks(distances[other], same)
    groups = {True: eligible & ours & ~theirs, False: eligible & ~ours & (theirs if other != "input" else True)}
    picked = []
    for won in (True, False):
        for sort, one in ((same, True), (~same, False)):
            places = np.flatnonzero(groups[won] & sort)
            if len(places):
                ordered = places[np.argsort(gap[places], kind="stable")]
                place = int(ordered[(len(ordered) - 1) // 2])
                against = int((groups[not won] & sort).sum())
                picked.append(PairExample(place, one, reader, cut, chosen_on, won, len(places), against))
                break
    return picked


def _lowest_seed(study: VerificationStudy, reader: str) -> dict[str, Floats]:
    """(N,) of every method; seeds are sorted."""
    verified = study.data
    return {m: verified.distances[reader, m, BOTH][0] for m in verified.methods}


def _noise(study: VerificationStudy, reader: str, focus: str, other: str) -> float:
    """How far a pair's distance moves by chance: between the seeds of the focus method, else between two methods."""
    seeds = study.data.distances[reader, focus, BOTH]
    if len(seeds) > 1:
        return float(np.median(seeds.std(axis=0, ddof=1)))
    apart = seeds[0] - study.data.distances[reader, other, BOTH][0]
    return float(np.median(np.abs(apart - np.median(apart))) / np.sqrt(2))


def _ranks(distances: Floats, same: Any) -> Floats:
    """Share of pairs of two people that are nearer than each pair."""
    others = np.sort(distances[~same])
    return np.asarray(np.searchsorted(others, distances, side="left") / len(others), dtype=np.float64)


def example_caption(comparison: Comparison, example: PairExample) -> tuple[str, str]:
    """Heading, and what the figure shows with the rule."""
    focus, other = display_name(comparison.focus), display_name(comparison.contrast_method or "input")
    beside = (
        "" if other == display_name("input") else f" and {other} does not" if example.recovered else f", {other} does"
    )
    words = report_texts("example")["one person" if example.same else "two people"]
    what = words["won" if example.recovered else "lost"].format(focus=focus) + beside
    caption = report_texts("example")["caption"].format(
        photos=words["photos"],
        reader=reader_title(example.reader).split(" (")[0],
        threshold=number(example.threshold, 3),
        people=SETS[example.threshold_set],
        picked_from=f"{example.count} {'pair' if example.count == 1 else 'pairs'} {words['pairs']}",
        opposite=example.opposite_count,
    )
    return f"Figure 2 (b). {what}", caption


def example_figure(comparison: Comparison, study: VerificationStudy, example: PairExample, path: Path) -> Path | None:
    """Draw a pair; None where its images are gone."""
    cases = (study.data.first_cases[example.index], study.data.second_cases[example.index])
    read = [read_photos(photo_paths(comparison, case)) for case in cases]
    methods = list(study.data.methods)
    pictures = [pair for pair in read if pair is not None and set(methods) <= pair.keys()]
    if len(pictures) < 2:
        return None
    order = ["clean", *(m for m in methods if m != "clean")]
    distances = _lowest_seed(study, example.reader)
    inch = min(_INCHES, 11.0 / len(order))
    clean = pictures[0]["clean"]
    tall = clean.shape[0] / clean.shape[1]
    heights = [2 * inch * tall + 0.75, 0.24 * len(order) + 0.75]
    with blank_figure((max(inch * len(order) + 0.2, 6.5), sum(heights))) as figure:
        parts = figure.subfigures(2, 1, height_ratios=heights)
        axes = parts[0].subplots(2, len(order), squeeze=False)
        whose = [str(comparison.cases["subject"][case]) for case in cases]
        parts[0].suptitle(f"In truth {'one person' if example.same else 'two people'}", fontsize=10)
        apart = {m: float(distances[m][example.index]) for m in order}
        _photos(axes, pictures, whose, apart, example.threshold)
        _strip(parts[1].subplots(), comparison, study, distances, order, example)
        return save_figure(figure, path)


def _photos(
    axes: Any, pictures: list[dict[str, Array]], whose: list[str], distances: Mapping[str, float], threshold: float
) -> None:
    for line, name in zip(axes, whose, strict=True):
        beside = {"transform": line[0].transAxes, "rotation": 90, "fontsize": 8}
        line[0].text(-0.05, 0.5, truncated(name), ha="right", va="center", **beside)
    for column, method in enumerate(distances):
        for row in (0, 1):
            show_photo(axes[row][column], pictures[row][method])
        set_heading(axes[0][column], display_name(method), _INCHES, 9)
        same = distances[method] <= threshold
        label = f"{number(distances[method], 3)}\njudged {'one person' if same else 'two people'}"
        place = {"transform": axes[1][column].transAxes, "ha": "center", "va": "top", "fontsize": 8}
        axes[1][column].text(0.5, -0.03, label, color=_SAME if same else _OTHER, **place)


def _strip(
    axis: Any,
    comparison: Comparison,
    study: VerificationStudy,
    distances: Mapping[str, Floats],
    order: list[str],
    example: PairExample,
) -> None:
    """Where the pair lies among all test pairs, a line a kind of image."""
    same = study.data.pairs.same
    for place, method in enumerate(reversed(order)):
        for kind, colour, shift in ((same, _SAME, 0.16), (~same, _OTHER, -0.16)):
            ends = np.quantile(distances[method][kind], [0.1, 0.9])
            axis.plot(ends, [place + shift] * 2, color=colour, alpha=0.35, linewidth=3.5, solid_capstyle="butt")
        colour, marker = method_style(method, comparison.methods)
        axis.plot(distances[method][example.index], place, marker, color=colour, markersize=7, markeredgewidth=1.8)
    axis.axvline(example.threshold, color="#222222", linewidth=1)
    above = {"transform": axis.get_xaxis_transform(), "va": "bottom", "fontsize": 8}
    axis.text(example.threshold, 1.01, "one person ←  ", ha="right", color=_SAME, **above)
    axis.text(example.threshold, 1.01, "  → two people", ha="left", color=_OTHER, **above)
    axis.set_yticks(range(len(order)), [display_name(m) for m in reversed(order)])
    axis.set_ylim(-0.6, len(order) - 0.4)
    axis.set_xlabel(f"Distance of descriptors, {reader_title(example.reader).split(' (')[0]}")
