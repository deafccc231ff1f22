"""What methods and readers are called: in words where somebody reads, as they were given where a program does."""

import re
from collections.abc import Iterable

from taskgan.report.cells import Cell, joined

NAMES = {
    "input": "Input",
    "clean": "Clean",
    "relaxometry": "Relaxometry",
    "l1": "L1 only",
    "cycle_gan": "CycleGAN",
    "gan": "GAN",
    "task_gan": "Task-GAN",
}
_BEFORE_MORE = {"l1": "L1"}  # "L1 only, 2.5D" would contradict itself
_DIMENSIONS = re.compile(r"(\d)(\d)?d")


def shown(method: str) -> str:
    """A method as a reader knows it.

    A known name is followed by what stands behind it in words: ``task_gan_three_step`` is "Task-GAN, three step",
    ``gan_25d`` "GAN, 2.5D". Other tools' names are left as they are.
    """
    if method in NAMES:
        return NAMES[method]
    known = [name for name in NAMES if method.startswith(f"{name}_") and len(method) > len(name) + 1]
    if not known:
        return method
    name = max(known, key=len)
    words = [_word(word) for word in method[len(name) + 1 :].split("_") if word]
    return f"{_BEFORE_MORE.get(name, NAMES[name])}, {' '.join(words)}" if words else method


def _word(word: str) -> str:
    found = _DIMENSIONS.fullmatch(word)
    return f"{'.'.join(d for d in found.groups() if d)}D" if found else word


def filed(method: str) -> str:
    """A method as tables for programs name it: the plain name, but for those that always stood there in words."""
    return NAMES.get(method, method)


def name_cell(method: str, *, tone: str = "") -> Cell:
    """A cell with a method's name."""
    return Cell(shown(method), "", filed(method), tone)


def versus(method: str, baseline: str) -> Cell:
    """The cell that names a difference."""
    text = f"{shown(method)} − {shown(baseline)}"
    return Cell(text, "", f"{filed(method)} − {filed(baseline)}", "strong")


def listed(parts: Iterable[str]) -> str:
    """``a, b and c`` of parts that begin with methods' names; with semicolons where a name has a comma in it."""
    every = list(parts)
    if any(
        part.startswith(f"{_BEFORE_MORE.get(name, words)}, ")
        for part in every
        for name, words in NAMES.items()
    ):
        *first, last = every
        return f"{'; '.join(first)}; and {last}" if first else last
    return joined(every)
