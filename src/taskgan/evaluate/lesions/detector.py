"""The observer: a template and a threshold, both from clean images of subjects that are no test subjects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.evaluate.lesions.channels import channels
from taskgan.evaluate.lesions.places import LEAST, Places

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
_RIDGE = 1e-6  # of the mean variance: channels that hardly vary would otherwise get any weight
_HEALTHY = 100  # voxels of healthy white matter whose spread is worth knowing
_STEP = 0.1  # SD of healthy white matter between the thresholds that are tried


@dataclass(frozen=True)
class Seen:
    """One image as the observer sees it.

    Attributes:
        values: Channels (C, X, Y, Z) of the image over the mean of white matter in the clean image.
        places: Of the subject.
    """

    values: Image
    places: Places

    def samples(self) -> "Samples":
        """What the template is made of."""
        index = range(1, self.places.count + 1)
        means = [ndimage.mean(channel, self.places.lesions, index) for channel in self.values]
        lesions = np.asarray(means, dtype=np.float64).T.reshape(self.places.count, len(self.values))
        return Samples(lesions, self.values[:, self.places.healthy].T.astype(np.float64))


@dataclass(frozen=True)
class Samples:
    """Channels at places of one image.

    Attributes:
        lesions: (N, C) mean over the voxels of each lesion.
        healthy: (M, C) in healthy white matter.
    """

    lesions: Array
    healthy: Array


def see(
    image: Image, clean: Image, brain: Mask, white: Mask, found: Places, voxel_mm: Sequence[float]
) -> Seen | None:
    """Channels of an image, in units of the clean image's white matter, so that a method's own scale excuses nothing.

    Args:
        image: (X, Y, Z).
        clean: (X, Y, Z) the same case's.
        brain: Brain tissue (X, Y, Z).
        white: Pure white matter (X, Y, Z).
        found: Of the subject.
        voxel_mm: Edges of a voxel.

    Returns:
        None where there is hardly any healthy white matter or it gives no signal.
    """
    if found.healthy.sum() < _HEALTHY:
        return None
    unit = float(clean[white].mean(dtype=np.float64))
    if not unit > 0:
        return None
    return Seen(channels(image / np.float32(unit), brain, voxel_mm), found)


@dataclass(frozen=True)
class Detector:
    """A channelised Hotelling observer: a matched filter on channels that have been made white.

    Attributes:
        template: (C,) weights: S⁻¹ (mean in lesions − mean in healthy white matter), S the mean of both covariances
            (Barrett et al. 1993, 10.1073/pnas.90.21.9758; Myers and Barrett 1987, 10.1364/JOSAA.4.002447), scaled so
            that responses in healthy white matter of clean training images have SD 1.
        offset: Mean response there, which is taken off.
        threshold: Response from which a lesion is reported; NaN where there were no images to choose it on.
    """

    template: Array
    offset: float
    threshold: float

    def respond(self, seen: Seen) -> Image:
        """Response at every voxel (X, Y, Z), in SD of healthy white matter; the sign of the lesions' contrast."""
        weighted = np.tensordot(self.template.astype(np.float32), seen.values, axes=1)
        return np.asarray(weighted - np.float32(self.offset), dtype=np.float32)


def teach(images: Sequence[Samples]) -> Detector | None:
    """A detector without a threshold.

    Args:
        images: Of clean images of training subjects; those without lesions add to what healthy looks like.

    Returns:
        None where there are fewer lesions than the template has weights.
    """
    lesions = np.concatenate([one.lesions for one in images]) if images else np.zeros((0, 0))
    if len(lesions) <= lesions.shape[1]:
        return None
    healthy = [one.healthy for one in images]
    mean = np.mean([h.mean(axis=0) for h in healthy], axis=0)
    spread = np.mean([np.cov(h.T, ddof=0) for h in healthy], axis=0)
    both = 0.5 * (spread + np.cov(lesions.T, ddof=0))
    both += _RIDGE * float(np.trace(both)) / len(both) * np.eye(len(both))
    template = np.linalg.solve(both, lesions.mean(axis=0) - mean)
    scale = float(np.sqrt(template @ spread @ template))
    if not scale > 0:
        return None
    template = template / scale
    return Detector(template, float(template @ mean), float("nan"))


def false_lesions(response: Image, found: Places, threshold: float) -> int:
    """Connected regions of at least three voxels in healthy white matter in which the observer reports a lesion."""
    labels, count = ndimage.label((response >= threshold) & found.healthy)
    return int((np.bincount(labels.ravel(), minlength=count + 1)[1:] >= LEAST).sum())


def found_lesions(response: Image, found: Places, threshold: float) -> int:
    """True lesions in which the observer reports one."""
    return len(np.unique(found.lesions[(response >= threshold) & (found.lesions > 0)]))


def detectability(response: Image, found: Places) -> float:
    """Chance that the response in a lesion exceeds that in healthy white matter of the same image.

    The AUC of the task in which the place is known: voxels of lesions against voxels of healthy white matter, ties by
    half. Every lesion weighs the same, whatever its size.

    Returns:
        ½ for an observer that sees nothing, 1 where every lesion stands out everywhere; NaN without lesions.
    """
    if not found.count:
        return float("nan")
    inside = found.lesions > 0
    healthy = np.sort(response[found.healthy])
    below, upto = (np.searchsorted(healthy, response[inside], side) for side in ("left", "right"))
    beaten = 0.5 * (below + upto) / len(healthy)
    return float(np.mean(ndimage.mean(beaten, found.lesions[inside], range(1, found.count + 1))))


def signal_to_noise(response: Image, found: Places) -> float:
    """Mean response in lesions, over lesions, minus that in healthy white matter, over the latter's SD.

    The observer's signal-to-noise ratio (Barrett et al. 1993), which goes on rising where the AUC is 1 already.

    Returns:
        NaN without lesions or where healthy white matter gives one response everywhere.
    """
    healthy = response[found.healthy].astype(np.float64)
    spread = float(healthy.std())
    if not found.count or not spread > 0:
        return float("nan")
    lesions = ndimage.mean(response, found.lesions, range(1, found.count + 1))
    return float((np.mean(lesions) - healthy.mean()) / spread)


def choose_threshold(responses: Sequence[tuple[Image, Places]], rate: float) -> float:
    """The lowest threshold, to a tenth of a SD, down to which no more than ``rate`` false lesions an image are found.

    Args:
        responses: To clean images of validation subjects.
        rate: Mean number of false lesions in an image that is accepted.

    Returns:
        NaN without images.
    """
    if not responses:
        return float("nan")
    # A region of three voxels cannot be found by a threshold above the third highest response.
    highest = max(float(np.partition(r[p.healthy], -LEAST)[-LEAST]) for r, p in responses)
    steps = int(np.ceil(highest / _STEP))
    while steps > 0:
        lower = (steps - 1) * _STEP
        if np.mean([false_lesions(r, p, lower) for r, p in responses]) > rate:
            break
        steps -= 1
    return steps * _STEP
