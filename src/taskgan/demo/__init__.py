"""Demos: every verb once, on simulated data or public images at hand."""
