"""``model/``: all that restoring needs. ``generator.safetensors`` holds the weights, ``model.yaml`` the card.

The folder is replaced as a whole: a reader, or a training run killed at any moment, finds the old model or the
new one, never a mixture.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ConfigDict, Field, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from taskgan.core.errors import Failed, UserError
from taskgan.core.files import (
    PathLike,
    atomic,
    atomic_folder,
    checksum,
    previous_folder,
    read_yaml,
    value_digest,
    versions,
    write_yaml,
)
from taskgan.core.parse import error_text, truncated
from taskgan.core.settings import Settings, validated
from taskgan.core.tensors import nonfinite_tensor, state_mismatch
from taskgan.images.statistics import ImageStatistics, main_directions, unlike_share
from taskgan.networks.generator import UNet, generator_network
from taskgan.networks.volume_unet import VolumeUNet
from taskgan.recipe import Data, Generator, Objective, RecogniserSettings, Task
from taskgan.recipe.generator import Down, Step

WEIGHTS = "generator.safetensors"
CARD = "model.yaml"
FORMAT = 1

Range = tuple[float, float]
State = dict[str, Tensor]


class TrainingDomain(Settings):
    """What the model saw in training; an image outside of it is restored with a warning.

    Attributes:
        cohort: Name of the training cohort.
        fingerprint: Of its training rows (``taskgan.cohort.folder.fingerprint``).
        subjects: Number of training subjects.
        voxel_size: Smallest and largest edge per axis (x, y, z), mm.
        plane: Smallest and largest in-plane size (x, y), voxels.
        scale: Smallest and largest factor that the intensity transform found, in the images' units.
        positive: Smallest and largest share of voxels above zero in the inputs.
        noise: Smallest and largest level of noise (of photos sharpness), see :mod:`taskgan.images.statistics`.
        contrast: Likewise of contrast.
        sharpness: Likewise of photos' sharpness.
        content: What training photos show (:func:`taskgan.images.statistics.content_of`); empty of anything else.
        degradation: Steps that made the inputs, where the cohort says them.
        metadata: What the sidecars of the inputs say of tracer, units and modality, and the table of the dose: the
            values by field.
        suffix: BIDS suffix of the inputs, such as ``pet``; empty where they have none in common.
        people: Digests of the names of training and validation subjects, so that an audit can refuse them as test
            subjects.
        images: Digests of their clean images' files, likewise.
    """

    cohort: str
    fingerprint: str
    subjects: int = Field(ge=1)
    voxel_size: tuple[Range, Range, Range]
    plane: tuple[tuple[int, int], tuple[int, int]]
    scale: Range
    positive: Range | None = None
    noise: Range | None = None
    contrast: Range | None = None
    sharpness: Range | None = None
    content: dict[str, str | float] = Field(default_factory=dict)
    degradation: tuple[Step, ...] = ()
    metadata: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    suffix: str = ""
    people: tuple[str, ...] = ()
    images: tuple[str, ...] = ()

    @field_validator("content")
    @classmethod
    def _is_content(cls, content: dict[str, str | float]) -> dict[str, str | float]:
        if content and (set(content) != {"basis", "unlike"} or not isinstance(content["unlike"], float)):
            raise ValueError("expected basis and unlike, or nothing")
        if content:
            main_directions(str(content["basis"]))
        return content

    @property
    def factor(self) -> float:
        """How many times fewer pixels along each axis the inputs were made of; 1 where nothing says so."""
        return math.prod(step.factor for step in self.degradation if isinstance(step, Down))


class ModelCard(Settings):
    """Who the model is, what it needs, what it was measured to do, and what it is not for.

    Attributes:
        format: Version of this layout.
        name: What people call it, e.g. ``task_gan-seed0-fold0``.
        objective: The objective that it was trained with; the method's name in every table.
        seed: Training seed.
        fold: Cross-validation fold.
        step: Optimiser step of these weights.
        generator: Architecture.
        custom: Class of a generator of the user's own, whose code the folder does not hold and to which
            ``generator`` does not apply; empty for one of :mod:`taskgan.networks.generator`.
        data: Inputs, neighbours, selection, intensity transform, and the conditions that it knows.
        task: The task network's settings, by which ``evaluate`` finds T.
        judge: The judge's settings, likewise.
        seen: What it was trained on.
        started_from: The model whose weights the training began with (``name``, ``step``, ``checksum``); empty began
            anew. Whom that had learnt from is in ``seen.people`` and ``seen.images`` too.
        measured: Figures by name, e.g. ``val_psnr``.
        calibration: Line of restored on clean composite SUVR, fitted on validation subjects (slope, intercept with
            intervals, subjects); empty where the cohort has no masks.
        versions: Code and libraries that trained it.
        intended_use: One sentence.
        limits: One sentence each.
        mixed: Of weights between two models: the checksums of both and the strength (:func:`read_between`).
        checksum: SHA-256 of the weights' file; filled in by :func:`write_model`.
    """

    model_config = ConfigDict(allow_inf_nan=True)  # a figure that was measured may be

    format: int = FORMAT
    name: str
    objective: Objective
    seed: int
    fold: int = 0
    step: int = Field(ge=0)
    generator: Generator
    custom: str = ""
    data: Data
    task: Task
    judge: RecogniserSettings
    seen: TrainingDomain
    started_from: dict[str, str | int] = Field(default_factory=dict)
    measured: dict[str, float] = Field(default_factory=dict)
    calibration: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=versions)
    intended_use: str = "Research on restoring degraded images of the kind, scanner and dose of the training cohort."
    limits: tuple[str, ...] = (
        "Not a medical device and not validated for diagnosis.",
        "A restored image can look clean and still read differently from the clean one: evaluate it first.",
        "Images outside of what the model saw (voxel size, intensity, anatomy, tracer) are restored untested.",
    )
    mixed: dict[str, str | float] = Field(default_factory=dict)
    checksum: str = ""


def write_model(folder: Path, generator_state: Mapping[str, Tensor], card: ModelCard) -> None:
    """Write a model folder, replacing one that is there.

    The new folder is complete on disk before the old one moves aside, and the old one is removed last.
    Killed between the two moves, the old model is found under its second name by :func:`read_model`.

    Args:
        folder: The model folder, e.g. ``run/model``.
        generator_state: ``G.state_dict()``; tensors of any device.
    """
    # Contiguous copies on the CPU: a generator may share weights between layers, safetensors may not.
    layout = torch.contiguous_format
    state = {name: tensor.detach().cpu().clone(memory_format=layout) for name, tensor in generator_state.items()}
    with atomic_folder(folder) as fresh:
        with atomic(fresh / WEIGHTS) as partial:
            save_file(state, partial, metadata={"format": "pt"})
        filled = card.model_copy(update={"checksum": checksum(fresh / WEIGHTS)})
        write_card(fresh, filled)


def write_card(folder: Path, card: ModelCard) -> None:
    """Replace the card of a model folder; the weights stay."""
    write_yaml(folder / CARD, card.model_dump(mode="json"))


def read_model(folder: PathLike) -> tuple[State, ModelCard]:
    """Read weights and card of a model folder, or of a run folder that has one.

    Returns:
        The generator's state on the CPU, and the card.

    Raises:
        UserError: If the folder is no model, its format is newer than this version, or the weights are not
            those that the card speaks of.
        Problems: If the card's values are not valid: all of them at once.
    """
    place = _find_model(Path(folder))
    card = read_card(place / CARD)
    weights = place / WEIGHTS
    if not weights.is_file():
        raise UserError(f"{place} has a {CARD} but no {WEIGHTS}")
    actual = checksum(weights)
    if actual != card.checksum:
        raise UserError(
            f"{weights} has checksum {actual[:12]}, its card expects {card.checksum[:12] or 'none'}: "
            "the file is damaged or not this model's"
        )
    try:
        return load_file(weights), card
    except (SafetensorError, OSError) as error:
        raise UserError(f"{weights} cannot be read as safetensors: {error_text(error)}") from None


_TRAINING_ONLY = {"augment", "balanced", "workers", "min_signal"}  # of the data section


def read_between(folder: PathLike, toward: PathLike, strength: float) -> tuple[State, ModelCard]:
    """Weights between those of a model (strength 0) and of one that was started from it (1), as :func:`read_model`.

    The card is the first one's, with a name, a method and a checksum of the mixture.

    Raises:
        UserError: If the strength is out of range, or the two are not of one architecture and for the same inputs.
    """
    if not 0 <= strength <= 1:
        raise UserError(f"--strength {strength:g}: expected 0 (the model itself) to 1 (the one of --toward)")
    (state, card), (other, far) = read_model(folder), read_model(toward)
    networks = [(c.generator, c.custom, c.data.model_dump(exclude=_TRAINING_ONLY)) for c in (card, far)]
    shapes = [{name: tensor.shape for name, tensor in weights.items()} for weights in (state, other)]
    if networks[0] != networks[1] or shapes[0] != shapes[1]:
        raise UserError(
            f"{toward} has another architecture or other inputs than {folder}, expected a model that was started "
            "from it: only then do weights in between mean anything"
        )
    mixed = {name: w.lerp(other[name], strength) if w.is_floating_point() else w for name, w in state.items()}
    marks: dict[str, str | float] = {"model": card.checksum, "toward": far.checksum, "strength": strength}
    both = {key: tuple(sorted({*getattr(card.seen, key), *getattr(far.seen, key)})) for key in ("people", "images")}
    changes = {"name": f"{card.name} toward {far.name} ({strength:g})", "checksum": value_digest(marks, 64)}
    changes |= {"objective": f"{far.objective}_strength_{strength:g}"}  # what tables call it
    seen = card.seen.model_copy(update=both)
    return mixed, card.model_copy(update={**changes, "seen": seen, "mixed": marks, "calibration": {}})


def build_generator(state: Mapping[str, Tensor], card: ModelCard, name: str = "the model") -> UNet | VolumeUNet:
    """The network of a card with its weights, in evaluation.

    Raises:
        UserError: If the weights do not fit the card's architecture, or are of a generator of the user's own.
        Failed: If weights are NaN or infinite.
    """
    if card.custom:
        raise UserError(
            f"the generator of {name} is of the user's own class {card.custom}, which the folder does not hold; "
            "expected it in Python: taskgan.Restorer.from_folder(folder, generator=module)"
        )
    try:
        with torch.device("meta"):
            network = generator_network(card.generator, card.data)
    except (RuntimeError, OverflowError, ValueError) as error:  # numbers that no network has
        raise UserError(f"the architecture in the {CARD} of {name} cannot be built: {error_text(error)}") from None
    _load(network, state, f"the architecture of its {CARD}", name, assign=True)
    return network.requires_grad_(False).eval()


def custom_generator(
    network: nn.Module, state: Mapping[str, Tensor], card: ModelCard, name: str = "the model"
) -> nn.Module:
    """A copy of the user's own module with a model's weights, in evaluation.

    Raises:
        UserError: If the model has a generator of the recipe's, or its weights do not fit the module.
        Failed: If weights are NaN or infinite.
    """
    if not card.custom:
        raise UserError(f"{name} has a generator of its own (a U-Net), found another one ({type(network).__name__})")
    network = copy.deepcopy(network)
    _load(network, state, f"the module {type(network).__name__}", name)
    return network.requires_grad_(False).eval()


def _load(network: nn.Module, state: Mapping[str, Tensor], what: str, name: str, *, assign: bool = False) -> None:
    if trouble := state_mismatch(state, network):
        raise UserError(f"the weights of {name} do not fit {what}: {trouble}")
    if broken := nonfinite_tensor(state):
        raise Failed(f"the weights of {name} are NaN or infinite in {broken}; it restores nothing, train it anew")
    network.load_state_dict(dict(state), assign=assign)


def _find_model(folder: Path) -> Path:
    for candidate in (folder, folder / "model"):
        for place in (candidate, previous_folder(candidate)):
            if (place / CARD).is_file():
                return place
    if not folder.exists():
        raise UserError(f"{folder} does not exist; expected a model folder with {CARD} and {WEIGHTS}")
    recipe = folder / "recipe.yaml"
    if recipe.is_file() and read_yaml(recipe).get("objective") == "recogniser":
        raise UserError(
            f"{folder} is a run of objective recogniser, which trains readers and no restorer; expected the run of "
            "another objective, or its model folder"
        )
    raise UserError(f"{folder} holds no {CARD}; expected a model folder, or a run folder with model/ in it")


def read_card(path: Path) -> ModelCard:
    """Read a card alone; raises what :func:`read_model` raises of it."""
    values = read_yaml(path)
    if values.get("format") != FORMAT:
        raise UserError(f"{path} has format {values.get('format')}, this version of taskgan reads {FORMAT}")
    return validated(ModelCard, values, f"{path} is not a valid model card")


_VOXEL_TOLERANCE = 0.05  # share of the edge length; headers round
_SCALE_TOLERANCE = 0.25  # subjects differ; units differ by far more
_POSITIVE_TOLERANCE = 0.15  # of all voxels: a field of view may hold more or less air
_NOISE_TOLERANCE = 1.6  # times: counts, and so the square of noise, differ by less between people of one protocol
_NO_NOISE = 0.01  # what rounding to 8 bits alone may make
_CONTRAST_TOLERANCE = 2.0
_SHARPNESS_TOLERANCE = 2.0
_UNLIKE_TOLERANCE = 1.25
METADATA_FIELDS = ("Modality", "TracerName", "TracerRadionuclide", "Units", "DosePercent")
"""Of a sidecar: what makes another kind of image."""


def domain_warnings(
    voxel_size: Sequence[float],
    scale: float,
    card: ModelCard,
    statistics: ImageStatistics | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> list[str]:
    """What an image has that the model did not see, e.g. ``voxels of 6 mm along z, the model saw 2 mm``.

    Args:
        voxel_size: Edges along x, y and, of a volume, z, mm.
        metadata: Its sidecar, and ``dose`` where a table has one.
    """
    warnings = []
    for axis, size, (low, high) in zip("xyz", voxel_size, card.seen.voxel_size, strict=False):
        if not low * (1 - _VOXEL_TOLERANCE) <= size <= high * (1 + _VOXEL_TOLERANCE):
            warnings.append(f"voxels of {size:.3g} mm along {axis}, the model saw {_range_text(low, high)} mm")
    low, high = card.seen.scale
    if not low * (1 - _SCALE_TOLERANCE) <= scale <= high * (1 + _SCALE_TOLERANCE):
        kind = card.data.intensity.kind
        warnings.append(f"an intensity ({kind}) of {scale:.4g}, the model saw {_range_text(low, high)}")
    if statistics is not None:
        warnings += _statistics_warnings(statistics, card.seen)
    numeric = {*card.data.numeric, *["DosePercent"] * ("dose" in card.data.numeric)}  # which have a range
    for name, known in card.seen.metadata.items():
        if name in numeric:
            continue
        value = (metadata or {}).get(name)
        if value not in (None, "", "n/a") and str(value).casefold() not in {one.casefold() for one in known}:
            warnings.append(f"{name} {truncated(str(value))}, the model saw {', '.join(known)}")
    return warnings


def _statistics_warnings(image: ImageStatistics, seen: TrainingDomain) -> list[str]:
    warnings = []
    if seen.positive is not None:
        low, high = seen.positive
        if not low - _POSITIVE_TOLERANCE <= image.positive <= high + _POSITIVE_TOLERANCE:
            known = f"{100 * low:.0f} to {100 * high:.0f} %"
            warnings.append(f"values above zero in {100 * image.positive:.0f} % of its voxels, the model saw {known}")
    names = (
        ("a noise level", image.noise, seen.noise, _NOISE_TOLERANCE, _NO_NOISE),
        ("a contrast", image.contrast, seen.contrast, _CONTRAST_TOLERANCE, 0.0),
        *[("a sharpness", image.sharpness, seen.sharpness, _SHARPNESS_TOLERANCE, 0.0)] * (image.thumbnail is not None),
    )
    for name, value, known_range, factor, least in names:
        low, high = known_range or (0.0, math.inf)
        if known_range and not max(low, least) / factor <= max(value, least) <= max(high, least) * factor:
            warnings.append(f"{name} of {value:.2g}, the model saw {_range_text(low, high, digits=2)}")
    if image.thumbnail is not None and seen.content:
        share, most = unlike_share(image, str(seen.content["basis"])), float(seen.content["unlike"])
        if share > _UNLIKE_TOLERANCE * most:
            warnings.append(
                f"other shapes than the photos that the model saw: {100 * share:.0f} % of its thumbnail are unlike "
                f"theirs, and at most {100 * most:.0f} % of one of theirs unlike the others"
            )
    return warnings


def _range_text(low: float, high: float, digits: int = 4) -> str:
    first, last = f"{low:.{digits}g}", f"{high:.{digits}g}"
    return first if first == last else f"{first} to {last}"
