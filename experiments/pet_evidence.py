"""Does Task-GAN keep the label? The whole experiment on BrainWeb heads, from simulation to the published tables.

    python experiments/pet_evidence.py WORK --anatomy BRAINWEB              # every stage, resumes where it was
    python experiments/pet_evidence.py WORK --anatomy BRAINWEB --stage train --seeds 1
    python experiments/pet_evidence.py WORK --publish results/pet-evidence

Test heads are never seen in training (8 heads train, 2 validate, 4 test). λ, μ and the best setting are chosen by
``taskgan sweep`` on the validation subjects, before any test image is restored: run the stages ``cohort`` and
``sweep`` first, write the choice into ``pet-evidence.yaml`` and ``METHODS``, then the other stages.
The last two stages ask judges that chose nothing, and how much of the label one slice holds (``pet_limit.py``).
Stages and seeds can be run by several processes, one after another or
at once: each run folder belongs to one of them.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from taskgan.console import say
from taskgan.errors import UserError
from taskgan.files import read_yaml
from taskgan.recipe import Recipe, read_recipe

RECIPE = Path(__file__).with_name("pet-evidence.yaml")
SUBJECTS, SPLITS, POSITIVE, BORDERLINE = 200, (0.6, 0.14, 0.26), 0.35, 0.25
SEEDS = (0, 1, 2)
# What is compared, as changes of the recipe. All have the same generator, seeds, data order and steps; only
# CycleGAN's does not add its input: two generators that start as the identity pay nothing and never leave it.
# GAN has the λ that suited GAN, Task-GAN the λ and μ that suited Task-GAN (sweep-weights, rule below).
METHODS: dict[str, tuple[str, ...]] = {
    "l1": ("objective=l1",),
    "cycle_gan": ("objective=cycle_gan", "generator.residual=false"),
    "gan": ("objective=gan", "loss.lambda_gan=0.1"),
    "task_gan": ("task.training=joint",),
    "task_gan_frozen": ("task.training=frozen",),
    # The best setting of sweep-forms: two slices on either side as further channels; and GAN and L1 with the same,
    # because a comparison with the GAN of one slice would call the neighbours' gain Task-GAN's.
    "l1_25d": ("objective=l1", "data.neighbours=2"),
    "gan_25d": ("objective=gan", "loss.lambda_gan=0.1", "data.neighbours=2"),
    "task_gan_25d": ("task.training=joint", "data.neighbours=2"),
}
# Every setting within 1 dB of the best PSNR may be chosen: the smallest error of the judge wins (among those with
# μ > 0 for Task-GAN, with μ = 0 for GAN). Each is a name, changes for all settings, a grid, one more to compare with.
SWEEPS: tuple[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "sweep-weights",
        ("task.training=frozen",),
        ("loss.lambda_gan=0.1,0.3,1", "loss.mu_task=0,0.03,0.1,0.3"),
        (),
    ),
    (
        "sweep-forms",
        (),
        ("task.training=frozen,joint", "task.features=0,0.1", "data.neighbours=0,2"),
        ("objective=gan", "data.neighbours=2"),
    ),
)
STAGES = ("cohort", "sweep", "train", "judge", "report", "audit", "limit")
# Who is audited, the first against the others: by a second network too, which had no part in choosing any setting.
AUDITED = ("task_gan_25d", "gan_25d", "task_gan", "gan", "l1")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder for cohort, runs and report")
    parser.add_argument("--anatomy", type=Path, help="folder of BrainWeb tissue files")
    parser.add_argument("--stage", choices=STAGES, action="append", help="only these stages")
    parser.add_argument("--method", choices=sorted(METHODS), action="append", help="only these methods")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--publish", type=Path, help="keep the results of a finished experiment here")
    asked = parser.parse_args()
    if asked.publish is not None:
        from publish_evidence import publish

        publish(asked.work, asked.publish, finished(asked.work, asked.seeds, list(METHODS)))
        return
    stages = asked.stage or STAGES
    if "cohort" in stages:
        cohort(asked.work, asked.anatomy)
    if "sweep" in stages:
        sweep(asked.work)
    # Seeds outermost: an interrupted experiment has whole seeds of every method.
    for seed in asked.seeds:
        for method in asked.method or METHODS:
            if "train" in stages:
                train(asked.work, method, seed)
            if "judge" in stages:
                judge(asked.work, method, seed)
    if "report" in stages:
        report(asked.work, asked.seeds, asked.method or list(METHODS))
    if "audit" in stages:
        audits(asked.work, asked.seeds)
    if "limit" in stages:
        from pet_limit import limit

        limit(asked.work, "test")


def recipe(method: str, seed: int) -> Recipe:
    """The recipe of a method with a seed of its own for G, D and the data order; T and judge stay the same."""
    return read_recipe(RECIPE, [*METHODS[method], f"seed={seed}"])


def cohort(work: Path, anatomy: Path | None) -> None:
    from taskgan.simulate.pet.cohort import simulate_pet
    from taskgan.simulate.pet.settings import PetSimulation

    if anatomy is None:
        raise SystemExit("say --anatomy FOLDER, with BrainWeb's tissue files")
    simulate_pet(
        work / "cohort",
        PetSimulation(
            subjects=SUBJECTS, anatomy=anatomy, positive=POSITIVE, borderline=BORDERLINE, splits=SPLITS
        ),
    )


def train(work: Path, method: str, seed: int) -> None:
    from taskgan.train.run import train

    run = work / "runs" / f"{method}-seed{seed}"
    began = time.monotonic()
    train(recipe(method, seed), work / "cohort", run)
    say(f"{run.name}: {time.monotonic() - began:.0f} s")


def judge(work: Path, method: str, seed: int) -> None:
    from taskgan.evaluate.run import evaluate
    from taskgan.restore.files import restore

    run = work / "runs" / f"{method}-seed{seed}"
    restored = run / "restored" / "restored.yaml"
    if not restored.is_file() or read_yaml(restored).get("status") != "complete":
        pairs = work / "cohort" / "pairs.csv"
        restore(run / "model", [pairs], run / "restored", split="test", precision="32", overwrite=True)
    if not (run / "evaluation" / "summary.json").is_file():
        evaluate(
            run / "restored", work / "cohort", run / "evaluation", recipe=recipe(method, seed), method=method
        )


def report(work: Path, seeds: Sequence[int], methods: Sequence[str]) -> None:
    from taskgan.report.run import compare

    folders = [work / "runs" / name / "evaluation" for name in finished(work, seeds, methods)]
    compare(folders, work / "report", baseline="gan", overwrite=True)


def finished(work: Path, seeds: Sequence[int], methods: Sequence[str]) -> list[str]:
    """Names of the runs that were judged; those that are missing are named."""
    names = [f"{method}-seed{seed}" for method in methods for seed in seeds]
    there = [name for name in names if (work / "runs" / name / "evaluation" / "summary.json").is_file()]
    if len(there) < len(names):
        say(f"not there yet: {', '.join(name for name in names if name not in there)}")
    return there


def audits(work: Path, seeds: Sequence[int]) -> None:
    for seed in seeds:
        audit(work, seed, f"seed{seed}", "none")
        # Of one seed, half of the test subjects calibrate the conformal intervals that the other half tests.
        if seed == SEEDS[0]:
            audit(work, seed, "conformal", "0.5")


def audit(work: Path, seed: int, name: str, calibration: str) -> None:
    from taskgan.audit.inputs import gather
    from taskgan.audit.run import audit
    from taskgan.audit.settings import AuditSettings
    from taskgan.cohort.pairs import read_pairs
    from taskgan.evaluate.restorations import find_restorations

    pairs = read_pairs(work / "cohort")
    folders = {method: work / "runs" / f"{method}-seed{seed}" / "restored" for method in AUDITED}
    found = [find_restorations(folder, pairs, method) for method, folder in folders.items()]
    audit(
        gather(pairs, found, recipe(AUDITED[0], seed)),
        work / "audit" / name,
        settings=AuditSettings(calibration=calibration),
        overwrite=True,
    )


def sweep(work: Path) -> None:
    """λ and μ first, then at these the other settings; 500 steps each, because a grid is many runs."""
    from taskgan.sweep.run import Asked, run_sweep

    short = tuple(f"{key}=250" for key in ("validation.every", "validation.save_every"))
    for name, fixed, grid, against in SWEEPS:
        run_sweep(
            Asked(
                recipe=str(RECIPE),
                cohort=work / "cohort",
                out=work / name,
                grid=grid,
                overrides=("optimiser.steps=500", *short, *fixed),
                against=against,
                within=1.0,
            )
        )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(str(error)) from None
