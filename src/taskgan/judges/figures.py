"""From what is predicted for slices to a volume, for every kind of property, and how good that is."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from taskgan.judges.recogniser import RecogniserMetrics, volume_logits
from taskgan.judges.volumes import CleanSlices, middle_slices
from taskgan.metrics.roc import auc
from taskgan.objective.kinds import task_kind
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
    selected = middle_slices(labels, middle)
    if kind.dense:
        return selected.flatten(0, 1)[None]
    return selected.double().mean(dim=0, keepdim=True) if kind.label_from_clean else selected[:1]


def case_error(kind: TaskKind, predictions: Array, labels: Tensor, middle: int = 40) -> float:
    """The error of a volume: the mean over its middle slices (the paper's slice-wise MAE); of masks the volume's.

    Dice of slices would count every slice without the class as perfect.
    """
    if kind.dense:
        return float(kind.error(volume_prediction(kind, predictions, middle), volume_label(kind, labels, middle)))
    selected = torch.from_numpy(middle_slices(predictions, middle)).double()
    return float(kind.error(selected, middle_slices(labels, middle).double()).numpy().mean())


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
        with_mask=float(np.mean([bool(y.any()) for y in labels])) if kind.dense else None,
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


THRESHOLD = "threshold"
MOST = 512
"""Images, evenly picked, whose pairs with all others are what costs."""


def verification_metrics(kind: TaskKind, outputs: Sequence[Tensor], identities: Sequence[float]) -> RecogniserMetrics:
    """Compare every image with the next of its identity, and those of different identities with each other.

    All images count for the pairs of one identity; of more than 512 images, 512 are picked evenly for the pairs of
    different ones, and for the loss 512 of those that have a companion.

    T's outputs are (S, size) for the slices of each volume, identities a number a volume.

    Returns:
        ``slice_mae``: mean distance of two images of one identity. ``volume_error``: error at the threshold that
        balances both kinds of error best; ``outputs`` holds that threshold. ``auc``: of the distance. ``loss``:
        that of telling the identity from the others, whatever form T learns by.
    """
    who = torch.cat([torch.full((len(o),), number) for o, number in zip(outputs, identities, strict=True)])
    embeddings = torch.cat(list(outputs))
    order = torch.argsort(who, stable=True)
    who, embeddings = who[order], embeddings[order]
    descriptors = kind.prediction(embeddings)
    next_one = _next_of_identity(who)
    paired = torch.nonzero(next_one != torch.arange(len(who)))[:, 0]
    same = torch.linalg.vector_norm(descriptors[paired] - descriptors[next_one[paired]], dim=1).numpy()
    picked = evenly_spaced(torch.arange(len(who)), MOST)
    distances = _distances(descriptors[picked])
    other = distances[who[picked][:, None] < who[picked][None]].numpy()
    queries = evenly_spaced(paired if len(paired) else torch.arange(len(who)), MOST)
    y = torch.cat([who[queries, None], descriptors[next_one[queries]]], dim=1)
    threshold, error = _threshold(same, other)
    scores = -np.concatenate([same, other]).astype(np.float64)
    truth = np.concatenate([np.ones(len(same)), np.zeros(len(other))])
    return RecogniserMetrics(
        volumes=len(outputs),
        slice_mae=float(same.mean()) if len(same) else 0.0,
        volume_error=error,
        balanced_accuracy=1 - error,
        auc=auc(scores, truth) if len(same) and len(other) else None,
        loss=float(task_kind(kind.target, "proper").loss(embeddings[queries], y).mean()),
        outputs={THRESHOLD: threshold},
    )


def verify_network(network: nn.Module, kind: TaskKind, volumes: CleanSlices) -> RecogniserMetrics:
    """Read volumes of known identity and compare them; the network's mode is put back."""
    outputs = volume_logits(network, [volume.slices for volume in volumes])
    return verification_metrics(kind, outputs, [float(volume.label) for volume in volumes])


def evenly_spaced(numbers: Tensor, most: int) -> Tensor:
    """At most ``most`` of some numbers (N,), from the first to the last at equal steps."""
    return numbers[torch.linspace(0, len(numbers) - 1, min(most, len(numbers))).round().long()]


def _distances(descriptors: Tensor) -> Tensor:
    """All pairs; not by the products that torch takes for many, which cost three digits where images are alike."""
    return torch.cdist(descriptors, descriptors, compute_mode="donot_use_mm_for_euclid_dist")


def _next_of_identity(who: Tensor) -> Tensor:
    """For each image the next one of the same identity, the first after the last; sorted by identity."""
    counts = torch.unique_consecutive(who, return_counts=True)[1]
    ends = counts.cumsum(0)
    following = torch.arange(1, len(who) + 1)
    following[ends - 1] = ends - counts
    return following


def _threshold(same: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Distance at which the two error rates are least in their mean, halfway between two images, and that mean."""
    if not len(same) or not len(other):
        return 1.0, 0.5  # unit descriptors that are 60 degrees apart; nothing is known
    cuts = np.unique(np.concatenate([same, other]))
    missed = 1 - np.searchsorted(np.sort(same), cuts, side="right") / len(same)
    taken = np.searchsorted(np.sort(other), cuts, side="right") / len(other)
    best = int(np.argmin(missed + taken))
    upper = cuts[best + 1] if best + 1 < len(cuts) else cuts[best]
    return float((cuts[best] + upper) / 2), float((missed + taken)[best] / 2)
