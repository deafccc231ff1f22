"""Kinds of property. Each is one file with one class that has the shape of ``taskgan.objective.task.TaskKind``."""

from taskgan.objective.kinds.binary import Binary, Form
from taskgan.objective.task import TaskKind

__all__ = ["Binary", "task_kind"]


def task_kind(name: str, form: Form) -> TaskKind:
    """The kind that a recipe names.

    Args:
        name: ``binary``.
        form: Form of its loss.

    Raises:
        ValueError: If there is no such kind or form.
    """
    if name == "binary":
        return Binary(form)
    raise ValueError(f"task kind is {name!r}, expected binary")
