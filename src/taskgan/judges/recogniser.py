"""A trained reader: reads slices, decides volumes, is saved as a folder of weights and a card."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from taskgan.core.artefact import commit
from taskgan.core.errors import Failed, UserError, disk_error
from taskgan.core.files import atomic, atomic_folder, read_yaml
from taskgan.core.parse import error_text
from taskgan.core.settings import validated
from taskgan.core.tensors import nonfinite_tensor, state_mismatch
from taskgan.judges.volumes import read_batches, read_volumes
from taskgan.networks.gradients import FEATURES, Discriminant
from taskgan.networks.photos import FaceRecogniser
from taskgan.networks.programs import OwnNetwork
from taskgan.networks.recogniser import PreparedNetwork, recogniser_network
from taskgan.objective.kinds import task_kind
from taskgan.objective.task import TaskKind
from taskgan.recipe import RecogniserSettings, Target

CARD = "recogniser.yaml"
_LEAST_DICE, _LEAST_AUC = 0.1, 0.6


class RecogniserMetrics(BaseModel):
    """How well a recogniser reads clean images of subjects it did not learn from.

    Attributes:
        volumes: How many.
        slice_mae: Mean error (|p − y|, or what the kind of property has) over the middle slices of each volume,
            then over volumes (Table 2); of masks that of the whole volume.
        volume_error: Share of decisions on volumes that are wrong; None where the property decides nothing.
        balanced_accuracy: Mean of the shares of right decisions in each class; None where there is one only.
        auc: Area under the ROC curve of the volumes' mean predictions; None likewise.
        loss: Mean loss of a slice, each volume counting the same.
        outputs: Mean |prediction − target| of each output, where there are several.
        with_mask: Of masks the share of volumes whose mask holds anything: the error of who marks nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    volumes: int
    slice_mae: float
    volume_error: float | None
    balanced_accuracy: float | None
    auc: float | None
    loss: float
    outputs: dict[str, float] = {}
    with_mask: float | None = None


def unlearnt_reason(name: str, metrics: RecogniserMetrics, *, masks: bool = False) -> str:
    """Why a recogniser is no judge of anything, a sentence; empty where it has learnt.

    Args:
        name: ``task`` or ``judge``.
        metrics: On clean images of the validation subjects.
        masks: Whether it draws masks, whose error is one minus Dice.
    """
    dice, auc = 1 - metrics.slice_mae / (metrics.with_mask or 1), 1.0 if metrics.auc is None else metrics.auc
    if not (dice < _LEAST_DICE if masks else auc < _LEAST_AUC):
        return ""
    figure = f"Dice {max(dice, 0):.2f}" if masks else f"AUC {auc:.2f}"
    return (
        f"{name} has not learnt the property ({figure} on {metrics.volumes} clean validation volumes): by its "
        "eyes nothing can be kept or lost"
    )


class WeightsSource(BaseModel):
    """Where weights came from that were not trained here.

    Attributes:
        file: Its name.
        sha256: Of its bytes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    sha256: str


class RecogniserCard(BaseModel):
    """The model card.

    Attributes:
        title: What it is for: ``task`` or ``judge``.
        settings: Architecture and training, as in the recipe.
        in_channels: Image channels.
        outputs: Logits.
        target: The property that it reads.
        training_subjects: Whose clean images its weights saw; none of the cohort's where they were released.
        validation_subjects: Whose clean images decided when it stopped.
        cohort: Fingerprint of the rows and files of both; empty where they came from memory.
        step: Optimiser step whose weights these are.
        validation: Figures on the validation subjects, at that step.
        versions: Of the libraries.
        source: The released file that the weights were read from; None where they were trained here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    settings: RecogniserSettings
    in_channels: int = 1
    outputs: int = 1
    target: Target = Target()
    training_subjects: tuple[str, ...]
    validation_subjects: tuple[str, ...]
    cohort: str
    step: int
    validation: RecogniserMetrics
    versions: dict[str, str]
    source: WeightsSource | None = None


def read_card(folder: Path) -> RecogniserCard:
    """The card of a saved recogniser.

    Raises:
        UserError: If it is missing, is not YAML or is not a card.
    """
    values = {key: value for key, value in read_yaml(folder / CARD).items() if key != "files"}  # the checksums
    return validated(RecogniserCard, values, f"{folder / CARD} is not the card of a recogniser")


WEIGHTS = "recogniser.safetensors"


def build(settings: RecogniserSettings, *, in_channels: int = 1, outputs: int = 1) -> nn.Module:
    """The network that the settings describe, with new weights from torch's global generator."""
    length = FEATURES if settings.facts.closed_form else outputs
    network = recogniser_network(
        settings.network,
        in_channels=in_channels,
        width=settings.width,
        norm=settings.norm,
        dropout=settings.dropout,
        outputs=length,
    )
    if isinstance(network, FaceRecogniser):
        network.crop = settings.crop
    if settings.reduce > 1 or settings.standardise:
        network = PreparedNetwork(network, reduce=settings.reduce, standardise=settings.standardise)
    if settings.discriminant or settings.facts.closed_form:
        network = Discriminant(network, length, outputs)
    return network


class Recogniser:
    """A network that reads a property from slices.

    Attributes:
        kind: The kind of property.

    Args:
        network: ``forward(x (B, 1, H, W)) -> (outputs (B, …), features)``, on the device to read on.
        card: What it is.
    """

    def __init__(self, network: nn.Module, card: RecogniserCard) -> None:
        self.network = network
        self.card = card
        self.kind: TaskKind = task_kind(card.target, card.settings.loss)

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the property is, for each slice by itself: a probability of it, where it is binary.

        Deterministic; the network is in evaluation mode, so that a slice is read the same in any company, and
        is left in the mode it was in.

        Args:
            slices: (S, H, W) float32, network units (the transform of the degraded image applied); (S, C, H, W)
                where it learnt from several channels.

        Returns:
            (S,) probabilities or values, (S, n) of several labels, of classes or descriptors, (S, n, H, W) of
            classes in pixels.

        Raises:
            ValueError: If the slices have another number of axes or there are none.
        """
        if slices.ndim - 3 != (self.card.in_channels > 1) or not len(slices):
            raise ValueError(f"expected slices (S, H, W) with at least one, got {slices.shape}")
        read = self.kind.prediction(logits(self.network, np.ascontiguousarray(slices, dtype=np.float32)))
        return np.asarray(read.numpy(), dtype=np.float32)

    @property
    def unlearnt_reason(self) -> str:
        """Why it can judge nothing; empty where it has learnt."""
        return unlearnt_reason(self.card.title, self.card.validation, masks=self.kind.dense)

    def description(self) -> dict[str, Any]:
        """The card as plain values, for the records of those who use this reader."""
        return self.card.model_dump(mode="json")

    def save(self, folder: Path) -> None:
        """Write ``recogniser.safetensors`` and ``recogniser.yaml``; the folder is whole or absent.

        Raises:
            UserError: If the folder exists or its place cannot be written to.
        """
        try:
            held = {"program": self.network.content} if isinstance(self.network, OwnNetwork) else None
            state = held or {k: v.detach().cpu().contiguous() for k, v in self.network.state_dict().items()}
            with atomic_folder(folder) as fresh:
                with atomic(fresh / WEIGHTS) as partial:
                    save_file(state, partial)
                commit(fresh / CARD, self.card.model_dump(mode="json"), [fresh / WEIGHTS])
                if folder.exists():
                    raise UserError(f"{folder} exists already; a recogniser is never overwritten")
        except OSError as error:
            if disk_error(error) is not None:
                raise
            raise UserError(f"{folder} cannot be written: {error.strerror}") from None

    @classmethod
    def load(cls, folder: Path, device: str | torch.device = "cpu") -> "Recogniser":
        """Read what :meth:`save` wrote.

        Raises:
            UserError: If a file is missing or damaged, or the weights do not fit the card.
            Failed: If weights are NaN or infinite.
        """
        card = read_card(folder)
        weights = folder / WEIGHTS
        if not weights.is_file():
            raise UserError(f"{weights} does not exist, expected the weights beside {CARD}")

        def _built() -> nn.Module:
            return build(card.settings, in_channels=card.in_channels, outputs=card.outputs)

        try:
            state = load_file(weights)
            if card.settings.facts.own:
                own = OwnNetwork(state["program"].numpy().tobytes(), card.settings, card.target)
                return cls(own.to(device), card)
            # Without memory, but for networks with layers that are computed rather than learned.
            computed = card.settings.facts.closed_form or card.settings.discriminant
            with torch.device("cpu" if computed else "meta"):
                trouble = state_mismatch(state, _built())
        except (OSError, SafetensorError, RuntimeError, KeyError) as error:
            trouble = error_text(error)
        if trouble:
            raise UserError(f"{weights} does not hold the weights that {CARD} describes: {trouble}")
        if broken := nonfinite_tensor(state):
            raise Failed(f"{weights} has NaN or infinite values in {broken}; it reads nothing, train it anew")
        network = _built()
        network.load_state_dict(state)
        return cls(network.to(device).eval(), card)


def volume_logits(network: nn.Module, volumes: Sequence[NDArray[np.float32]]) -> list[Tensor]:
    """Read the slices (S, H, W) of every volume, see :func:`logits`: one tensor (S, outputs) each, in order.

    Photos are read together, see :func:`~taskgan.judges.volumes.read_volumes`.
    """
    outputs = read_volumes(lambda slices: logits(network, slices).numpy(), volumes)
    return [torch.from_numpy(of_volume) for of_volume in outputs]


def logits(network: nn.Module, slices: NDArray[np.float32]) -> Tensor:
    """Read slices (S, H, W) or (S, C, H, W) in evaluation mode, without gradients: (S, outputs) on the CPU.

    Of pixels (S, outputs, H, W). The network's mode is put back.
    """
    return read_batches(network, slices.reshape(len(slices), -1, *slices.shape[-2:]), lambda read: read[0])
