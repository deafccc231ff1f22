"""Does 8x super-resolution keep the person? Labeled Faces in the Wild, from its folder to the published tables.

    python experiments/lfw_faces.py WORK --data LFW                        # every stage, resumes where it was
    python experiments/lfw_faces.py WORK --data LFW --processes 2          # the same as two processes of one thread
    python experiments/lfw_faces.py WORK --stage train --stage judge --seeds 0 --share 1/2
    python experiments/lfw_faces.py WORK --publish results/lfw
    python experiments/lfw_faces.py TRIAL --data LFW --trial               # every stage once, tiny: no result

People of pairsDevTest.txt are never seen in training (view 1); a tenth of all others validates. T and the judge, of
two architectures and seeds, learn to tell the training people apart and read the results of all methods alike.
GAN and Task-GAN have the same λ, once the recipe's and once ten times as much, so that T is the only difference. μ is
chosen by ``taskgan sweep`` on the validation people before any test image is restored. Of test people the images on
pairs of view 1 are restored and verified. Every run folder, and each recogniser, belongs to one process, so that
several can share a stage.

Minutes of one core, as two processes on two cores: T 56 and judge 5; sweeps 18 × 6 (600 steps of .29 to .42 s, 1050
validation images restored and read); training 3 × 10 (L1) and 15 × 14 (2400 steps of 8 images); judging 18 × 3.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiment import SEEDS, Experiment, Method, Sweep, called, own
from taskgan.cohort.pairs import Pairs, read_pairs, write_pairs
from taskgan.core.errors import UserError
from taskgan.core.parts import Part

FACTOR = 8
COHORT: dict[str, Any] = {"crop": 128}
TABLE = "on-pairs.csv"
STRONG = "loss.lambda_gan=0.3"
PROJECTED = "generator.projection=1"
METHODS = {
    "l1": Method(("objective=l1",)),
    # Both with the recipe's λ, so that T is the only difference.
    "gan": Method(("objective=gan",)),
    "task_gan": Method(("objective=task_gan",), "sweep-task-gan"),
    # The same where the adversarial term weighs ten times as much: what it costs, and what T takes back of that.
    "gan_strong": Method(("objective=gan", STRONG)),
    "task_gan_strong": Method(("objective=task_gan", STRONG), "sweep-task-gan-strong"),
    # The ablation: a last layer after which the restored image has the low-resolution image that was given.
    "task_gan_projected": Method(("objective=task_gan", PROJECTED), "sweep-task-gan"),
}
# Further reports: these two against each other, the first the baseline.
BESIDE = {"report-strong": ("gan_strong", "task_gan_strong"), "report-projected": ("task_gan", "task_gan_projected")}
MU = "loss.mu_task=0.001,0.003,0.01,0.05,0.25"
SWEEPS = {
    # Chooses nothing: it tells what λ costs. The smallest, which is L1, has the best PSNR and is read as well as any.
    "sweep-gan": Sweep(("objective=gan",), ("loss.lambda_gan=0.001,0.003,0.01,0.03,0.1,0.3,1,3",)),
    "sweep-task-gan": Sweep(("objective=task_gan",), (MU,)),
    "sweep-task-gan-strong": Sweep(("objective=task_gan", STRONG), (MU,)),
}
# What --trial changes.
TRIAL_COHORT: dict[str, Any] = {"size": 32, "subset": {"people": 16, "images": 4, "pairs": 6}}
TRIAL = (
    "generator={width: 8, max_width: 16, depth: 3, norm: instance, dropout_layers: 1, residual: true}",
    "discriminator={widths: [8, 8, 8], norm: instance}",
    "task.size=16",
    *(
        f"{reader}.{key}"
        for reader in ("task.pretrain", "judge")
        for key in ("steps=4", "width=4", "batch_size=8", "validate_every=4")
    ),
    *(f"{key}=4" for key in ("optimiser.steps", "optimiser.warmup", "validation.every", "validation.save_every")),
    "validation.cases=4",
)


_ABOUT = """# 8x super-resolution of faces on LFW

Commands (`LFW` is the folder of Labeled Faces in the Wild, `WORK` an empty one; all of it resumes):

```
python experiments/lfw_faces.py WORK --data LFW --processes 2
python experiments/lfw_faces.py WORK --publish results/lfw
```

What it says in words: [docs/evidence.md](../../docs/evidence.md). Versions, seeds, cohort, recipes and times are in
`evidence.yaml`; every image in `cases.csv`, the distances of every pair in `pairs.csv`; what λ costs and the choice
of μ, on validation people, in `sweep-*/`. `report-strong` sets Task-GAN against GAN where the adversarial term weighs
more, `report-projected` Task-GAN that ends in the projection layer against Task-GAN. `limit-judge/`: what readers
make of degraded and of restored faces who were taught on such (`taskgan limit`).
"""


class Faces(Experiment):
    """Its folders, recipes and stages."""

    script = __file__
    data = ("--data", "LFW's folder, with the lists of view 1 in it or beside it")
    source = Path(__file__).with_name("lfw-faces.yaml")
    methods = METHODS
    sweeps = SWEEPS
    sweep_steps = 600
    groups = (("cohort",), ("recognisers",), ("sweep",), ("train", "judge"), ("report",), ("limit",))
    shared = ("recognisers", "sweep", "train", "judge")
    beside = BESIDE
    small = TRIAL
    about = _ABOUT

    @property
    def table(self) -> Path:
        """The rows that are used: of test people the images on pairs."""
        return self.cohort / TABLE

    def pairs(self) -> Pairs:
        if not self.table.is_file():
            raise UserError(f"{self.table} is not there; run the stage cohort first")
        return read_pairs(self.table)

    def make_cohort(self, folder: Path) -> None:
        """Prepare the images, and the table of those that are used."""
        from taskgan.prepare.lfw import VERIFICATION, LfwPreparation, prepare_lfw
        from taskgan.recipe.generator import Blur, Down

        values = COHORT | (TRIAL_COHORT if self.trial else {})
        steps = (Blur(sigma=FACTOR / 3), Down(factor=FACTOR))
        prepare_lfw(folder, self.cohort, LfwPreparation.model_validate({"degradation": steps, **values}))
        with (self.cohort / VERIFICATION).open(newline="", encoding="utf-8") as handle:
            named = {case for row in csv.DictReader(handle) for case in (row["first"], row["second"])}
        rows = [dict(p.columns) for p in read_pairs(self.cohort) if p.split != "test" or p.case in named]
        if not self.table.is_file() or len(read_pairs(self.table)) != len(rows):
            write_pairs(self.table, rows)

    def stage(self, name: str, asked: argparse.Namespace, share: Part | None) -> None:
        """Beside the common ones: T and the judge, each by one process."""
        if name in ("recognisers", "sweep"):
            self.pairs()
        if name == "limit":
            self.limit()
            return
        if name != "recognisers":
            super().stage(name, asked, share)
            return
        from taskgan.judges.store import recogniser_for

        base = self.base()
        for title, settings in own((("task", base.task.reader), ("judge", base.judge)), share):
            recogniser_for(self.pairs(), settings, base.data, name=title, target=base.task.target)

    def limit(self) -> None:
        """Who is still told apart by readers that are taught on the inputs, or on a method's images (first seed)."""
        from taskgan.limit.run import limit

        runs = [self.run(name, SEEDS[0]) for name in ("l1", "gan", "task_gan")]
        models = [run for run in runs if (run / "model").is_dir()]
        limit(self.base(), self.table, self.work / "limit" / "judge", models=models)

    def publish(self, out: Path, methods: Sequence[str], seeds: Sequence[int]) -> None:
        from publishing import compact, join_distances

        super().publish(out, methods, seeds)
        compact(out / "cases.csv")
        folders = {run: self.run(*run) / "evaluation" for run in self.runs(methods, seeds)}
        join_distances({run: f / "verification.csv" for run, f in folders.items()}, out / "pairs.csv")


if __name__ == "__main__":
    called(Faces.main)
