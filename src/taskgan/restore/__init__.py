"""A model folder applied to arrays, volumes and files."""
