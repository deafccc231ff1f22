"""A recogniser that somebody else trained: its weights are read, not learnt, and measured on this cohort."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from taskgan.core.console import say
from taskgan.core.files import checksum, versions
from taskgan.judges.recogniser import Recogniser, RecogniserCard, RecogniserMetrics, WeightsSource, build, volume_logits
from taskgan.judges.volumes import CleanSlices
from taskgan.judges.weights import load_dlib_face, load_vgg_face
from taskgan.metrics.roc import auc
from taskgan.networks.photos import FaceRecogniser
from taskgan.objective.kinds import task_kind
from taskgan.objective.task import TaskKind
from taskgan.recipe import RecogniserSettings, Target

THRESHOLD = "threshold"
MOST = 512
"""Images, evenly picked, whose pairs with all others are what costs."""


def verification_metrics(kind: TaskKind, outputs: Sequence[Tensor], identities: Sequence[float]) -> RecogniserMetrics:
    """Compare every image with the next of its identity, and those of different identities with each other.

    All images count for the pairs of one identity; of more than 512 images, 512 are picked evenly for the pairs of
    different ones, and for the loss 512 of those that have a companion.

    Args:
        kind: An embedding.
        outputs: T's outputs (S, size) for the slices of each volume.
        identities: Whose they are, a number a volume.

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


def released_recogniser(
    settings: RecogniserSettings, val: CleanSlices, *, title: str, target: Target, device: str | torch.device = "cpu"
) -> Recogniser:
    """Read released weights and see how well they tell the validation subjects apart.

    At most 512 images are looked at, of people with several images if there are any: VGG-Face takes a third of a
    second an image on one core.

    Args:
        settings: ``network``, ``width``, ``crop`` and ``weights``; nothing else counts.
        val: Volumes of validation subjects, for the card's figures and for the distance that says "the same".
        title: What it is for, e.g. ``task``; shown and recorded.
        target: The property, an embedding of the network's own size.
        device: Where it is put and read.

    Raises:
        UserError: If the weights are missing, damaged or another network's.
    """
    assert settings.weights is not None  # the settings were checked
    path = Path(settings.weights)
    with torch.random.fork_rng([]):
        network = build(settings, outputs=target.size)
    assert isinstance(network, FaceRecogniser)
    load = load_dlib_face if settings.network == "dlib" else load_vgg_face
    network.network.load_state_dict(load(path, width=settings.width))
    network = network.to(device).eval()
    volumes = _validation_subset(val)
    say(f"{title}: reading {len(volumes)} validation images with the weights of {path.name}")
    metrics = verify_network(network, task_kind(target, settings.loss), volumes)
    if target.cut is None:
        target = target.model_copy(update={"cut": metrics.outputs[THRESHOLD]})
    card = RecogniserCard(
        title=title,
        settings=settings,
        outputs=target.size,
        target=target,
        training_subjects=(),
        validation_subjects=volumes.subjects,
        cohort=val.fingerprint,
        step=0,
        validation=metrics,
        versions=versions(),
        source=WeightsSource(file=path.name, sha256=checksum(path)),
    )
    auc = "unknown (no person has two images)" if metrics.auc is None else f"{metrics.auc:.3f}"
    say(f"{title}: {settings.network} tells clean validation images of people apart with AUC {auc}")
    return Recogniser(network, card)


def _validation_subset(val: CleanSlices) -> CleanSlices:
    """At most 512 volumes, whole people, evenly picked; those with one volume only where all have one."""
    counts = Counter(volume.subject for volume in val)
    several = [v for v in val if counts[v.subject] > 1] or list(val)
    several.sort(key=lambda volume: volume.subject)
    if len(several) <= MOST:
        return CleanSlices(tuple(several), val.fingerprint)
    people = list(dict.fromkeys(volume.subject for volume in several))
    mean = len(several) / len(people)
    picked = {people[k] for k in evenly_spaced(torch.arange(len(people)), max(1, int(MOST / mean))).tolist()}
    return CleanSlices(tuple(v for v in several if v.subject in picked)[:MOST], val.fingerprint)
