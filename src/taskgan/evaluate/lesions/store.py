"""Lesion observers of a cohort: taught once for the same clean images, masks and settings, then read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from taskgan.cohort.description import fingerprint
from taskgan.cohort.pairs import Pairs
from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import value_digest, write_json
from taskgan.core.parse import parse_json, read_text
from taskgan.evaluate.lesions.channels import SIGMAS_MM
from taskgan.evaluate.lesions.detector import Detector
from taskgan.evaluate.lesions.places import LEAST, MARGIN_MM
from taskgan.evaluate.lesions.train import COLUMNS, MOST, FittedDetector, fit_detectors, usable_rows

FOLDER = "lesion_observers"
# Raised when channels, template or threshold are made otherwise, so that observers kept before are not taken for new.
_GENERATION = 1


def detectors_for(
    pairs: Pairs, condition: str, rate: float, store: Path | None = None
) -> dict[str, FittedDetector]:
    """A cohort's observers: those that an evaluation before this one kept, else taught and kept.

    What is read gives the same figures to the bit as what was taught: numbers are written with all their digits. A
    file that is damaged is taught anew and replaced, and where nothing can be written nothing is kept.

    Args:
        pairs: The rows that count, of all splits.
        condition: Column that says which image of a subject a row is; empty where there is one kind.
        rate: False lesions an image that are accepted on clean validation images.
        store: Folder that keeps them; ``<cohort>/derivatives/lesion_observers`` where None.

    Returns:
        As :func:`~taskgan.evaluate.lesions.train.fit_detectors`.

    Raises:
        UserError: If an image or mask cannot be read or is on another grid.
    """
    if not usable_rows(pairs):
        return {}
    path = observers_file(pairs, condition, rate, store)
    stored = _read(path)
    if stored is not None:
        return stored
    fitted = fit_detectors(pairs, condition, rate)
    values = {name: _values(one) for name, one in fitted.items()}
    try:
        write_json(path, {"checksum": value_digest(values, 64), "observers": values})
    except OSError as error:
        say(f"note: the lesion observers are not kept, {path.parent} cannot be written to ({error.strerror})")
    else:
        say(f"lesion observer: kept in {path}")
    return fitted


def observers_file(pairs: Pairs, condition: str, rate: float, store: Path | None = None) -> Path:
    """Where :func:`detectors_for` keeps the observers of these rows and settings.

    The name holds a digest of the training and validation rows that have lesion masks, with their files, and of all
    that decides a template or a threshold. Test rows do not count.
    """
    rows = Pairs(pairs.source, tuple(usable_rows(pairs)))
    mark = value_digest(
        {
            "generation": _GENERATION,
            "rows": fingerprint(rows, (condition, *COLUMNS)),
            "condition": condition,
            "rate": rate,
            "settings": [SIGMAS_MM, LEAST, MARGIN_MM, MOST],
            # Another version of these may add up in another order.
            "versions": [np.__version__, scipy.__version__],
        }
    )
    folder = store if store is not None else pairs.folder / "derivatives" / FOLDER
    return folder / f"lesions-{mark}.json"


def _values(fitted: FittedDetector) -> dict[str, Any]:
    detector = fitted.detector
    return {
        "template": [float(weight) for weight in detector.template],
        "offset": detector.offset,
        "threshold": None if np.isnan(detector.threshold) else detector.threshold,
        "record": fitted.record,
    }


def _read(path: Path) -> dict[str, FittedDetector] | None:
    """What was kept; None where there is nothing, or it is not what was written."""
    try:
        held = parse_json(read_text(path), str(path))
        if held["checksum"] != value_digest(held["observers"], 64):
            return None
        return {name: _from_values(values) for name, values in held["observers"].items()}
    except (UserError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _from_values(values: Mapping[str, Any]) -> FittedDetector:
    threshold = float("nan") if values["threshold"] is None else float(values["threshold"])
    template = np.array(values["template"], dtype=np.float64)
    return FittedDetector(Detector(template, float(values["offset"]), threshold), dict(values["record"]))
