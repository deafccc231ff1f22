"""From maps back to conventional contrasts."""

import numpy as np
from numpy.typing import NDArray

from taskgan.relaxometry.fit import RelaxometryMaps
from taskgan.simulate.mr.sequences import SpinEcho, target_signal


def synthesise(maps: RelaxometryMaps, target: SpinEcho) -> NDArray[np.float32]:
    """The magnitude image that a sequence would give (:func:`~taskgan.simulate.mr.sequences.target_signal`).

    One T1, T2 and density stand for a voxel, whatever is in it. Where CSF and tissue share one, the signals of
    the two would cancel on T2-FLAIR (CSF is nearly nulled, but it has most of the density and T2), and those of
    the mixed parameters do not: the bright rim of synthetic T2-FLAIR.

    Args:
        maps: Of the subject.
        target: TR, TE and TI.

    Returns:
        (X, Y, Z), not negative, in the units of the input; 0 in air.
    """
    image = np.zeros(maps.t1.shape, dtype=np.float32)
    inside = maps.t1 > 0
    image[inside] = np.abs(target_signal(maps.pd[inside], maps.t1[inside], maps.t2[inside], target))
    return image
