"""Judges of faces that are not learned, or hardly: local binary patterns and eigenfaces. A descriptor an image."""

from taskgan.evaluate.faces.distances import chi_square_distance, cosine_distance, unit_distance
from taskgan.evaluate.faces.eigenfaces import Eigenfaces, fit_eigenfaces
from taskgan.evaluate.faces.lbp import lbp_codes, lbp_histograms

__all__ = [
    "Eigenfaces",
    "chi_square_distance",
    "cosine_distance",
    "fit_eigenfaces",
    "lbp_codes",
    "lbp_histograms",
    "unit_distance",
]
