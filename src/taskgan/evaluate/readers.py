"""The readers of a cohort: the task network T and a judge that no generator ever saw."""

from pathlib import Path
from typing import Any

from taskgan.cohort.pairs import Pairs
from taskgan.evaluate.reading import Reader
from taskgan.recipe import Recipe


def has_labels(pairs: Pairs) -> bool:
    """Whether the training rows hold both labels, without which no reader can be trained."""
    return len({pair.label for pair in pairs.split("train")} - {None}) > 1


def default_readers(pairs: Pairs, recipe: Recipe, store: Path | None) -> dict[str, Reader]:
    """T as pretrained and the judge, both trained on clean images of the training subjects only.

    T here is the pretrained one also where it went on learning with the generator: one that had learnt on
    restored images could excuse their mistakes.

    Args:
        pairs: The cohort's rows.
        recipe: How the two are trained.
        store: Where they are kept; where None in the cohort.

    Returns:
        ``task`` and ``judge``; nothing where the cohort's labels can teach none.
    """
    if not has_labels(pairs):
        return {}
    from taskgan.recogniser.store import recogniser_for

    return {
        "task": recogniser_for(pairs, recipe.task.pretrain, recipe.data, name="task", store=store),
        "judge": recogniser_for(pairs, recipe.judge, recipe.data, name="judge", store=store),
    }


def describe(reader: Reader) -> dict[str, Any]:
    """What a reader says of itself (network, checksum, figures), for the record; empty for a foreign one."""
    told = getattr(reader, "description", None)
    return dict(told()) if callable(told) else {}
