"""Kinds of property. Each is one file with one class that is a ``taskgan.objective.task.TaskKind``.

A new kind is a file here and a line in ``KINDS``. The files are imported when they are asked for, because recipes
name kinds without wanting torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskgan.objective.task import Form, Target, TaskKind

__all__ = ["KINDS", "task_kind"]

KINDS = {
    "binary": "Binary",
    "multi_class": "MultiClass",
    "multi_label": "MultiLabel",
    "regression": "Regression",
    "segmentation": "Segmentation",
    "embedding": "Embedding",
}
"""File and class of every kind."""


def task_kind(target: "Target", form: "Form") -> "TaskKind":
    """The kind that a recipe names.

    Args:
        target: The property.
        form: Form of its loss.

    Raises:
        ValueError: If there is no such kind or form, or the kind does not go with the target's other settings.
    """
    if target.kind not in KINDS:
        raise ValueError(f"task kind is {target.kind!r}, expected one of {', '.join(KINDS)}")
    made: TaskKind = getattr(import_module(f"{__name__}.{target.kind}"), KINDS[target.kind])(target, form)
    return made
