"""Whether a run can have a projection layer, and onto what: said before anything is trained."""

from taskgan.cohort.folder import read_description
from taskgan.cohort.pairs import Pairs
from taskgan.core.errors import Problems, UserError
from taskgan.core.settings import validated
from taskgan.degrade.degradation import Degradation
from taskgan.images.volumes import read_shape
from taskgan.recipe import Generator, Recipe


def resolved_projection(recipe: Recipe, pairs: Pairs) -> Recipe:
    """The recipe with the steps of its projection, where it has one and leaves them to the cohort.

    Args:
        recipe: As the user wrote it.
        pairs: Rows of the cohort, beside whose table ``cohort.yaml`` is.

    Raises:
        UserError: If the cohort does not say how its inputs were made.
        Problems: If it was not by blur and down-sampling alone.
    """
    settings = recipe.generator
    if not settings.projection or settings.degradation:
        return recipe
    degradation = Degradation.from_description(read_description(pairs.folder))
    if degradation is None:
        raise UserError(
            f"generator.projection is {settings.projection:g}, but {pairs.folder} does not say by which blur and "
            "down-sampling its inputs were made; expected a cohort of taskgan prepare lfw or folder, "
            "generator.degradation in the recipe, or projection 0"
        )
    values = settings.model_dump() | {"degradation": degradation.to_dicts()}
    generator = validated(Generator, values, f"{pairs.folder} cannot be trained on with a projection")
    return recipe.model_copy(update={"generator": generator})


def check_projection(recipe: Recipe, train: Pairs) -> None:
    """Refuse a projection where inputs are not what the steps make of the clean images as they are learnt from.

    Args:
        recipe: Resolved.
        train: The rows that are learnt from.

    Raises:
        Problems: Every reason, each in a sentence.
    """
    if not recipe.generator.projection:
        return
    data, problems = recipe.data, []
    if recipe.unpaired:
        problems.append("cycle_gan shows the generator images that were never degraded; expected another objective")
    if data.condition:
        problems.append(
            f"with data.condition ({data.condition}) the input is another kind of image than what is restored; "
            "expected none"
        )
    changes = data.augment.model_dump(exclude={"flip", "preserve"})
    changed = [name for name, value in changes.items() if value]
    if changed:
        problems.append(
            f"data.augment changes images after they were degraded ({', '.join(changed)}), which moves them off the "
            "grid of the low-resolution pixels; expected 0 (flip may stay)"
        )
    axes = recipe.data.axes
    shapes = {read_shape(pair.degraded, axes, series=pair.series("degraded"))[0][:2] for pair in train}
    if len(shapes) > 1:
        low, high = (tuple(pick(axis) for axis in zip(*shapes, strict=True)) for pick in (min, max))
        problems.append(
            f"training images are of several sizes ({low[0]}×{low[1]} to {high[0]}×{high[1]}) and would be padded, "
            "so that their low-resolution pixels are others; expected one size, e.g. by taskgan prepare --crop"
        )
    if problems:
        raise Problems(f"generator.projection is {recipe.generator.projection:g}, which cannot be had here", problems)
