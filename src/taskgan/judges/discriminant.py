"""The last layer in closed form: what tells training people apart, against what differs between photos of one.

Principal axes of the outputs, then the axes in which the covariance within people is a sphere (WCCN, Hatch et al.
2006, 10.21437/Interspeech.2006-183), then among these the ones in which the means of people differ most: Fisher's
linear discriminant, with its length as a setting.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from torch import nn

from taskgan.core.console import progress
from taskgan.core.errors import UserError
from taskgan.judges.recogniser import volume_logits
from taskgan.judges.volumes import CleanSlices
from taskgan.networks.gradients import Discriminant

Floats = NDArray[np.float64]
_AT_ONCE = 256  # volumes
_MOST = 4096  # volumes that it is fitted to while training
_AXES = 800  # principal ones, of outputs that have more
_SHRINKAGE = 0.05  # of the covariance within people, towards a sphere


def repeated_subjects(train: CleanSlices) -> CleanSlices:
    """About 4096 volumes of people with more than one, whole people, evenly picked; all where nobody has two.

    Enough to see how well a discriminant does: the final one is fitted to everybody.
    """
    counts = Counter(volume.subject for volume in train)
    people = sorted(name for name, count in counts.items() if count > 1)
    total = sum(counts[name] for name in people)
    picked = set(people[:: -(-total // _MOST)]) if people else set(counts)
    return CleanSlices(tuple(v for v in train if v.subject in picked), train.fingerprint)


def fit_discriminant(network: Discriminant, train: CleanSlices, *, mirrored: bool, title: str = "") -> None:
    """Fit the last layer to what the network says of the training images; the rest of it stays.

    Mirror images (first in-plane axis) can count as photos of the same person too. Without a title no progress is
    shown.

    Raises:
        UserError: If nobody has two images.
    """
    who = np.concatenate([np.full(len(v.slices), float(v.label)) for v in train])
    own = np.bincount(np.unique(who, return_inverse=True)[1])
    if own.max() < 2:
        raise UserError(
            f"{title} cannot be trained: none of the {len(own)} training people has two images, which a discriminant "
            "needs"
        )
    features = np.concatenate(list(_outputs(network.network, train, mirrored, title)))
    matrix, mean = solve_discriminant(features, np.tile(who, 2 if mirrored else 1), network.last.out_features)
    with torch.no_grad():
        network.last.weight.copy_(torch.from_numpy(matrix))
        network.last.bias.copy_(torch.from_numpy(-matrix @ mean))


def solve_discriminant(features: NDArray[np.float32], who: Floats, size: int) -> tuple[Floats, Floats]:
    """The linear map and the point that it takes to zero.

    Returns:
        (size, F) and (F,), of features (N, F) and numbers (N,) that say whose image it is. Rows for which there is no
        axis are zero.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean.astype(np.float32)
    axes = _principal(centred)
    centred = centred @ axes.astype(np.float32)
    number, count = np.unique(who, return_inverse=True, return_counts=True)[1:]
    means = np.zeros((len(count), axes.shape[1]))
    np.add.at(means, number, centred)
    means /= count[:, None]
    apart = (centred - means[number])[count[number] > 1].astype(np.float64)
    within = apart.T @ apart / max(1, len(apart) - int((count > 1).sum()))
    within = (1 - _SHRINKAGE) * within + _SHRINKAGE * np.trace(within) / len(within) * np.eye(len(within))
    values, sides = np.linalg.eigh(within)
    least = max(float(values.max()) * 1e-10, np.finfo(float).tiny)
    round_ = sides / np.sqrt(np.maximum(values, least))
    _, best = np.linalg.eigh(np.cov((means @ round_).T))
    matrix = np.zeros((size, features.shape[1]))
    rows = (axes @ round_ @ best[:, ::-1][:, :size]).T
    matrix[: len(rows)] = rows
    return matrix, mean


def _principal(centred: NDArray[np.float32]) -> Floats:
    """(F, A) orthonormal axes, of the images or of their numbers, whichever are fewer."""
    count, length = centred.shape
    fewer = min(count, length)
    products = centred.T @ centred if length <= count else centred @ centred.T
    values, axes = eigh(products.astype(np.float64), subset_by_index=[max(0, fewer - _AXES), fewer - 1])
    axes = axes[:, values > 1e-6 * values.max(initial=0)]
    if length > count:
        axes = centred.T @ axes
        axes /= np.linalg.norm(axes, axis=0)
    return np.asarray(axes, dtype=np.float64)


def _outputs(network: nn.Module, train: CleanSlices, mirrored: bool, title: str) -> Iterator[NDArray[np.float32]]:
    """What the network says of every slice, volume by volume; then of their mirror images, in the same order."""
    ways = 2 if mirrored else 1
    with progress(f"fit {title}", ways * len(train), "images") if title else nullcontext() as bar:
        for way in range(ways):
            for start in range(0, len(train), _AT_ONCE):
                volumes = train.volumes[start : start + _AT_ONCE]
                images = [v.slices[..., ::-1, :] if way else v.slices for v in volumes]
                yield torch.cat(volume_logits(network, images)).numpy()
                if bar is not None:
                    bar.advance(len(volumes))
