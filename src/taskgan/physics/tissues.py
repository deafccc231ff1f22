"""T1, T2 and proton density of every tissue at 3 T, and what one subject draws from them."""

from dataclasses import dataclass

import numpy as np

ANATOMY = ("grey", "white", "csf", "skull", "soft", "fat", "vessels")
"""What an anatomy tells apart. PET needs the first five, with all that is neither in ``soft``; for MR only skin and
muscle are left there, and bone marrow counts as fat."""
TISSUES = (*ANATOMY, "deep_grey", "plaque", "tumour", "oedema")
"""Order of a body's fractions: the anatomy's, then what MR and disease add."""


def index(name: str) -> int:
    """Number of a tissue in :data:`TISSUES`."""
    return TISSUES.index(name)


@dataclass(frozen=True)
class Tissue:
    """T1 and T2, ms, and proton density relative to water."""

    t1: float
    t2: float
    pd: float


# White, grey, CSF, fat, plaque and metastasis (as tumour): the values of quantitative MR at 3 T that the
# synthetic-MR literature uses. Muscle (as soft) and blood: 10.1002/mrm.20605. Assumptions: deep grey (iron
# shortens T2), oedema, the little that cortical bone gives, and a density of vessels that stands for outflow.
# After each tissue, the relative SD between subjects of T1, T2 and density; disease varies more than health.
_ROWS = {
    "grey": (Tissue(1143, 78, 0.78), (0.03, 0.04, 0.02)),
    "white": (Tissue(701, 64, 0.70), (0.03, 0.04, 0.02)),
    "csf": (Tissue(4206, 390, 1.0), (0.02, 0.05, 0.02)),
    "skull": (Tissue(250, 0.5, 0.15), (0.05, 0.05, 0.05)),
    "soft": (Tissue(1412, 50, 0.80), (0.05, 0.06, 0.03)),
    "fat": (Tissue(300, 100, 1.0), (0.05, 0.08, 0.03)),
    "vessels": (Tissue(1932, 275, 0.15), (0.05, 0.08, 0.08)),
    "deep_grey": (Tissue(1040, 66, 0.76), (0.03, 0.04, 0.02)),
    "plaque": (Tissue(1100, 110, 0.85), (0.08, 0.08, 0.03)),
    "tumour": (Tissue(1870, 100, 0.88), (0.08, 0.08, 0.03)),
    "oedema": (Tissue(1400, 130, 0.86), (0.08, 0.08, 0.03)),
}
TABLE = {name: tissue for name, (tissue, _) in _ROWS.items()}
SPREAD = {name: spread for name, (_, spread) in _ROWS.items()}
_LIMIT = 2.5  # in SD: a tissue of a subject stays recognisable
# Turbo spin echoes see a longer T2 (stimulated echoes), and slabs of another profile another T1: assumptions.
_T1_SHIFT, _T2_SHIFT = 1.02, 1.05


def draw_tissues(rng: np.random.Generator, *, spread: float = 1.0) -> dict[str, Tissue]:
    """The tissues of one subject; ``spread`` multiplies the SD between subjects, 0 gives the table."""
    sampled = {}
    for name in TISSUES:
        factors = 1.0 + spread * np.array(SPREAD[name]) * np.clip(rng.normal(0.0, 1.0, 3), -_LIMIT, _LIMIT)
        sampled[name] = _scaled(TABLE[name], factors)
    return sampled


def effective_tissues(tissues: dict[str, Tissue], rng: np.random.Generator, *, difference: float) -> dict[str, Tissue]:
    """What another sequence sees of the same tissues: the reason why a mapping between them is not algebra.

    ``difference`` is the relative SD of T1 and T2 by tissue; a common shift (T1 +2 %, T2 +5 %) comes with it. 0 is no
    difference at all.
    """
    if difference == 0:
        return dict(tissues)
    effective = {}
    for name, tissue in tissues.items():
        t1, t2 = 1.0 + difference * np.clip(rng.normal(0.0, 1.0, 2), -_LIMIT, _LIMIT)
        effective[name] = _scaled(tissue, np.array([t1 * _T1_SHIFT, t2 * _T2_SHIFT, 1.0]))
    return effective


def _scaled(tissue: Tissue, factors: np.ndarray) -> Tissue:
    t1, t2, pd = np.array([tissue.t1, tissue.t2, tissue.pd]) * factors
    return Tissue(float(t1), float(t2), float(pd))
