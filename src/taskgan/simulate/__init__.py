"""Cohorts from physics."""
