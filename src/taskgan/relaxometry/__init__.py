"""Synthetic MR from physics: T1, T2, density and B1 fitted per voxel, contrasts from their signal equations."""
