"""The figure of relaxometry.md: maps, a synthetic T2-FLAIR beside the true one, and why the two differ.

taskgan simulate mr mr --subjects 12 --patients 0.67 --tumours 0.4 --seed 5
taskgan restore relaxometry mr -o fitted --split test --maps
python docs/relaxometry.py mr fitted sub-002 docs/relaxometry.png
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from taskgan.cohort.pairs import read_pairs
from taskgan.images.volumes import read_volume
from taskgan.page.style import axes_figure, save_figure
from taskgan.physics.sequences import TARGETS, Mdme, mdme_signal, target_signal
from taskgan.physics.tissues import TABLE
from taskgan.relaxometry.acquisition import Relaxometry
from taskgan.relaxometry.fit import fit_maps, synthesise

FLAIR = next(target for target in TARGETS if target.name == "T2-FLAIR")
SLICE = 8


def mixtures(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """T2-FLAIR of grey matter with some CSF, over white matter: true and synthetic, without noise, at B1 = 1."""
    protocol = Mdme()
    tissues = [TABLE[name] for name in ("csf", "grey", "white")]
    images = np.zeros((4, 2, len(shares), 1, 1), np.float32)
    parts = shares[:, None, None]
    for d, td in enumerate(protocol.delays):
        for e, te in enumerate(protocol.echoes):
            csf, grey, _ = (
                float(mdme_signal(t.pd, t.t1, t.t2, te=te, td=td, b1=1.0, protocol=protocol)) for t in tissues
            )
            images[d, e] = parts * csf + (1 - parts) * grey
    csf, grey, white = (float(target_signal(t.pd, t.t1, t.t2, FLAIR)) for t in tissues)
    synthetic = synthesise(fit_maps(images, protocol, settings=Relaxometry(b1="nominal")), FLAIR)[:, 0, 0]
    return np.abs(shares * csf + (1 - shares) * grey) / white, synthetic / white


def show(axes: Axes, image: np.ndarray, title: str, low: float, high: float, colours: str = "gray") -> None:
    """One slice as radiologists look at it, with its scale."""
    shown = axes.imshow(np.flipud(image.T), cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    axes.set_title(title)
    axes.axis("off")
    axes.figure.colorbar(shown, ax=axes, shrink=0.75, pad=0.02)


def main() -> None:
    """COHORT RESTORED SUBJECT PNG."""
    cohort, fitted, subject, out = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    pair = next(p for p in read_pairs(cohort) if p.subject == subject and p.columns["contrast"] == FLAIR.name)
    true = read_volume(pair.clean or pair.degraded).data
    synthetic = read_volume(fitted / f"{pair.case}.nii.gz").data
    mask = pair.path("white")
    white = float(np.median(true[read_volume(mask).data > 0])) if mask else 1.0
    true, synthetic = true[..., SLICE] / white, synthetic[..., SLICE] / white
    t1, t2, pd, b1 = (
        read_volume(fitted / "maps" / f"{subject}_{name}.nii.gz").data[..., SLICE]
        for name in ("T1map", "T2map", "PDmap", "TB1map")
    )
    with axes_figure(2, 4, (13.0, 6.2)) as (figure, axes):
        show(axes[0, 0], true, "T2-FLAIR, true", 0, 2)
        show(axes[0, 1], synthetic, "T2-FLAIR, synthetic", 0, 2)
        show(axes[0, 2], synthetic - true, "synthetic − true", -1, 1, "RdBu_r")
        shares = np.linspace(0, 1, 41)
        for values, name, colour in zip(mixtures(shares), ("true", "synthetic"), ("#000000", "#C44601"), strict=True):
            axes[0, 3].plot(100 * shares, values, color=colour, label=name)
        axes[0, 3].set(xlabel="CSF in grey matter, %", ylabel="T2-FLAIR over white matter", title="One voxel")
        axes[0, 3].set_ylim(0, None)
        axes[0, 3].legend()
        show(axes[1, 0], t1, "T1, s", 0, 4, "viridis")
        show(axes[1, 1], t2, "T2, s", 0, 0.3, "viridis")
        show(axes[1, 2], pd, "Density", 0, 1, "viridis")
        show(axes[1, 3], np.where(b1 > 0, b1, np.nan), "B1, % of nominal", 80, 120, "RdBu_r")
        save_figure(figure, out)


if __name__ == "__main__":
    main()
