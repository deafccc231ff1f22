"""Choose λ and μ of the demo recipe on its validation subjects.

    python experiments/pet_demo_weights.py demo/cohort OUT [--steps 300] [--out results/pet-demo-weights]

First λ with ``gan``, then μ with ``task_gan`` at that λ. The rule, fixed beforehand: among the settings whose
PSNR is within 0.3 dB of the best one's, the smallest slice error of the independent judge (T, which taught,
has no say). The ``gan`` rows are μ = 0. Test subjects are never looked at, but the judge that chooses here is
the one that reads the demo's test subjects: it never saw a generator, yet has its part in tuning. Runs
resume; finished ones are not repeated.
"""

import argparse
import csv
from pathlib import Path

from taskgan.console import say
from taskgan.evaluate.run import evaluate
from taskgan.files import atomic, read_yaml, versions, write_yaml
from taskgan.recipe import read_recipe
from taskgan.restore.files import restore
from taskgan.train.run import train

LAMBDAS = (0.03, 0.1, 0.3, 1.0)
MUS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_WITHIN_DB = 0.3
_COLUMNS = ("psnr", "ssim", "task_mae", "judge_mae", "suvr_bias")

Row = dict[str, float | str]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cohort", type=Path)
    parser.add_argument("work", type=Path, help="folder for the runs")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("results/pet-demo-weights"))
    asked = parser.parse_args()
    rows = [look(asked.cohort, asked.work, asked.steps, "gan", value, 0.0) for value in LAMBDAS]
    best_lambda = float(choose(rows)["lambda_gan"])
    rows += [look(asked.cohort, asked.work, asked.steps, "task_gan", best_lambda, value) for value in MUS]
    best_mu = float(choose(rows[len(LAMBDAS) :])["mu_task"])
    with atomic(asked.out / "weights.csv") as partial, partial.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    device = read_yaml(asked.work / "gan-0.03-0.0" / "run.yaml")["device"]
    write_yaml(
        asked.out / "weights.yaml",
        {
            "chosen": {"lambda_gan": best_lambda, "mu_task": best_mu},
            "rule": f"smallest judge error within {_WITHIN_DB} dB of the best PSNR, validation subjects",
            "command": f"python experiments/pet_demo_weights.py demo/cohort WORK --steps {asked.steps}",
            "device": device,
            "seed": read_recipe("pet-demo").seed,
            "versions": versions(),
        },
    )
    say(f"chosen: lambda_gan {best_lambda:g}, mu_task {best_mu:g}; table in {asked.out}/weights.csv")


def look(cohort: Path, work: Path, steps: int, objective: str, weight: float, mu: float) -> Row:
    """Train with one pair of weights and judge the restored validation subjects."""
    run = work / f"{objective}-{weight}-{mu}"
    recipe = read_recipe(
        "pet-demo",
        [
            f"objective={objective}",
            f"loss.lambda_gan={weight}",
            f"loss.mu_task={mu}",
            f"optimiser.steps={steps}",
            f"validation.every={steps}",
            f"validation.save_every={steps}",
        ],
    )
    train(recipe, cohort, run)
    if not (run / "evaluation" / "summary.json").is_file():
        restore(run / "model", [cohort / "pairs.csv"], run / "restored", split="val", overwrite=True)
        evaluate(run / "restored", cohort, run / "evaluation")
    with (run / "evaluation" / "cases.csv").open(newline="") as handle:
        cases = [row for row in csv.DictReader(handle) if row["method"] == objective]
    means = {name: sum(float(row[name]) for row in cases) / len(cases) for name in _COLUMNS}
    row: Row = {"objective": objective, "lambda_gan": weight, "mu_task": mu, "subjects": len(cases), **means}
    say("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
    return row


def choose(rows: list[Row]) -> Row:
    """The rule of this file's head."""
    best = max(float(row["psnr"]) for row in rows)
    near = [row for row in rows if float(row["psnr"]) >= best - _WITHIN_DB]
    return min(near, key=lambda row: float(row["judge_mae"]))


if __name__ == "__main__":
    main()
