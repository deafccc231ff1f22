"""Judges of faces that are told no identity: texture and eigenfaces. A descriptor an image."""

from taskgan.judges.faces.lbp import Texture, lbp_codes
from taskgan.judges.faces.pixels import Pixels, Whitening, fit_whitening, unit_distance
from taskgan.judges.faces.readers import PhotoReader, photo_readers

__all__ = [
    "PhotoReader",
    "Pixels",
    "Texture",
    "Whitening",
    "fit_whitening",
    "lbp_codes",
    "photo_readers",
    "unit_distance",
]
