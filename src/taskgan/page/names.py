"""What methods and readers are called: in words where somebody reads, as they were given where a program does."""

import re
from collections.abc import Iterable

from taskgan.page.cells import Cell, join_phrases

NAMES = {
    "input": "Input",
    "clean": "Clean",
    "relaxometry": "Relaxometry",
    "l1": "L1 only",
    "cycle_gan": "CycleGAN",
    "gan": "GAN",
    "task_gan": "Task-GAN",
}
_SHORT_NAMES = {"l1": "L1"}  # "L1 only, 2.5D" would contradict itself
_DIMENSIONS = re.compile(r"(\d)(\d)?d")


def display_name(method: str) -> str:
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
    suffixes = [_suffix_text(word) for word in method[len(name) + 1 :].split("_") if word]
    return f"{_SHORT_NAMES.get(name, NAMES[name])}, {' '.join(suffixes)}" if suffixes else method


def _suffix_text(word: str) -> str:
    match = _DIMENSIONS.fullmatch(word)
    return f"{'.'.join(d for d in match.groups() if d)}D" if match else word


def csv_name(method: str) -> str:
    """A method as tables for programs name it: the plain name, but for those that always stood there in words."""
    return NAMES.get(method, method)


def name_cell(method: str, *, tone: str = "") -> Cell:
    """A cell with a method's name."""
    return Cell(display_name(method), "", csv_name(method), tone)


def versus_cell(method: str, baseline: str) -> Cell:
    """The cell that names a difference."""
    text = f"{display_name(method)} − {display_name(baseline)}"
    return Cell(text, "", f"{csv_name(method)} − {csv_name(baseline)}", "strong")


def join_methods(parts: Iterable[str]) -> str:
    """``a, b and c`` of parts that begin with methods' names; with semicolons where a name has a comma in it."""
    every = list(parts)
    if any(part.startswith(f"{_SHORT_NAMES.get(name, title)}, ") for part in every for name, title in NAMES.items()):
        *first, last = every
        return f"{'; '.join(first)}; and {last}" if first else last
    return join_phrases(every)
