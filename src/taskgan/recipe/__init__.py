"""The recipe: every setting of a run. Its sections stand in the modules of this package."""

from taskgan.recipe.data import Data, IntensityTransform
from taskgan.recipe.generator import Discriminator, Generator
from taskgan.recipe.recipe import (
    Machine,
    Objective,
    Optimiser,
    Recipe,
    ValidationSettings,
    dump_recipe,
    parse_recipe,
    read_recipe,
    shipped_recipes,
)
from taskgan.recipe.task import Augment, Norm, RecogniserSettings, Target
from taskgan.recipe.tasks import Task

__all__ = [
    "Augment",
    "Data",
    "Discriminator",
    "Generator",
    "IntensityTransform",
    "Machine",
    "Norm",
    "Objective",
    "Optimiser",
    "Recipe",
    "RecogniserSettings",
    "Target",
    "Task",
    "ValidationSettings",
    "dump_recipe",
    "parse_recipe",
    "read_recipe",
    "shipped_recipes",
]
