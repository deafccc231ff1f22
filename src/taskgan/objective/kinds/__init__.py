"""Kinds of property. Each is one file with one class that is a ``taskgan.objective.task.TaskKind``.

A new kind is a file here, with a class of the same name (``multi_class`` is ``MultiClass``), and a line in
:data:`taskgan.recipe.task.KINDS`. Only the file that is needed is imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from taskgan.recipe.task import KINDS

if TYPE_CHECKING:
    from taskgan.objective.task import TaskKind
    from taskgan.recipe.task import LossForm, Target
    from taskgan.recipe.tasks import Task


def task_kind(target: "Target", form: "LossForm") -> "TaskKind":
    """The kind that a recipe names.

    Raises:
        ValueError: If there is no such kind or form.
    """
    if target.kind not in KINDS:
        raise ValueError(f"task kind is {target.kind!r}, expected one of {', '.join(KINDS)}")
    name = target.kind.title().replace("_", "")
    kind: TaskKind = getattr(import_module(f"{__name__}.{target.kind}"), name)(target, form)
    return kind


def loss_kind(task: "Task") -> "TaskKind":
    """The kind of a task, in the form of its Eq. 3."""
    return task_kind(task, task.loss)
