"""Whether a protocol can tell T1, T2 and B1 at all, before hours of fitting noise."""

import numpy as np

from taskgan.core.errors import UserError
from taskgan.relaxometry.settings import Relaxometry
from taskgan.simulate.mr.sequences import Mdme, mdme_signal
from taskgan.simulate.mr.tissues import TABLE

_SNR = 40.0  # of the largest image
_MOST = 0.5  # relative SD of a voxel's T1 or T2 from which it counts as unknown
_MOST_B1 = 1.0  # SD of what one voxel tells of B1; thousands share the field


def check_identifiable(protocol: Mdme, settings: Relaxometry, where: str) -> None:
    """Refuse a protocol by the Cramér–Rao bound of white matter.

    Args:
        protocol: Of the input.
        settings: Whether B1 is fitted.
        where: What the protocol is from, for the message.

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
    wrong = [name for name in ("T1", "T2") if not sd[name] <= _MOST]
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
