"""Judges of faces that are told no identity: texture and eigenfaces. A descriptor an image."""

from taskgan.evaluate.faces.distances import chi_square_distance, unit_distance
from taskgan.evaluate.faces.lbp import lbp_codes, lbp_histograms
from taskgan.evaluate.faces.pixels import Pixels
from taskgan.evaluate.faces.readers import PhotoReader, photo_readers
from taskgan.evaluate.faces.texture import Texture
from taskgan.evaluate.faces.whitening import Whitening, fit_whitening

__all__ = [
    "PhotoReader",
    "Pixels",
    "Texture",
    "Whitening",
    "chi_square_distance",
    "fit_whitening",
    "lbp_codes",
    "lbp_histograms",
    "photo_readers",
    "unit_distance",
]
