"""The line by which a restorer changes the composite SUVR, fitted on validation subjects."""

from collections.abc import Callable

import numpy as np

from taskgan.cohort.grids import MaskCache
from taskgan.cohort.pairs import Pairs
from taskgan.cohort.slices import Array, Case, load_case, to_volume
from taskgan.core.console import progress, say
from taskgan.metrics.regions import composite_suvr
from taskgan.recipe import Data
from taskgan.stats import CalibrationLine, calibration_line


def suvr_line(pairs: Pairs, data: Data, restore: Callable[[Case], Array]) -> CalibrationLine | None:
    """Restore validation subjects with masks, each to (X, Y, Z) in any units, and fit restored on clean SUVR.

    Returns:
        None where rows lack the masks ``cortex`` and ``reference``, or there is no line.

    """
    rows = [pair for pair in pairs if pair.clean and pair.path("cortex") and pair.path("reference")]
    if not rows:
        return None
    masks, values = MaskCache(), []
    with progress("calibrate", len(rows), "images") as bar:
        for pair in rows:
            case = load_case(pair, data)
            cortex, reference = (masks.read(pair, name, case.source) for name in ("cortex", "reference"))
            assert case.clean is not None  # the rows were chosen so
            assert cortex is not None
            assert reference is not None
            images = (to_volume(case.clean), restore(case))
            values.append([composite_suvr(image, cortex, reference) for image in images])
            bar.advance()
    before, after = np.reshape(values, (-1, 2)).T
    line = calibration_line(before, after, [pair.subject for pair in rows])
    if line is not None:
        say(
            f"calibration line: restored SUVR = {line.intercept.estimate:.3f} + {line.slope.estimate:.3f} × clean "
            f"SUVR, on {line.subjects} validation subjects"
        )
    return line
