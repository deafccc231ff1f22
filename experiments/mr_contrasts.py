"""Six MR contrasts from one multi-delay multi-echo acquisition: networks against the physics, from heads to tables.

    python experiments/mr_contrasts.py WORK --anatomy BRAINWEB                    # every stage, resumes where it was
    python experiments/mr_contrasts.py WORK --stage sweep --share 1/2             # half of the sweeps' runs
    python experiments/mr_contrasts.py WORK --stage train --stage judge --seeds 0
    python experiments/mr_contrasts.py WORK --publish results/mr
    python experiments/mr_contrasts.py TRIAL --anatomy BRAINWEB --trial           # every stage once, tiny: no result

Test heads are never seen in training (7 heads train, 2 validate, 5 test). λ and μ are chosen by ``taskgan sweep``
on the validation subjects before any test image is restored, the GAN's λ among as many settings as Task-GAN's; the
stages after it read the choice. T and the judge that read the results are the same for all methods: of two seeds
and architectures, trained on clean images of training subjects. Stages and seeds can be run by several processes,
one after another or at once: each run folder belongs to one of them.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning import SEEDS, Experiment, Method, Sweep, choose_weights, made

from taskgan.cohort.pairs import read_pairs
from taskgan.errors import UserError
from taskgan.files import read_yaml
from taskgan.recipe import Recipe, read_recipe

RECIPE = Path(__file__).with_name("mr-contrasts.yaml")
COHORT: dict[str, Any] = {"subjects": 96, "splits": (0.51, 0.14, 0.35)}
STAGES = ("cohort", "sweep", "train", "judge", "report")
PHYSICS = "relaxometry"
ONE = "T1w"  # the contrast of the ablation, and of the paper's Table 2


@dataclass(frozen=True)
class Contrasts(Method):
    """A method of this experiment.

    Attributes:
        three_steps: T alone, then the contrasts in turn, then mixed (the paper); without, T is pretrained and all
            networks learn from the first step, contrasts mixed.
        contrast: Learns and makes this one only.
    """

    three_steps: bool = False
    contrast: str = ""


METHODS = {
    "l1": Contrasts(("objective=l1",)),
    "gan": Contrasts(("objective=gan",), "sweep-gan"),
    "task_gan": Contrasts(("objective=task_gan",), "sweep-task-gan"),
    "task_gan_three_step": Contrasts(("objective=task_gan",), "sweep-task-gan", three_steps=True),
    # What of a difference is the weight of the adversarial term, and what the task network's doing.
    "gan_same_lambda": Contrasts(("objective=gan",), "sweep-task-gan"),
    f"gan_{ONE}_alone": Contrasts(("objective=gan",), "sweep-gan", contrast=ONE),
}
SWEEPS = {
    "sweep-gan": Sweep(("objective=gan",), ("loss.lambda_gan=0.03,0.1,0.3,1,3,10",)),
    "sweep-task-gan": Sweep(("objective=task_gan",), ("loss.lambda_gan=0.1,1", "loss.mu_task=0.01,0.1,1")),
}
SWEEP_STEPS = 400
# What --trial changes.
TRIAL_COHORT: dict[str, Any] = {"subjects": 14, "pixels": 64, "slices": 4}
TRIAL = (
    "generator={width: 8, max_width: 16, depth: 3, norm: instance, dropout_layers: 1}",
    "discriminator={widths: [8, 8, 8], norm: instance}",
    "loss.feature_layers=[1, 2]",
    *(
        f"{reader}.{key}"
        for reader in ("task.pretrain", "judge")
        for key in ("steps=12", "width=4", "validate_every=6")
    ),
    *(
        f"{key}=12"
        for key in ("optimiser.steps", "optimiser.warmup", "validation.every", "validation.save_every")
    ),
)


class Mr(Experiment):
    """Its folders and recipes."""

    source = RECIPE
    small = TRIAL
    sweeps = SWEEPS

    def recipe(self, name: str, seed: int) -> Recipe:
        method, further = METHODS[name], []
        if method.contrast:
            further += ["data.condition=''", f"data.select.contrast={method.contrast}", "data.balanced=false"]
        if method.three_steps:
            further += three_steps(self.base())
        return self.recipe_of(method, seed, further)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder for cohort, runs and report")
    parser.add_argument("--anatomy", type=Path, help="folder of BrainWeb tissue files")
    parser.add_argument("--trial", action="store_true", help="every stage once, tiny: shows that it runs")
    parser.add_argument("--stage", choices=STAGES, action="append", help="only these stages")
    parser.add_argument("--method", choices=[PHYSICS, *METHODS], action="append", help="only these methods")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument(
        "--share", help="K/N: every N-th run of the sweeps from the K-th on; a last call joins"
    )
    parser.add_argument("--publish", type=Path, help="keep the results of a finished experiment here")
    asked = parser.parse_args()
    here, stages = Mr(asked.work, asked.trial), asked.stage or STAGES
    if asked.publish is not None:
        publish(here, asked.publish, asked.seeds)
        return
    if "cohort" in stages:
        cohort(here, asked.anatomy)
    if "sweep" in stages:
        sweep(here, asked.share)
    methods = asked.method or [PHYSICS, *METHODS]
    # Seeds outermost: an interrupted experiment has whole seeds of every method.
    for method, seed in made(methods, asked.seeds, once=[PHYSICS]):
        if "train" in stages and method != PHYSICS:
            train(here, method, seed)
        if "judge" in stages:
            judge(here, method, seed)
    if "report" in stages:
        report(here, methods, asked.seeds)


def three_steps(base: Recipe) -> list[str]:
    """The paper's schedule: G gets as many steps as with one-step training, T as many as when it is pretrained."""
    half = base.optimiser.steps // 2
    phases = (
        f"{{name: contrasts, steps: {base.task.pretrain.steps}, trains: [task]}}",
        f"{{name: in turn, steps: {half}, conditions: in_turn}}",
        f"{{name: mixed, steps: {base.optimiser.steps - half}}}",
    )
    total = base.task.pretrain.steps + base.optimiser.steps
    return [f"schedule=[{', '.join(phases)}]", f"optimiser.steps={total}", "task.pretrain.steps=0"]


def cohort(here: Mr, anatomy: Path | None) -> None:
    from taskgan.simulate.mr.cohort import simulate_mr
    from taskgan.simulate.mr.settings import mr_simulation

    if anatomy is None:
        raise SystemExit("say --anatomy FOLDER, with BrainWeb's tissue files")
    simulate_mr(here.cohort, mr_simulation(anatomy=anatomy, **COHORT | (TRIAL_COHORT if here.trial else {})))


def sweep(here: Mr, share: str | None) -> None:
    """λ of the GAN, then λ and μ of Task-GAN: six settings each, short runs."""
    choose_weights(here, SWEEP_STEPS, share)


def train(here: Mr, method: str, seed: int) -> None:
    from taskgan.train.run import train

    train(here.recipe(method, seed), here.cohort, here.run(method, seed))


def judge(here: Mr, method: str, seed: int) -> None:
    from taskgan.evaluate.run import evaluate
    from taskgan.judges.readers import default_readers
    from taskgan.relaxometry.files import restore_by_relaxometry
    from taskgan.restore.files import restore

    run, table, base = here.run(method, seed), here.cohort / "pairs.csv", here.base()
    restored = run / "restored"
    if not (restored / "restored.yaml").is_file() or _status(restored) != "complete":
        if method == PHYSICS:
            restore_by_relaxometry([table], restored, recipe=base, split="test")
        else:
            restore(run / "model", [table], restored, split="test", precision="32", overwrite=True)
    contrast = METHODS[method].contrast if method in METHODS else ""
    alone = read_recipe(RECIPE, [*here.changes, f"data.select.contrast={ONE}"])
    # All of them by contrast, and the ablation's contrast by itself beside it.
    wanted = {"evaluation": alone if contrast else base}
    if method == "gan":
        wanted[f"evaluation-{ONE}"] = alone
    waiting = {name: how for name, how in wanted.items() if not (run / name / "summary.json").is_file()}
    readers = default_readers(read_pairs(here.cohort), base, None) if waiting else {}
    for name, how in waiting.items():
        evaluate(restored, here.cohort, run / name, recipe=how, method=method, readers=readers)


def _status(restored: Path) -> object:
    return read_yaml(restored / "restored.yaml").get("status")


def report(here: Mr, methods: Sequence[str], seeds: Sequence[int]) -> None:
    """All six contrasts; Task-GAN beside a GAN of its own λ; and one generator for all against one for one."""
    from taskgan.report.run import compare

    alone = [name for name, method in METHODS.items() if method.contrast and name in methods]
    for_all = [
        here.run(m, s) / "evaluation" for m, s in made(methods, seeds, once=[PHYSICS]) if m not in alone
    ]
    compare(for_all, here.work / "report", baseline="gan", overwrite=True)
    same = [here.run(m, s) / "evaluation" for m in _SAME for s in seeds if m in methods]
    if len(same) == len(_SAME) * len(seeds):
        compare(same, here.work / "report-lambda", baseline=_SAME[0], overwrite=True)
    if alone and "gan" in methods:
        theirs = [here.run(m, s) / "evaluation" for m in alone for s in seeds]
        ours = [here.run("gan", s) / f"evaluation-{ONE}" for s in seeds]
        compare([*ours, *theirs], here.work / f"report-{ONE}", baseline="gan", overwrite=True)


def publish(here: Mr, out: Path, seeds: Sequence[int]) -> None:
    from publish_evidence import publish

    runs = [here.run(m, s).name for m, s in made([PHYSICS, *METHODS], seeds, once=[PHYSICS])]
    publish(here.work, out, runs, about=_ABOUT, beside=[f"report-{ONE}", "report-lambda"])


_SAME = ("gan_same_lambda", "task_gan")
_ABOUT = """# Six MR contrasts from one acquisition

Commands (`BRAINWEB` is a folder of BrainWeb tissue files, `WORK` an empty one; all of it resumes):

```
python experiments/mr_contrasts.py WORK --anatomy BRAINWEB
python experiments/mr_contrasts.py WORK --publish results/mr
```

What it says in words: [docs/evidence.md](../../docs/evidence.md). Versions, seeds, cohort, recipes and times are in
`evidence.yaml`; every case in `cases.csv`; the choice of λ and μ on validation subjects in `sweep-*/`. `report-T1w`
is the ablation: the GAN of all six contrasts against one that learns T1w alone, with the same number of steps.
`report-lambda` sets Task-GAN beside a GAN with the same λ, so that T is the only difference.
"""


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(str(error)) from None
