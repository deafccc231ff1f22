"""Models by name: those that come with the package, and those of a centre's own index.

An index is a folder of model folders, ``NAME/`` or ``FAMILY/VARIANT/``. A further model is a further folder.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from taskgan.core.artefact import differing
from taskgan.core.console import say
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import PathLike
from taskgan.core.parse import quoted
from taskgan.model.folder import CARD, WEIGHTS, ModelCard, read_card

INDEX = "TASKGAN_MODELS"
"""Environment variable: folders of a centre's own models, separated as in ``PATH``."""


@dataclass(frozen=True)
class Listed:
    """A model of an index, ``NAME`` or ``FAMILY/VARIANT``."""

    name: str
    folder: Path
    card: ModelCard
    shipped: bool

    @property
    def doses(self) -> tuple[float, ...]:
        """Doses that it saw, in per cent of the standard dose; empty where its cohort says nothing of them."""
        return tuple(sorted(dose for text in self.card.seen.metadata.get("dose", ()) if (dose := positive(text))))

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
    models: dict[str, Listed] = {}
    for place in index_folders(index):
        for path in sorted([*place.glob(f"*/{CARD}"), *place.glob(f"*/*/{CARD}")]):
            name = path.parent.relative_to(place).as_posix()
            if not any(part.startswith(".") for part in path.parent.relative_to(place).parts):
                models.setdefault(name, Listed(name, path.parent, read_card(path), place == shipped_folder()))
    return list(models.values())


def models_called(name: str, index: Path | None = None) -> list[Listed]:
    """The model of a name, or all of a family.

    Raises:
        UserError: If there is none.
    """
    known = listed_models(index)
    matching = [one for one in known if one.name == name] or [one for one in known if one.name.split("/")[0] == name]
    if not matching:
        names = ", ".join(dict.fromkeys(one.name.split("/")[0] for one in known)) or "none"
        raise UserError(f"no model {quoted(name)}: expected a model folder, or the name of a listed one ({names})")
    return matching


def model_folder(model: PathLike) -> Path:
    """A model's folder, or that of the one listed model of a name.

    Raises:
        UserError: If there is none, or several.
    """
    if Path(model).exists():
        return Path(model)
    matching = models_called(str(model))
    if len(matching) > 1:
        raise UserError(f"{model} is a family; expected one of {', '.join(one.name for one in matching)}")
    return matching[0].folder


def nearest(models: Sequence[Listed], voxel_size: Sequence[float], dose: float | None) -> tuple[Listed, str]:
    """The model of a family that saw images most like one, and a sentence that says why.

    The distance is the sum of |ln ratio| over the voxel's edges (mm) and, where both are known, the dose (per cent of
    the standard dose); nothing within what a model saw.
    """

    def _distance(model: Listed) -> float:
        pairs = list(zip(voxel_size, model.card.seen.voxel_size, strict=False))
        pairs += [(dose, (min(model.doses), max(model.doses)))] if dose and model.doses else []
        return sum(abs(math.log(size / min(max(size, low), high))) for size, (low, high) in pairs)

    best = min(models, key=lambda model: (_distance(model), model.name))
    image = f"voxels of {_edges(voxel_size)} mm, dose {'unknown' if dose is None else f'{dose:g} %'}"
    why = f"takes {best.name} (saw {best.seen}), nearest of {len(models)} to the image's {image}"
    return best, f"{best.name.split('/')[0]}: {why}"


def list_models(index: Path | None = None) -> None:
    """Print all models, a line each: name, objective, what they saw, size, checksum, where from."""
    rows = []
    for one in listed_models(index):
        weights = one.folder / WEIGHTS
        size = f"{weights.stat().st_size / 1e6:.1f} MB" if weights.is_file() else f"no {WEIGHTS}"
        place = "shipped" if one.shipped else str(one.folder.parent)
        rows.append((one.name, one.card.objective, one.seen, size, one.card.checksum[:12], place))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    say("\n".join([*lines, "next: taskgan restore NAME scan.nii.gz -o out.nii.gz"]))


def verify_models(names: Sequence[str] = (), index: Path | None = None) -> None:
    """Hold the SHA-256 of weights against their cards, of some models or of all.

    Raises:
        Problems: Each file that is missing or was changed.
    """
    chosen = [one for name in names for one in models_called(name, index)] if names else listed_models(index)
    if wrong := [sentence for one in chosen for sentence in differing(one.folder / CARD) or []]:
        raise Problems("these models are not what was released", wrong)
    say(f"{len(chosen)} model{'s' * (len(chosen) != 1)}: every file is as it was released")


def _edges(sizes: Sequence[float]) -> str:
    return "×".join(f"{size:.3g}" for size in sizes)


def positive(text: object) -> float | None:
    """A number above zero; None of anything else."""
    try:
        return float(str(text)) if 0 < float(str(text)) < math.inf else None
    except ValueError:
        return None
