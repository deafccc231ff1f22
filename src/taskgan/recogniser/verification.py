"""How well descriptors tell identities apart that T never learnt: verification of pairs of images."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from taskgan.objective.kinds import task_kind
from taskgan.objective.task import TaskKind
from taskgan.recogniser.card import Figures
from taskgan.recogniser.figures import area

THRESHOLD = "threshold"
_MOST = 512  # images, evenly picked: their pairs are what costs


def verification(kind: TaskKind, outputs: Sequence[Tensor], identities: Sequence[float]) -> Figures:
    """Compare every image with the next of its identity and with those of the other identities.

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
    found = torch.cat(list(outputs))
    order = torch.argsort(who, stable=True)
    order = order[torch.linspace(0, len(order) - 1, min(_MOST, len(order))).round().long()]
    who, found = who[order], found[order]
    descriptors = kind.prediction(found)
    next_one = _next_of_identity(who)
    y = torch.cat([who[:, None], descriptors[next_one]], dim=1)
    alone = next_one == torch.arange(len(who))
    distances = torch.cdist(descriptors, descriptors)
    same = distances[torch.arange(len(who)), next_one][~alone].numpy()
    other = distances[who[:, None] < who[None]].numpy()
    threshold, error = _threshold(same, other)
    scores = -np.concatenate([same, other]).astype(np.float64)
    truth = np.concatenate([np.ones(len(same)), np.zeros(len(other))])
    return Figures(
        volumes=len(outputs),
        slice_mae=float(same.mean()) if len(same) else 0.0,
        volume_error=error,
        balanced_accuracy=1 - error,
        auc=area(scores, truth),
        loss=float(task_kind(kind.target, "proper").loss(found, y).mean()),
        outputs={THRESHOLD: threshold},
    )


def _next_of_identity(who: Tensor) -> Tensor:
    """For each image the next one of the same identity, the first after the last; sorted by identity."""
    following = torch.arange(len(who))
    for number in sorted(set(who.tolist())):
        members = torch.nonzero(who == number)[:, 0]
        following[members] = members.roll(-1)
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
