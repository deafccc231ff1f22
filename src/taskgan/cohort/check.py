"""The check before anything is trained: every reason why a cohort cannot be trained on, all listed at once."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.conditions import condition_problems
from taskgan.cohort.grids import input_is_comparable
from taskgan.cohort.pairing import Coarse, pairing_notes, scale_notes, scale_ratio
from taskgan.cohort.pairs import Pair, Pairs, lookalike_key
from taskgan.cohort.slices import AFFINE_MM
from taskgan.cohort.targets import Targets, label_problems
from taskgan.core.console import progress
from taskgan.core.errors import Problems, UserError
from taskgan.core.parse import quoted
from taskgan.images.intensity import fit_intensity
from taskgan.images.volumes import read_shape, read_volume
from taskgan.recipe import Data, Target

_NEEDED = ("train", "val")


def check_cohort(
    pairs: Pairs,
    data: Data,
    *,
    labels: bool,
    target: Target | None = None,
    further: Sequence[Target] = (),
    threads: int = 4,
) -> list[str]:
    """Find everything that is wrong with a cohort, before hours are spent on it.

    Training and validation images are read whole; of test images, which training never opens, only the header.

    Args:
        pairs: The whole table, every split; subjects are compared over all of it, images over the selected rows.
        labels: Whether the run needs labels (a task network, or balanced sampling).
        target: What the labels are; None is a binary property in the column ``label``.

    Returns:
        What looks wrong and may be meant, a sentence each: pairs of other units or of two subjects, subjects that
        are called almost alike.

    Raises:
        Problems: Each problem in one sentence with file and row, in the order of the rows.
    """
    selected = pairs.select(data.select)
    issues: list[tuple[int, str]] = []
    issues += _split_problems(pairs, selected)
    issues += _column_problems(selected, data)
    wanted = [Targets.for_table(one, pairs) for one in [*([target or Target()] if labels else []), *further]]
    issues += [problem for targets in wanted for problem in label_problems(selected, targets)]
    columns = tuple(name for name in data.inputs[1:] if name in pairs.columns)
    masks = {targets.target.columns[0]: targets for targets in wanted if targets.kind.dense}
    summarise = _summariser(data, masks)
    with progress("check", len(selected), "pairs") as bar, ThreadPoolExecutor(max(1, threads)) as pool:
        coarse: list[tuple[Pair, Coarse, Coarse]] = []
        for pair, (problems, images) in zip(
            selected, pool.map(lambda p: _check_images(p, columns, summarise, tuple(masks)), selected), strict=True
        ):
            issues += [(pair.row, text) for text in problems]
            if images is not None:
                coarse.append((pair, *images))
            bar.advance(case=pair.case)
    if issues:
        issues.sort(key=lambda item: item[0])
        raise Problems(f"{pairs.source} cannot be trained on", [text for _, text in issues])
    notes = [*pairs.lookalikes(data.select), *_lookalike_subjects(pairs)]
    if coarse and input_is_comparable(pairs, data):
        ratios = [(pair.case, scale_ratio(high, low)) for pair, low, high in coarse]
        notes += scale_notes(ratios, "the clean images", "their degraded ones")
        notes += pairing_notes([(pair.case, pair.subject, low, high) for pair, low, high in coarse])
    return notes


def _lookalike_subjects(pairs: Pairs) -> list[str]:
    """Subjects of several splits whose names a spreadsheet could have made of one."""
    splits: dict[str, dict[str, str]] = {}
    for pair in pairs:
        splits.setdefault(lookalike_key(pair.subject), {})[pair.subject] = pair.split
    return [
        f"the subjects {', '.join(f'{name} ({split})' for name, split in names.items())} are called almost alike and "
        "are in several splits: are they one person?"
        for names in splits.values()
        if len(names) > 1 and len(set(names.values())) > 1
    ]


def _split_problems(pairs: Pairs, selected: Pairs) -> list[tuple[int, str]]:
    issues = []
    for split in _NEEDED:
        if not len(selected.split(split)):
            issues.append((0, f"no {'selected ' * (len(selected) < len(pairs))}row has split {quoted(split)}"))
    first: dict[str, Pair] = {}
    reported: set[tuple[str, str]] = set()
    for pair in pairs:
        before = first.setdefault(pair.subject, pair)
        if pair.split != before.split and (pair.subject, pair.split) not in reported:
            reported.add((pair.subject, pair.split))
            issues.append(
                (
                    pair.row,
                    f"row {pair.row} (case {pair.case}) puts subject {pair.subject} into split {quoted(pair.split)}, "
                    f"row {before.row} into {quoted(before.split)}: a subject belongs to one split",
                )
            )
    return issues


def _column_problems(selected: Pairs, data: Data) -> list[tuple[int, str]]:
    issues = [
        (1, f"there is no input column {quoted(name)}; the columns are {', '.join(selected.columns)}")
        for name in data.inputs
        if name not in selected.columns
    ]
    if isinstance(data.balanced, str) and data.balanced not in selected.columns:
        issues.append((1, f"there is no column {quoted(data.balanced)} to balance by (data.balanced)"))
    return issues + condition_problems(selected, data)


def _check_images(
    pair: Pair, columns: tuple[str, ...], summarise: "_Summarise", masks: tuple[str, ...]
) -> tuple[list[str], tuple[Coarse, Coarse] | None]:
    """Problems of one row's images, and its two images in blocks where it is trained on."""
    where = f"row {pair.row} (case {pair.case})"
    needed = pair.split in _NEEDED
    problems: list[str] = []
    paths: dict[str, Path] = {"degraded": pair.degraded}
    for name in ("clean", *columns):
        path = pair.clean if name == "clean" else pair.path(name)
        if path is not None:
            paths[name] = path
        elif needed or name != "clean":
            problems.append(f"{where} names no {name} image")
    paths |= {name: path for name in masks if needed and (path := pair.path(name)) is not None}
    if paths.get("clean") == pair.degraded and pair.series("clean") == pair.series("degraded"):
        problems.append(f"{where} names {pair.degraded} as both degraded and clean image")
    summaries: dict[str, _ImageSummary] = {}
    for name, path in paths.items():
        role = name if name in ("degraded", "clean", *masks) else "input"
        try:
            summaries[name] = summarise(path, role if needed else "header", pair.series(name))
        except UserError as error:
            problems.append(f"{where}: {error}")
    problems += _grid_problems(where, paths, summaries)
    problems += [f"{where}: {s.problem}" for s in summaries.values() if s.problem]
    if (low_one := summaries.get("degraded")) and low_one.grey and not getattr(summaries.get("clean"), "grey", True):
        problems.append(f"{where}: {pair.degraded} is grey and its clean image in colour: expected both (--colour)")
    low, high = (s.coarse if (s := summaries.get(name)) else None for name in ("degraded", "clean"))
    return problems, (low, high) if low is not None and high is not None else None


@dataclass(frozen=True)
class _ImageSummary:
    """Shape, affine and blocks, what is wrong with the values (of a training image), a sentence or nothing, and
    whether colours are wanted that it has not."""

    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    problem: str = ""
    coarse: Coarse | None = None
    grey: bool = False


_Summarise = Callable[[Path, str, str], _ImageSummary]


def _summariser(data: Data, masks: Mapping[str, Targets]) -> _Summarise:
    """What an image is like; one that many rows name (an acquisition of several contrasts) is read once."""

    @cache
    def summarise(path: Path, role: str, series: str) -> _ImageSummary:
        """What one file is like in one role; read once."""
        if role == "header":
            return _header(path, data.axes, series)
        volume = read_volume(path, axes=data.axes, series=series)
        if role in ("degraded", "clean"):
            volume.planes(data.colours, path)
        grey = data.colours > 1 and volume.colours is None
        problem = _value_problem(volume.data, path, role, data, masks)
        coarse = Coarse.of(volume.data) if role in ("degraded", "clean") else None
        return _ImageSummary(volume.data.shape, volume.affine, problem, coarse, grey)

    return summarise


def _value_problem(image: NDArray[np.float32], path: Path, role: str, data: Data, masks: Mapping[str, Targets]) -> str:
    if role in masks:
        wrong = masks[role].mask_problem(image)
        return f"{path} {wrong}" if wrong else ""
    if role == "clean":
        return f"{path} is constant, expected an image" if float(image.min()) == float(image.max()) else ""
    if role == "input" and data.intensity.shared:
        return ""  # scaled by the degraded image: an imaginary part may well be zero
    try:
        fit_intensity(data.intensity, image, str(path))
    except UserError as error:
        return str(error)
    return ""


def _header(path: Path, axes: str, series: str) -> _ImageSummary:
    shape, affine = read_shape(path, axes, series=series)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3:
        raise UserError(f"{path} has dimensions {_size(shape)}, expected a 3D volume")
    return _ImageSummary(shape, affine)


def _grid_problems(where: str, paths: Mapping[str, Path], summaries: Mapping[str, _ImageSummary]) -> list[str]:
    reference = summaries.get("degraded")
    if reference is None:
        return []
    problems = []
    for name, image in summaries.items():
        if image.shape != reference.shape:
            problems.append(
                f"{where}: {paths[name]} has shape {_size(image.shape)}, expected {_size(reference.shape)} "
                f"like {paths['degraded'].name}"
            )
        elif not np.allclose(image.affine, reference.affine, rtol=0, atol=AFFINE_MM):
            apart = float(np.abs(image.affine - reference.affine).max())
            problems.append(
                f"{where}: {paths[name]} has another affine than {paths['degraded'].name} "
                f"(they differ by up to {apart:.3g} mm), expected images on one grid"
            )
    return problems


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
