"""Task-GAN: image restoration that keeps what the image means.

The front door for Python: ``import taskgan`` is cheap, and each name below is imported when it is first used. What
``taskgan VERB`` does on the command line, ``taskgan.verb(…)`` does here, with paths as ``str`` or ``os.PathLike``;
``docs/python.md`` is a notebook of ten lines.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from taskgan.core.version import __version__ as __version__

if TYPE_CHECKING:
    from inspect import Signature

    from taskgan.audit.verb import audit as audit
    from taskgan.cohort.pairs import Pair as Pair
    from taskgan.cohort.pairs import Pairs as Pairs
    from taskgan.cohort.pairs import read_pairs as read_pairs
    from taskgan.cohort.pairs import split_subjects as split_subjects
    from taskgan.cohort.pairs import write_pairs as write_pairs
    from taskgan.core.errors import UserError as UserError
    from taskgan.evaluate.run import evaluate as evaluate
    from taskgan.judges.properties import EvaluationSettings as EvaluationSettings
    from taskgan.limit.run import limit as limit
    from taskgan.model.restorer import RestoredVolume as RestoredVolume
    from taskgan.model.restorer import Restorer as Restorer
    from taskgan.networks.discriminator import ImageDiscriminator as ImageDiscriminator
    from taskgan.networks.discriminator import PatchClassifier as PatchClassifier
    from taskgan.networks.generator import UNet as UNet
    from taskgan.networks.photos import VggFace as VggFace
    from taskgan.networks.recogniser import ConvNet as ConvNet
    from taskgan.networks.recogniser import DilatedNet as DilatedNet
    from taskgan.networks.recogniser import PixelUNet as PixelUNet
    from taskgan.networks.recogniser import ResNet as ResNet
    from taskgan.networks.recogniser import recogniser_network as recogniser_network
    from taskgan.networks.volume_unet import VolumeUNet as VolumeUNet
    from taskgan.objective.kinds import task_kind as task_kind
    from taskgan.objective.task import feature_distance as feature_distance
    from taskgan.objective.task import task_loss as task_loss
    from taskgan.objective.total import cycle_loss as cycle_loss
    from taskgan.objective.total import discriminator_loss as discriminator_loss
    from taskgan.objective.total import feature_matching as feature_matching
    from taskgan.objective.total import generator_loss as generator_loss
    from taskgan.objective.total import identity_loss as identity_loss
    from taskgan.objective.total import pixel_loss as pixel_loss
    from taskgan.prepare.folder import FolderPreparation as FolderPreparation
    from taskgan.prepare.folder import prepare_folder as prepare_folder
    from taskgan.prepare.lfw import LfwPreparation as LfwPreparation
    from taskgan.prepare.lfw import prepare_lfw as prepare_lfw
    from taskgan.prepare.mr.cohort import prepare_mr as prepare_mr
    from taskgan.prepare.mr.plan import MrPreparation as MrPreparation
    from taskgan.prepare.pairs import prepare_pairs as prepare_pairs
    from taskgan.prepare.pet.cohort import prepare_pet as prepare_pet
    from taskgan.prepare.pet.rows import PetPreparation as PetPreparation
    from taskgan.recipe import Recipe as Recipe
    from taskgan.recipe import read_recipe as read_recipe
    from taskgan.report.metrics import Inference as Inference
    from taskgan.report.run import compare as compare
    from taskgan.restore.refine import Refinement as Refinement
    from taskgan.restore.run import restore as restore
    from taskgan.simulate.mr.cohort import simulate_mr as simulate_mr
    from taskgan.simulate.mr.settings import MrSimulation as MrSimulation
    from taskgan.simulate.pet.cohort import simulate_pet as simulate_pet
    from taskgan.simulate.pet.settings import PetSimulation as PetSimulation
    from taskgan.sweep.run import sweep as sweep
    from taskgan.train.networks import CustomNetworks as CustomNetworks
    from taskgan.train.run import train as train

_MODULES = {
    "audit.verb": ("audit",),
    "cohort.pairs": ("Pair", "Pairs", "read_pairs", "split_subjects", "write_pairs"),
    "core.errors": ("UserError",),
    "evaluate.run": ("evaluate",),
    "judges.properties": ("EvaluationSettings",),
    "limit.run": ("limit",),
    "networks.discriminator": ("ImageDiscriminator", "PatchClassifier"),
    "networks.generator": ("UNet",),
    "networks.photos": ("VggFace",),
    "networks.recogniser": ("ConvNet", "DilatedNet", "PixelUNet", "ResNet", "recogniser_network"),
    "networks.volume_unet": ("VolumeUNet",),
    "objective.kinds": ("task_kind",),
    "objective.task": ("feature_distance", "task_loss"),
    "objective.total": (
        *("cycle_loss", "identity_loss", "pixel_loss"),
        *("discriminator_loss", "feature_matching", "generator_loss"),
    ),
    "prepare.folder": ("FolderPreparation", "prepare_folder"),
    "prepare.lfw": ("LfwPreparation", "prepare_lfw"),
    "prepare.mr.cohort": ("prepare_mr",),
    "prepare.mr.plan": ("MrPreparation",),
    "prepare.pairs": ("prepare_pairs",),
    "prepare.pet.cohort": ("prepare_pet",),
    "prepare.pet.rows": ("PetPreparation",),
    "recipe": ("Recipe", "read_recipe"),
    "report.metrics": ("Inference",),
    "report.run": ("compare",),
    "restore.refine": ("Refinement",),
    "restore.run": ("restore",),
    "model.restorer": ("RestoredVolume", "Restorer"),
    "simulate.mr.cohort": ("simulate_mr",),
    "simulate.mr.settings": ("MrSimulation",),
    "simulate.pet.cohort": ("simulate_pet",),
    "simulate.pet.settings": ("PetSimulation",),
    "sweep.run": ("sweep",),
    "train.networks": ("CustomNetworks",),
    "train.run": ("train",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Verb(ModuleType):
    """A package that can be called as the function that it is named after.

    ``train`` is both: the package, which Python puts into ``taskgan`` whenever a module of it is imported, and the
    function, which a notebook wants there. So the package answers to a call, and neither hides the other in any
    order of imports. (Python's reference names setting ``__class__`` for this: 3.3.2.1.)
    """

    @property
    def _function(self) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(f"{__package__}.{_HOME[name]}"), name)

    @property
    def __signature__(self) -> "Signature":
        from inspect import signature

        return signature(self._function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)


# Each holds a docstring alone, so that nothing heavy is imported here.
for _name in ("audit", "evaluate", "limit", "restore", "sweep", "train"):
    import_module(f"{__name__}.{_name}").__class__ = _Verb
