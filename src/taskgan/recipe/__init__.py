"""The recipe: every setting of a run. Its sections stand in the modules of this package."""

from taskgan.recipe.data import Data as Data
from taskgan.recipe.data import IntensityTransform as IntensityTransform
from taskgan.recipe.generator import Discriminator as Discriminator
from taskgan.recipe.generator import Generator as Generator
from taskgan.recipe.recipe import Machine as Machine
from taskgan.recipe.recipe import Objective as Objective
from taskgan.recipe.recipe import Optimiser as Optimiser
from taskgan.recipe.recipe import Recipe as Recipe
from taskgan.recipe.recipe import ValidationSettings as ValidationSettings
from taskgan.recipe.recipe import dump_recipe as dump_recipe
from taskgan.recipe.recipe import parse_recipe as parse_recipe
from taskgan.recipe.recipe import read_recipe as read_recipe
from taskgan.recipe.recipe import shipped_recipes as shipped_recipes
from taskgan.recipe.task import Augment as Augment
from taskgan.recipe.task import Norm as Norm
from taskgan.recipe.task import RecogniserSettings as RecogniserSettings
from taskgan.recipe.task import Target as Target
from taskgan.recipe.tasks import Task as Task
