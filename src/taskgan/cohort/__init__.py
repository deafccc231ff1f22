"""Cohorts: the pairs table, images on disk, intensity transforms, the check before training, datasets."""
