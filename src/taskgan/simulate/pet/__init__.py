"""Amyloid PET: tracer, scanner, reconstruction."""
