"""What an adversarial (or task) term costs and brings, as a curve: weights between a model and one started from it.

    python experiments/strength_curve.py L1_RUN GAN_RUN COHORT OUT [--split val] [--steps 5]

Restores a split with the weights at strengths 0 to 1 (``taskgan restore --toward --strength``), evaluates each, and
writes ``OUT/strength.csv`` (PSNR, error of the judge and, where the table has lesions, what the matched filter sees of
them, with intervals by subject), ``OUT/strength.png`` and, last, ``OUT/strength.yaml``: of what models, and with what.
Choose a strength on validation subjects, and only then look at the test split.
"""

import argparse
from pathlib import Path

import numpy as np

from experiment import called
from taskgan.core.console import say
from taskgan.core.files import processor_name, versions, write_rows, write_yaml
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.run import evaluate
from taskgan.model.folder import read_model
from taskgan.page.style import axes_figure, save_figure
from taskgan.restore.refine import Refinement
from taskgan.restore.run import restore
from taskgan.stats import mean_interval

MEASURES = (
    ("psnr", "PSNR (dB)"),
    ("judge_mae", "error of the judge"),
    ("lesion_auc", "lesion AUC"),
    ("lesions_false", "false lesions an image"),
)


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
            known = own[own[key].notna()] if key in own else own[:0]  # healthy subjects have no lesion to rank
            if len(known):
                value = mean_interval(known[key], list(known["subject"]))
                row |= {key: value.estimate, f"{key}_low": value.low, f"{key}_high": value.high}
        rows.append(row)
    write_rows(out / "strength.csv", list(rows[0]), rows)
    drawn = [measure for measure in MEASURES if measure[0] in rows[0]]
    with axes_figure(1, len(drawn), (3.2 * len(drawn), 3)) as (figure, axes):
        for axis, (key, title) in zip(axes[0], drawn, strict=True):
            place, middle, low, high = (
                np.array([float(str(row[name])) for row in rows])
                for name in ("strength", key, f"{key}_low", f"{key}_high")
            )
            axis.fill_between(place, low, high, alpha=0.2)
            axis.plot(place, middle, marker="o")
            axis.set_xlabel("strength")
            axis.set_ylabel(title)
        save_figure(figure, out / "strength.png")
    cards = [read_model(model)[1] for model in (first, second)]
    record = {
        "models": [{"name": card.name, "step": card.step, "checksum": card.checksum} for card in cards],
        "split": split,
        "subjects": int(own["subject"].nunique()),
        "device": f"cpu: {processor_name()}",
        "versions": versions(),
    }
    write_yaml(out / "strength.yaml", record)
    say(f"{out}: strength.csv and strength.png, {split} subjects; 0 is {cards[0].name}, 1 is {cards[1].name}")
    return out / "strength.csv"


if __name__ == "__main__":
    called(main)
