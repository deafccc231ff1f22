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

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiment import Experiment, Method, Sweep, called, complete
from taskgan.cohort.pairs import read_pairs
from taskgan.recipe import Recipe, read_recipe

COHORT: dict[str, Any] = {"subjects": 96, "splits": (0.51, 0.14, 0.35)}
PHYSICS = "relaxometry"
ONE = "T1w"  # the contrast of the ablation, and of the paper's Table 2
ALONE = f"gan_{ONE}_alone"


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
    ALONE: Contrasts(("objective=gan",), "sweep-gan", contrast=ONE),
}
SWEEPS = {
    "sweep-gan": Sweep(("objective=gan",), ("loss.lambda_gan=0.03,0.1,0.3,1,3,10",)),
    "sweep-task-gan": Sweep(("objective=task_gan",), ("loss.lambda_gan=0.1,1", "loss.mu_task=0.01,0.1,1")),
}
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
    *(f"{key}=12" for key in ("optimiser.steps", "optimiser.warmup", "validation.every", "validation.save_every")),
)
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


class Mr(Experiment):
    """Its folders, recipes and stages."""

    script = __file__
    data = ("--anatomy", "with BrainWeb's tissue files")
    source = Path(__file__).with_name("mr-contrasts.yaml")
    methods = METHODS
    untrained = (PHYSICS,)
    sweeps = SWEEPS
    sweep_steps = 400
    # One generator for all contrasts against one for one, and Task-GAN beside a GAN of its own λ.
    beside = {f"report-{ONE}": ("gan", ALONE), "report-lambda": ("gan_same_lambda", "task_gan")}  # noqa: RUF012
    small = TRIAL
    about = _ABOUT

    def recipe(self, name: str, seed: int, further: Sequence[str] = ()) -> Recipe:
        method, more = METHODS[name], [*further]
        if method.contrast:
            more += ["data.condition=''", f"data.select.contrast={method.contrast}", "data.balanced=false"]
        if method.three_steps:
            more += three_steps(self.base())
        return super().recipe(name, seed, more)

    def make_cohort(self, folder: Path) -> None:
        from taskgan.simulate.mr.cohort import simulate_mr
        from taskgan.simulate.mr.settings import mr_simulation

        simulate_mr(self.cohort, mr_simulation(anatomy=folder, **COHORT | (TRIAL_COHORT if self.trial else {})))

    def judge(self, method: str, seed: int) -> None:
        """All results by contrast, and the ablation's contrast by itself beside it."""
        from taskgan.evaluate.run import evaluate
        from taskgan.judges.readers import default_readers
        from taskgan.relaxometry.files import restore_by_relaxometry

        run, base = self.run(method, seed), self.base()
        restored = run / "restored"
        if method != PHYSICS:
            self.restored(run, restored, "test")
        elif not complete(restored):
            restore_by_relaxometry([self.cohort / "pairs.csv"], restored, recipe=base, split="test")
        alone = read_recipe(self.source, [*self.changes, f"data.select.contrast={ONE}"])
        wanted = {"evaluation": alone if method == ALONE else base}
        if method == "gan":
            wanted[f"evaluation-{ONE}"] = alone
        waiting = {name: how for name, how in wanted.items() if not (run / name / "summary.json").is_file()}
        readers = default_readers(read_pairs(self.cohort), base, None) if waiting else {}
        for name, how in waiting.items():
            evaluate(restored, self.cohort, run / name, recipe=how, method=method, readers=readers)

    def evaluation(self, method: str, seed: int, report: str) -> Path:
        of_one = report == f"report-{ONE}" and method == "gan"
        return self.run(method, seed) / (f"evaluation-{ONE}" if of_one else "evaluation")

    def compared(self, methods: Sequence[str]) -> Sequence[str]:
        return [name for name in methods if name != ALONE]


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


if __name__ == "__main__":
    called(Mr.main)
