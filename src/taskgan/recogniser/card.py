"""What has to be known of a recogniser beside its weights, and how well it reads."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from taskgan import recipe
from taskgan.core.files import read_yaml
from taskgan.core.settings import validated

CARD = "recogniser.yaml"


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
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    volumes: int
    slice_mae: float
    volume_error: float | None
    balanced_accuracy: float | None
    auc: float | None
    loss: float
    outputs: dict[str, float] = {}


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
    settings: recipe.RecogniserSettings
    in_channels: int = 1
    outputs: int = 1
    target: recipe.Target = recipe.Target()
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
    values: dict[str, Any] = read_yaml(folder / CARD)
    return validated(RecogniserCard, values, f"{folder / CARD} is not the card of a recogniser")
