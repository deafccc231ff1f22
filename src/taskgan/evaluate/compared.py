"""Whether a degraded image can be measured against the clean one, or is an image of another kind."""

from pathlib import Path

from taskgan.cohort.pairs import Pairs
from taskgan.recipe import Data


def input_is_comparable(pairs: Pairs, data: Data) -> bool:
    """Whether the degraded image is another version of the clean one.

    It is not where a condition says which of several images is to be made of it, and not where one degraded image has
    several clean ones in the table: the multi-echo source of six MR contrasts is none of them, so that its PSNR
    against each would be a number without a meaning. Such cohorts have no rows ``input``.

    Args:
        pairs: The whole table, before any selection.
        data: Of the recipe.
    """
    if data.condition:
        return False
    clean: dict[Path, Path] = {}
    return all(
        pair.clean is None or clean.setdefault(pair.degraded, pair.clean) == pair.clean for pair in pairs
    )
