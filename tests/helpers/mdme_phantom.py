"""Phantoms: patches of tissue under a transmit field and receive phases, as the input has them."""

from dataclasses import dataclass

import numpy as np

from taskgan.physics.sequences import Mdme, mdme_signal
from taskgan.physics.tissues import TABLE

PROTOCOL = Mdme()
NAMES = ("white", "grey", "csf", "fat", "plaque", "tumour", "oedema")


@dataclass(frozen=True)
class Phantom:
    """Images (D, E, X, Y, Z) and the truth (X, Y, Z); ``tissue`` is −1 in air."""

    images: np.ndarray
    tissue: np.ndarray
    t1: np.ndarray
    t2: np.ndarray
    pd: np.ndarray
    b1: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        return self.tissue >= 0


def make_phantom(*, size=32, slices=3, noise=0.0, seed=0, field=0.2, gain=1.0, protocol=PROTOCOL) -> Phantom:
    """A cylinder of patches; B1 from 1 + field in the middle to 1 − field at the edge, phases that vary."""
    axis, depth = np.linspace(-1, 1, size), np.linspace(-1, 1, slices)
    x, y, z = np.meshgrid(axis, axis, depth, indexing="ij")
    inside = x**2 + y**2 < 0.95
    tissue = (np.floor((x + 1) * 4) + 3 * np.floor((y + 1) * 4)).astype(int) % len(NAMES)
    b1 = 1 + field * np.cos(np.pi * np.minimum(np.hypot(x, y), 1.0)) + 0 * z
    t1, t2, pd = (np.array([getattr(TABLE[n], key) for n in NAMES])[tissue] for key in ("t1", "t2", "pd"))
    rng = np.random.default_rng(seed)
    images = np.empty((len(protocol.delays), len(protocol.echoes), size, size, slices), np.complex64)
    for d, td in enumerate(protocol.delays):
        for e, te in enumerate(protocol.echoes):
            phase = np.exp(1j * (0.5 + 0.4 * x + 0.3 * y * te / protocol.echoes[-1]))
            drawn = noise * (rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape))
            signal = mdme_signal(pd, t1, t2, te=te, td=td, b1=b1, protocol=protocol)
            images[d, e] = gain * (inside * signal * phase + drawn)
    return Phantom(images, np.where(inside, tissue, -1), t1, t2, pd, b1)
