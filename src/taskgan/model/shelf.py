"""Models by name: those that come with the package, and those of a centre's own index.

An index is a folder of model folders, ``NAME/`` or ``FAMILY/VARIANT/``. A further model is a further folder.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from taskgan.core.errors import UserError
from taskgan.core.files import PathLike
from taskgan.core.parse import quoted
from taskgan.model.folder import CARD, ModelCard, read_card

INDEX = "TASKGAN_MODELS"
"""Environment variable: folders of a centre's own models, separated as in ``PATH``."""


@dataclass(frozen=True)
class Listed:
    """A model of an index.

    Attributes:
        name: ``NAME`` or ``FAMILY/VARIANT``.
        folder: Its model folder.
        card: Its card.
        shipped: Whether it comes with the package.
    """

    name: str
    folder: Path
    card: ModelCard
    shipped: bool

    @property
    def doses(self) -> tuple[float, ...]:
        """Doses that it saw, in per cent of the standard dose; empty where its cohort says nothing of them."""
        return tuple(float(text) for text in self.card.seen.metadata.get("dose", ()) if _is_number(text))

    @property
    def seen(self) -> str:
        """What it was trained on, e.g. ``voxels of 2×2×5.2 mm, dose 1 %``."""
        dose = f", dose {', '.join(f'{one:g}' for one in self.doses)} %" if self.doses else ""
        return f"voxels of {_edges([(low + high) / 2 for low, high in self.card.seen.voxel_size])} mm{dose}"


def index_folders(index: Path | None = None) -> list[Path]:
    """Where models are looked for: a named index or those of :data:`INDEX`, then the package."""
    own = [index] if index else [Path(text) for text in os.environ.get(INDEX, "").split(os.pathsep) if text]
    if absent := next((place for place in own if not place.is_dir()), None):
        raise UserError(f"{absent} is no folder; expected an index of models (--index or {INDEX})")
    return [*own, shipped_folder()]


def shipped_folder() -> Path:
    """The models that come with the package."""
    return Path(str(resources.files("taskgan") / "models_shipped"))


def listed_models(index: Path | None = None) -> list[Listed]:
    """All models, those of an own index first; of two of one name the first counts.

    Raises:
        UserError: If an index is no folder, or a card in it cannot be read.
    """
    found: dict[str, Listed] = {}
    for place in index_folders(index):
        for path in sorted([*place.glob(f"*/{CARD}"), *place.glob(f"*/*/{CARD}")]):
            name = path.parent.relative_to(place).as_posix()
            if not any(part.startswith(".") for part in path.parent.relative_to(place).parts):
                found.setdefault(name, Listed(name, path.parent, read_card(path), place == shipped_folder()))
    return list(found.values())


def models_called(name: str, index: Path | None = None) -> list[Listed]:
    """The model of a name, or all of a family.

    Raises:
        UserError: If there is none.
    """
    known = listed_models(index)
    found = [one for one in known if one.name == name] or [one for one in known if one.name.split("/")[0] == name]
    if not found:
        names = ", ".join(dict.fromkeys(one.name.split("/")[0] for one in known)) or "none"
        raise UserError(f"no model {quoted(name)}: expected a model folder, or the name of a listed one ({names})")
    return found


def model_folder(model: PathLike) -> Path:
    """A model's folder, or that of the one listed model of a name.

    Raises:
        UserError: If there is none, or several.
    """
    if Path(model).exists():
        return Path(model)
    found = models_called(str(model))
    if len(found) > 1:
        raise UserError(f"{model} is a family; expected one of {', '.join(one.name for one in found)}")
    return found[0].folder


def nearest(models: Sequence[Listed], voxel_size: Sequence[float], dose: float | None) -> tuple[Listed, str]:
    """The model of a family that saw images most like one, and a sentence that says why.

    The distance is the sum of |ln ratio| over the voxel's edges and, where both are known, the dose; nothing within
    what a model saw.

    Args:
        models: At least one.
        voxel_size: Edges along x, y and z, mm.
        dose: In per cent of the standard dose, where it is known.
    """

    def distance(model: Listed) -> float:
        apart = sum(
            abs(math.log(size / min(max(size, low), high)))
            for size, (low, high) in zip(voxel_size, model.card.seen.voxel_size, strict=False)
        )
        if dose is None or not model.doses:
            return apart
        low, high = min(model.doses), max(model.doses)
        return apart + abs(math.log(dose / min(max(dose, low), high)))

    best = min(models, key=lambda model: (distance(model), model.name))
    family = best.name.split("/")[0]
    image = f"voxels of {_edges(voxel_size)} mm, dose {'unknown' if dose is None else f'{dose:g} %'}"
    return best, (f"{family}: takes {best.name} (saw {best.seen}), nearest of {len(models)} to the image's {image}")


def _edges(sizes: Sequence[float]) -> str:
    return "×".join(f"{size:.3g}" for size in sizes)


def _is_number(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False
