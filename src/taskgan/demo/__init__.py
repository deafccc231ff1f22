"""Demos: every verb once, on simulated data."""
