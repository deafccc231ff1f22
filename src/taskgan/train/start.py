"""``--from``: a run that begins with the weights of a trained model (fine-tuning)."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from taskgan.core.errors import UserError
from taskgan.core.files import PathLike
from taskgan.core.parse import quoted
from taskgan.model.folder import ModelCard, build_generator, read_model
from taskgan.recipe import Generator, Recipe

_FREE = {"dropout", "dropout_layers", "projection", "degradation"}  # settings without weights
_MEANING = ("inputs", "neighbours", "context", "condition", "conditions", "intensity")


@dataclass(frozen=True)
class WarmStart:
    """What a run begins with: G's weights, and the card of their model."""

    weights: Mapping[str, Tensor]
    card: ModelCard

    @property
    def model(self) -> dict[str, str | int]:
        """Which model it is, for ``run.yaml`` and the new card."""
        return {name: getattr(self.card, name) for name in ("name", "step", "checksum")}


def read_start(model: PathLike, recipe: Recipe) -> WarmStart:
    """Read the model that a run begins with.

    Args:
        model: Its folder, or that of its run.
        recipe: The run, with conditions looked up.

    Raises:
        UserError: If there is no such model, or it has another architecture, other inputs or another intensity
            transform than the recipe, or a generator of the user's own.
        Failed: If its weights are NaN or infinite.
    """
    state, card = read_model(model)
    network = build_generator(state, card, str(model))
    wanted = [("generator", name) for name in Generator.model_fields if name not in _FREE]
    for part, name in [*wanted, *(("data", name) for name in _MEANING)]:
        theirs, ours = (getattr(getattr(one, part), name) for one in (card, recipe))
        if theirs != ours:
            raise UserError(
                f"{model} has {part}.{name} {quoted(theirs)}, found {quoted(ours)} in the recipe; a run that begins "
                "with its weights (--from) needs the same"
            )
    return WarmStart(network.state_dict(), card)
