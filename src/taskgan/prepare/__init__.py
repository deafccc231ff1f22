"""Cohorts from files that a user already has: tables in, checked and named images out."""
