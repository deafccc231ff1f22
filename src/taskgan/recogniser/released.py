"""A recogniser that somebody else trained: its weights are read, not learnt, and measured on this cohort."""

from collections import Counter
from pathlib import Path

import torch

from taskgan import recipe
from taskgan.core.console import say
from taskgan.core.files import checksum, versions
from taskgan.networks.vgg_face import VggFaceRecogniser
from taskgan.objective.kinds import task_kind
from taskgan.recogniser.card import RecogniserCard, WeightsSource
from taskgan.recogniser.recogniser import Recogniser, build
from taskgan.recogniser.verification import MOST, THRESHOLD, evenly_spaced, verify_network
from taskgan.recogniser.volumes import CleanSlices
from taskgan.recogniser.weights import load_vgg_face


def released_recogniser(
    settings: recipe.RecogniserSettings,
    val: CleanSlices,
    *,
    title: str,
    target: recipe.Target,
    device: str | torch.device = "cpu",
) -> Recogniser:
    """Read released weights and see how well they tell the validation subjects apart.

    At most 512 images are looked at, of people with several images if there are any: VGG-Face takes a third of a
    second an image on one core.

    Args:
        settings: ``network``, ``width`` and ``weights``; nothing else counts.
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
    assert isinstance(network, VggFaceRecogniser)
    network.network.load_state_dict(load_vgg_face(path, width=settings.width))
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
