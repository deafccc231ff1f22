"""``--from``: a run that begins with the weights of a trained model (fine-tuning)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from taskgan.core.errors import UserError
from taskgan.core.files import PathLike
from taskgan.core.parse import quoted
from taskgan.model.folder import ModelCard, StartingModel, build_generator, read_model
from taskgan.recipe import Data, Generator, Recipe

_FREE = ("dropout", "dropout_layers", "projection", "degradation")  # settings without weights
_MEANING = ("inputs", "neighbours", "context", "condition", "conditions", "intensity")


@dataclass(frozen=True)
class WarmStart:
    """What a run begins with.

    Attributes:
        weights: G's.
        model: Which model they are of, for ``run.yaml`` and the card.
        people: Digests of the subjects that they have learnt from.
        images: Digests of the images likewise.
    """

    weights: Mapping[str, Tensor]
    model: StartingModel
    people: tuple[str, ...]
    images: tuple[str, ...]


def read_start(model: PathLike | None, recipe: Recipe) -> WarmStart | None:
    """Read the model that a run begins with.

    Args:
        model: Its folder, or that of its run; None begins with new weights.
        recipe: The run, with conditions looked up.

    Raises:
        UserError: If there is no such model, or it has another architecture, other inputs or another intensity
            transform than the recipe, or a generator of the user's own.
        Failed: If its weights are NaN or infinite.
    """
    if model is None:
        return None
    state, card = read_model(model)
    network = build_generator(state, card, str(model))
    for key, theirs, ours in _settings(card, recipe):
        if theirs != ours:
            raise UserError(
                f"{model} has {key} {quoted(theirs)}, found {quoted(ours)} in the recipe; a run that begins with its "
                "weights (--from) needs the same"
            )
    start = StartingModel(name=card.name, step=card.step, checksum=card.checksum)
    return WarmStart(network.state_dict(), start, card.seen.people, card.seen.images)


def _settings(card: ModelCard, recipe: Recipe) -> list[tuple[str, Any, Any]]:
    """Key, the model's and the recipe's value of all that weights depend on."""
    names = [("generator", name) for name in Generator.model_fields if name not in _FREE]
    names += [("data", name) for name in Data.model_fields if name in _MEANING]
    return [(f"{part}.{n}", getattr(getattr(card, part), n), getattr(getattr(recipe, part), n)) for part, n in names]
