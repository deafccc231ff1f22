"""Evaluation: image quality, readings of T and of an independent judge, SUVR, statistics by subject."""
