"""From what is predicted for slices to a volume, for every kind of property, and how good that is."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taskgan.judges.recogniser import RecogniserMetrics
from taskgan.judges.volumes import middle_slices
from taskgan.metrics.roc import auc
from taskgan.objective.task import OutputReading, TaskKind

Array = NDArray[np.float32]
Floats = NDArray[np.float64]


def volume_prediction(kind: TaskKind, predictions: Array, middle: int = 40) -> Tensor:
    """What is predicted for a volume: the mean over its middle slices; of masks those slices as one image.

    Returns:
        (1, …) of slices (S, …), float64; (1, n, S·H, W) of pixels.

    Raises:
        ValueError: If there are no slices.
    """
    if not len(predictions):
        raise ValueError("a volume without slices cannot be decided")
    selected = middle_slices(predictions, middle)
    if kind.dense:
        return torch.from_numpy(selected).double().movedim(0, 1).flatten(1, 2)[None]
    return torch.from_numpy(np.asarray(selected.mean(axis=0, dtype=np.float64, keepdims=True)))


def volume_label(kind: TaskKind, labels: Tensor, middle: int = 40) -> Tensor:
    """y of a volume as :func:`volume_prediction` wants it: (1, …).

    All slices of a volume share their y (S, …), unless they are masks or descriptors.
    """
    start = max(0, (len(labels) - middle) // 2)
    selected = labels[start : start + middle]
    if kind.dense:
        return selected.flatten(0, 1)[None]
    return selected.double().mean(dim=0, keepdim=True) if kind.label_from_clean else selected[:1]


def case_error(kind: TaskKind, predictions: Array, labels: Tensor, middle: int = 40) -> float:
    """The error of a volume: the mean over its middle slices (the paper's slice-wise MAE); of masks the volume's.

    Dice of slices would count every slice without the class as perfect.
    """
    if kind.dense:
        return float(kind.error(volume_prediction(kind, predictions, middle), volume_label(kind, labels, middle)))
    start = max(0, (len(labels) - middle) // 2)
    selected = torch.from_numpy(middle_slices(predictions, middle)).double()
    errors = kind.error(selected, labels[start : start + middle].double())
    return float(errors.numpy().mean())


def volume_metrics(
    kind: TaskKind, readings: Sequence[Array], labels: Sequence[Tensor], losses: Sequence[float]
) -> RecogniserMetrics:
    """How well volumes were read, from predictions and y (S, …) of the slices and the mean loss of one, by volume."""
    means = [volume_prediction(kind, r) for r in readings]
    truths = [volume_label(kind, y) for y in labels]
    entries = [kind.readings(mean, y) for mean, y in zip(means, truths, strict=True)]
    right, classes, scores = _decisions(kind, means, truths, entries)
    recalls = [float(right[classes == c].mean()) for c in np.unique(classes)]
    return RecogniserMetrics(
        volumes=len(readings),
        slice_mae=float(np.mean([case_error(kind, r, y) for r, y in zip(readings, labels, strict=True)])),
        volume_error=float(1 - right.mean()) if len(right) else None,
        balanced_accuracy=float(np.mean(recalls)) if len(recalls) > 1 else None,
        auc=_auc(scores, classes),
        loss=float(np.mean(losses)),
        outputs=_outputs(entries) if len(entries[0]) > 1 else {},
    )


def _decisions(
    kind: TaskKind, means: Sequence[Tensor], truths: Sequence[Tensor], entries: Sequence[Sequence[OutputReading]]
) -> tuple[Floats, Floats, Floats]:
    """Whether each known decision is right, the class that it is about, and the score behind it."""
    truth = kind.true_decision(truths[0])
    if truth is not None:
        targets = np.array([float(t) for y in truths if (t := kind.true_decision(y)) is not None])
        decisions = np.array([float(kind.decision(mean)) for mean in means])
        one = len(entries[0]) == 1
        scores = np.array([e[0].prediction if one else np.nan for e in entries])
        return (decisions == targets).astype(np.float64), targets, scores
    known = [e for one in entries for e in one if not np.isnan([e.decision, e.target]).any()]
    right = np.array([float(e.decision == e.target) for e in known])
    return right, np.array([e.target for e in known]), np.array([e.prediction for e in known])


def _outputs(entries: Sequence[Sequence[OutputReading]]) -> dict[str, float]:
    errors: dict[str, list[float]] = {}
    for entry in (e for one in entries for e in one):
        errors.setdefault(entry.output, []).append(abs(entry.prediction - entry.target))
    known = {name: [d for d in values if not np.isnan(d)] for name, values in errors.items()}
    return {name: float(np.mean(values)) for name, values in known.items() if values}


def _auc(scores: Floats, classes: Floats) -> float | None:
    """None unless there are positives (1), negatives (0) and nothing else, each with a score."""
    known = set(np.unique(classes)) == {0.0, 1.0} and not np.isnan(scores).any()
    return auc(scores, classes) if known else None
