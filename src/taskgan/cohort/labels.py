"""What is wrong with the labels of a cohort, a sentence each; images of masks are checked with the other images."""

import math

import numpy as np

from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.targets import Targets
from taskgan.core.errors import UserError

_NEEDED = ("train", "val")
_SHOWN = 10  # classes that nobody has
_WITHOUT = " (objectives l1, gan and cycle_gan train without labels where data.balanced is false)"


def label_problems(selected: Pairs, targets: Targets) -> list[tuple[int, str]]:
    """Unknown columns, missing and impossible labels of training and validation rows, classes nobody has.

    Args:
        selected: The rows that a run uses.
        targets: Where y comes from.

    Returns:
        Row and sentence of each problem.
    """
    columns = targets.target.columns
    absent = [column for column in columns if column not in selected.columns]
    if absent:
        return [(1, f"there is no column {column}{_WITHOUT}") for column in absent]
    known = Pairs(selected.source, tuple(pair for pair in selected if pair.split in _NEEDED))
    issues = [
        (row, text + (_WITHOUT if text.partition(") ")[2].startswith("has no ") else ""))
        for row, text in invalid_labels(known, targets)
    ]
    if issues:
        return issues
    if targets.target.kind == "binary":
        issues = _contradicting_labels(known, targets)
    return issues + [(0, text) for text in missing_classes(selected.split("train"), targets)]


def invalid_labels(pairs: Pairs, targets: Targets) -> list[tuple[int, str]]:
    """Rows whose labels are missing or impossible: row and sentence."""
    return [
        (pair.row, f"row {pair.row} (case {pair.case}) {text}")
        for pair in pairs
        for text in _row_problems(pair, targets)
    ]


def _contradicting_labels(pairs: Pairs, targets: Targets) -> list[tuple[int, str]]:
    """Subjects that have both labels, which a diagnosis cannot (a contrast or a value may well differ)."""
    issues = []
    first: dict[str, Pair] = {}
    for pair in pairs:
        before = first.setdefault(pair.subject, pair)
        ours, theirs = float(targets.value(pair)), float(targets.value(before))
        if ours != theirs:
            issues.append(
                (
                    pair.row,
                    f"row {pair.row} (case {pair.case}) labels subject {pair.subject} {ours:g}, row {before.row} "
                    f"labels it {theirs:g}",
                )
            )
    return issues


def missing_classes(train: Pairs, targets: Targets) -> list[str]:
    """What the training rows lack for a network to learn the property from them, a sentence each."""
    kind, column = targets.kind, targets.target.columns[0]
    if kind.dense:
        return []
    values = [targets.value(pair) for pair in train]
    if kind.by_class:
        present = {float(value) for value in values if not np.isnan(value)}
        count = max(2, kind.outputs)
        if count == 2 and len(present) == 1:
            return [f"every training row has {column} {present.pop():g}; training needs both labels"]
        absent = [str(k) for k in range(count) if k not in present]
        if present and absent:
            listing = ", ".join(absent[:_SHOWN]) + f" and {len(absent) - _SHOWN} more" * (
                len(absent) > _SHOWN
            )
            hint = (
                "; names of whom or what an image shows are of kind embedding" if len(absent) > _SHOWN else ""
            )
            return [f"no training row has {column} {listing}; training needs all {count} classes{hint}"]
    if kind.multiple_columns:
        both = {0.0, 1.0}
        alike = [
            name for k, name in enumerate(targets.target.columns) if not both <= {float(v[k]) for v in values}
        ]
        if alike:
            return [f"the training rows do not hold both labels of {', '.join(alike)}"]
    if kind.label_from_clean and len({float(value) for value in values}) < 2:
        return [f"the training rows hold one {column}; training needs several"]
    return []


def untrainable_reason(train: Pairs, targets: Targets) -> str:
    """Why training rows can teach no network the property; empty where they can."""
    columns = targets.target.columns
    if targets.target.kind == "binary":
        values = {float(targets.value(pair)) for pair in train}
        return (
            ""
            if len({v for v in values if not math.isnan(v)}) > 1
            else "the training rows do not hold both labels"
        )
    absent = [column for column in columns if column not in train.columns]
    if absent:
        return f"the training rows have no column {', '.join(absent)}"
    wrong = invalid_labels(train, targets) or [(0, text) for text in missing_classes(train, targets)]
    return wrong[0][1] if wrong else ""


def _row_problems(pair: Pair, targets: Targets) -> list[str]:
    """What is wrong with one row's labels, as the ends of sentences."""
    kind, columns = targets.kind, targets.target.columns
    if kind.dense:
        return [] if pair.path(columns[0]) else [f"names no mask in the column {columns[0]}"]
    try:
        values = targets.value(pair).reshape(-1)
    except UserError as error:
        return [str(error).partition(") ")[2]]
    empty = [column for column, value in zip(columns, values, strict=True) if math.isnan(value)]
    if len(empty) == len(columns):
        return [f"has no {' and no '.join(columns)}"]
    if empty and not kind.partial:
        return [f"has no {column}" for column in empty]
    return [
        f"has {column} {value:g}, expected {kind.label_problem(float(value))}"
        for column, value in zip(columns, values, strict=True)
        if not math.isnan(value) and kind.label_problem(float(value))
    ]
