"""The noise of a lower dose added to a standard-dose image: an approximation, for those who have no pairs.

The noise of an iterative reconstruction is neither white nor of constant size. What is measured of the image itself
is how large its noise is and how far it reaches; what is added is Poisson noise of the image's values, smoothed to
that reach, of the variance that the counts that are missing would have added. Bias at low counts, streaks and the
reconstruction's own regularisation are not in it: a cohort that was made so says so.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.core.errors import UserError

Array = NDArray[np.float32]
_GAUSS = 0.6745  # median absolute deviation of a normal variable
_REACHES = np.linspace(0.05, 3.0, 60)  # standard deviations in voxels
_FEWEST = 1000


def measured_noise(image: Array) -> tuple[float, float]:
    """Size and reach of the noise of (X, Y, Z), along X.

    Of noise with the autocorrelation exp(−h²/4s²), the ratio of second to first differences says s. The finest
    structure counts only: anatomy is in the first differences too, so that s is rather too large.

    Returns:
        Standard deviation by the mean of the foreground, and s in voxels.
    """
    inside = image > 0.1 * np.percentile(image, 99)
    if inside.sum() < _FEWEST:
        return 0.0, 0.0
    mean = float(image[inside].mean(dtype=np.float64))
    first = np.diff(image, axis=0)[inside[1:] & inside[:-1]]
    second = np.diff(image, 2, axis=0)[inside[2:] & inside[1:-1] & inside[:-2]]
    if not first.size or not second.size:
        return 0.0, 0.0
    one, two = (float(np.median(np.abs(part - np.median(part)))) / _GAUSS for part in (first, second))
    near, far = np.exp(-1 / (4 * _REACHES**2)), np.exp(-4 / (4 * _REACHES**2))
    expected = (6 - 8 * near + 2 * far) / (2 - 2 * near)
    best = int(np.argmin(np.abs(expected - (two / max(one, 1e-30)) ** 2)))
    size = two / np.sqrt(6 - 8 * near[best] + 2 * far[best])
    return float(size / mean), float(_REACHES[best])


def lower_dose(image: Array, dose: float, rng: np.random.Generator, name: str = "the image") -> Array:
    """The image (X, Y, Z) with the noise of a lower dose; zero stays zero, nothing is negative.

    Args:
        image: Standard dose, any units, at least 0.
        dose: Per cent of it.
        rng: Where the noise comes from.
        name: What messages call the image.

    Raises:
        UserError: If the image has no noise by which to know its counts.
    """
    size, reach = measured_noise(image)
    if size <= 1e-6:
        raise UserError(f"{name} has no noise that can be measured, so that nothing says what a lower dose would add")
    inside = image > 0
    mean = float(image[image > 0.1 * np.percentile(image, 99)].mean(dtype=np.float64))
    quantum = size**2 * mean * (100 / dose - 1)  # variance that is added, by value
    expected = np.where(inside, np.clip(image, 0, None), 0).astype(np.float64) / quantum
    white = (rng.poisson(expected) - expected) * quantum
    probe = np.zeros([2 * int(4 * reach + 1) + 1] * 3)
    probe[tuple(n // 2 for n in probe.shape)] = 1
    gain = np.sqrt(np.square(ndimage.gaussian_filter(probe, reach, mode="constant")).sum())
    noise = ndimage.gaussian_filter(white, reach, mode="constant") / gain
    return np.where(inside, np.clip(image + noise, 0, None), 0).astype(np.float32)
