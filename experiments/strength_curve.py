"""What an adversarial (or task) term costs and brings, as a curve: weights between a model and one started from it.

    python experiments/strength_curve.py L1_RUN GAN_RUN COHORT OUT [--split val] [--steps 5]

Restores a split with the weights at strengths 0 to 1 (``taskgan restore --toward --strength``), evaluates each, and
writes ``OUT/strength.csv`` (PSNR and error of the judge with intervals by subject) and ``OUT/strength.png``.
Choose a strength on validation subjects, and only then look at the test split.
"""

import argparse
from pathlib import Path

import numpy as np

from experiment import called
from taskgan.core.console import say
from taskgan.core.files import write_rows
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.run import evaluate
from taskgan.page.style import axes_figure, save_figure
from taskgan.restore.refine import Refinement
from taskgan.restore.run import restore
from taskgan.stats import mean_interval

MEASURES = (("psnr", "PSNR (dB)"), ("judge_mae", "error of the judge"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, text in (("first", "model or run, such as L1"), ("second", "one that was started from it")):
        parser.add_argument(name, type=Path, help=text)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--steps", type=int, default=5, help="strengths from 0 to 1")
    asked = parser.parse_args()
    curve(asked.first, asked.second, asked.cohort, asked.out, asked.split, asked.steps)


def curve(first: Path, second: Path, cohort: Path, out: Path, split: str, steps: int) -> Path:
    """Restore, evaluate, write the table and the picture; what is there is kept."""
    rows = []
    for strength in np.linspace(0, 1, steps):
        folder = out / f"strength-{strength:g}"
        mixture = Refinement(toward=second, strength=float(strength))
        restore(first, cohort, folder / "restored", split=split, precision="32", refinement=mixture)
        evaluate(folder / "restored", cohort, folder / "evaluation", split=split)
        cases = read_case_table(folder / "evaluation")
        own = cases[~cases["method"].isin(("input", "clean"))]
        row: dict[str, object] = {"strength": f"{strength:g}"}
        for key, _ in MEASURES:
            value = mean_interval(own[key], list(own["subject"]))
            row |= {key: value.estimate, f"{key}_low": value.low, f"{key}_high": value.high}
        rows.append(row)
    write_rows(out / "strength.csv", list(rows[0]), rows)
    with axes_figure(1, len(MEASURES), (8, 3)) as (figure, axes):
        for axis, (key, title) in zip(axes[0], MEASURES, strict=True):
            place, middle, low, high = (
                np.array([float(str(row[name])) for row in rows])
                for name in ("strength", key, f"{key}_low", f"{key}_high")
            )
            axis.fill_between(place, low, high, alpha=0.2)
            axis.plot(place, middle, marker="o")
            axis.set_xlabel("strength: 0 the first model, 1 the second")
            axis.set_ylabel(title)
        save_figure(figure, out / "strength.png")
    say(f"{out}: strength.csv and strength.png, {split} subjects")
    return out / "strength.csv"


if __name__ == "__main__":
    called(main)
