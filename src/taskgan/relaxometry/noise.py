"""The noise of the input, from the input: what no single tissue can explain."""

import numpy as np
from numpy.typing import NDArray

from taskgan.core.errors import UserError
from taskgan.physics.sequences import Mdme, mdme_signal
from taskgan.physics.tissues import TABLE
from taskgan.relaxometry.acquisition import Relaxometry
from taskgan.relaxometry.projection import Array, energy, evenly_spaced

_MOST = 40000  # voxels that are looked at; the SD is then known to better than 1 %
_STRONG = 10.0  # signal over the rest, from which the largest eigenvalue is signal and not the largest noise
_FEW = 0.03  # share of voxels that noise alone may have there


def noise_sd(packed_gram: Array, parts: int) -> float:
    """SD of the noise in one real part of one image.

    A voxel's D × P real values (P: real and imaginary parts of all echoes) are of rank one without noise. What
    is left beside the largest eigenvalue of R is noise of (D − 1)(P − 1) degrees of freedom. The median over
    voxels with signal is little moved by those with several tissues, in which it is more. Where hardly any voxel
    has signal, all energy is noise.

    Args:
        packed_gram: R (D(D+1)/2, N).
        parts: P.

    Returns:
        In the images' units; 0 where there is no voxel.
    """
    filled = np.flatnonzero(energy(packed_gram) > 0)
    some = packed_gram[:, filled[evenly_spaced(filled.size, _MOST)]]
    if not some.shape[1]:
        return 0.0
    count = int(np.sqrt(2 * len(some)))
    matrices = np.empty((some.shape[1], count, count))
    rows, columns = np.triu_indices(count)
    matrices[:, rows, columns] = matrices[:, columns, rows] = some.T
    values = np.linalg.eigvalsh(matrices)
    rest = np.maximum(values[:, :-1].sum(axis=1), 0.0)
    strong = values[:, -1] > _STRONG * rest
    if strong.mean() >= _FEW:
        return float(np.sqrt(np.median(rest[strong]) / _median_chi2((count - 1) * max(parts - 1, 1))))
    return float(np.sqrt(np.median(energy(some)) / _median_chi2(count * parts)))


def has_signal(packed_gram: Array, sd: float, images: int, times: float) -> NDArray[np.bool_]:
    """Voxels (N,) with ``times`` the energy that noise alone gives to ``images`` real values, D × P, of a voxel."""
    total = energy(packed_gram)
    return np.asarray((total > times * images * sd**2) & (total > 0))


def _median_chi2(degrees: int) -> float:
    """Wilson and Hilferty's approximation (10.1073/pnas.17.12.684), within 0.5 % from 3 degrees of freedom."""
    return degrees * (1.0 - 2.0 / (9.0 * degrees)) ** 3


_SNR = 40.0  # of the largest image
_MOST_UNKNOWN = 0.5  # relative SD of a voxel's T1 or T2 from which it counts as unknown
_MOST_B1 = 1.0  # SD of what one voxel tells of B1; thousands share the field


def check_identifiable(protocol: Mdme, settings: Relaxometry, where: str) -> None:
    """Refuse a protocol by the Cramér–Rao bound of white matter.

    Raises:
        UserError: If there are too few delays or echoes, or they lie where nothing can be learnt.
    """
    free = settings.b1 == "smooth"
    least = 3 if free else 2
    if len(protocol.delays) < least or len(protocol.echoes) < 2:
        raise UserError(
            f"{where} has {len(protocol.delays)} delays and {len(protocol.echoes)} echoes, expected at least "
            f"{least} and 2 to fit T1, T2{' and B1' if free else ''}"
        )
    sd = cramer_rao_bounds(protocol)
    wrong = [name for name in ("T1", "T2") if not sd[name] <= _MOST_UNKNOWN]
    if free and not sd["B1"] <= _MOST_B1:
        wrong.append("B1")
    if wrong:
        times = ", ".join(f"{td:g}" for td in protocol.delays), ", ".join(f"{te:g}" for te in protocol.echoes)
        raise UserError(
            f"{where} cannot tell {' and '.join(wrong)} of white matter: delays {times[0]} ms, echoes {times[1]} ms, "
            f"TR {protocol.tr:g} ms"
        )


def cramer_rao_bounds(protocol: Mdme, tissue: str = "white") -> dict[str, float]:
    """Smallest SD of an unbiased estimate from one voxel at an SNR of 40 in the largest image.

    Returns:
        ``T1`` and ``T2`` relative, at known B1; ``B1`` with everything else unknown. Infinite where nothing is
        told.
    """
    own = TABLE[tissue]
    start = np.array([0.0, np.log(own.t1), np.log(own.t2), 1.0])

    def signal(at: np.ndarray) -> np.ndarray:
        """All delays and echoes (D·E,) at ln PD, ln T1, ln T2 and B1."""
        pd, t1, t2, b1 = np.exp(at[0]), np.exp(at[1]), np.exp(at[2]), at[3]
        return np.array(
            [
                mdme_signal(pd, t1, t2, te=te, td=td, b1=b1, protocol=protocol)
                for td in protocol.delays
                for te in protocol.echoes
            ]
        )

    step = 1e-4
    slopes = np.stack([(signal(start + step * e) - signal(start - step * e)) / (2 * step) for e in np.eye(4)])
    sd = float(np.abs(signal(start)).max()) / _SNR
    fisher = slopes @ slopes.T / sd**2
    known, free = _deviations(fisher[:3, :3]), _deviations(fisher)
    return {"T1": known[1], "T2": known[2], "B1": free[3]}


def _deviations(fisher: np.ndarray) -> list[float]:
    scale = np.sqrt(np.maximum(np.diag(fisher), 1e-30))
    values, vectors = np.linalg.eigh(fisher / np.outer(scale, scale))
    if values[0] < 1e-10:
        return [float("inf")] * len(scale)
    return [float(v) for v in np.sqrt((vectors**2 / values).sum(axis=1)) / scale]
