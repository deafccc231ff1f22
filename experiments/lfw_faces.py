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
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from tuning import SEEDS, Experiment, Method, Sweep, choose_weights, made

from taskgan.cohort.pairs import Pairs, read_pairs, write_pairs
from taskgan.errors import UserError
from taskgan.files import read_yaml
from taskgan.recipe import Recipe

RECIPE = Path(__file__).with_name("lfw-faces.yaml")
FACTOR = 8
COHORT: dict[str, Any] = {"crop": 128}
STAGES = ("cohort", "recognisers", "sweep", "train", "judge", "report")
# What several processes do together, and what waits for what.
GROUPS = (("cohort",), ("recognisers",), ("sweep",), ("train", "judge"), ("report",))
SHARED = ("recognisers", "sweep", "train", "judge")
TABLE = "on-pairs.csv"
Item = TypeVar("Item")


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
BESIDE = {
    "report-strong": ("gan_strong", "task_gan_strong"),
    "report-projected": ("task_gan", "task_gan_projected"),
}
MU = "loss.mu_task=0.001,0.003,0.01,0.05,0.25"
SWEEPS = {
    # Chooses nothing: it tells what λ costs. The smallest, which is L1, has the best PSNR and is read as well as any.
    "sweep-gan": Sweep(("objective=gan",), ("loss.lambda_gan=0.001,0.003,0.01,0.03,0.1,0.3,1,3",)),
    "sweep-task-gan": Sweep(("objective=task_gan",), (MU,)),
    "sweep-task-gan-strong": Sweep(("objective=task_gan", STRONG), (MU,)),
}
SWEEP_STEPS = 600
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
    *(
        f"{key}=4"
        for key in ("optimiser.steps", "optimiser.warmup", "validation.every", "validation.save_every")
    ),
    "validation.cases=4",
)


class Faces(Experiment):
    """Its folders and recipes."""

    source = RECIPE
    small = TRIAL
    sweeps = SWEEPS

    @property
    def table(self) -> Path:
        """The rows that are used: of test people the images on pairs."""
        return self.cohort / TABLE

    def recipe(self, name: str, seed: int) -> Recipe:
        return self.recipe_of(METHODS[name], seed)

    def pairs(self) -> Pairs:
        if not self.table.is_file():
            raise UserError(f"{self.table} is not there; run the stage cohort first")
        return read_pairs(self.table)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder for cohort, runs and report")
    parser.add_argument("--data", type=Path, help="LFW's folder, with the lists of view 1 in it or beside it")
    parser.add_argument("--trial", action="store_true", help="every stage once, tiny: shows that it runs")
    parser.add_argument("--stage", choices=STAGES, action="append", help="only these stages")
    parser.add_argument("--method", choices=list(METHODS), action="append", help="only these methods")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument(
        "--share", help="K/N: every N-th recogniser and run from the K-th on; of a sweep a last call joins"
    )
    parser.add_argument(
        "--processes", type=int, default=1, help="share each stage among so many, one thread each"
    )
    parser.add_argument("--publish", type=Path, help="keep the results of a finished experiment here")
    asked = parser.parse_args(words)
    here = Faces(asked.work, asked.trial)
    stages, methods = asked.stage or STAGES, asked.method or list(METHODS)
    if asked.publish is not None:
        publish(here, asked.publish, methods, asked.seeds)
    elif asked.processes > 1:
        together(asked, stages, methods)
    else:
        make(here, stages, methods, asked)


def make(here: Faces, stages: Sequence[str], methods: Sequence[str], asked: argparse.Namespace) -> None:
    """The stages, in this process."""
    from taskgan.sweep.grid import parse_share

    share = parse_share(asked.share)
    if "cohort" in stages:
        cohort(here, asked.data)
    if "recognisers" in stages:
        recognisers(here, share)
    if "sweep" in stages:
        here.pairs()
        choose_weights(here, SWEEP_STEPS, asked.share)
    if {"train", "judge"} & set(stages):
        runs(here, own(made(methods, asked.seeds), share), stages)
    if "report" in stages:
        report(here, methods, asked.seeds)


def together(asked: argparse.Namespace, stages: Sequence[str], methods: Sequence[str]) -> None:
    """Every group of stages as several processes, one group after another; this process joins the sweeps."""
    words = [sys.executable, __file__, str(asked.work), "--seeds", *map(str, asked.seeds)]
    words += ["--trial"] if asked.trial else []
    words += ["--data", str(asked.data)] if asked.data is not None else []
    words += [word for name in methods for word in ("--method", name)]
    for group in GROUPS:
        wanted = [stage for stage in group if stage in stages]
        if not wanted:
            continue
        call = [*words, *(word for stage in wanted for word in ("--stage", stage))]
        if wanted[0] in SHARED:
            run_all([[*call, "--share", f"{k}/{asked.processes}"] for k in range(1, asked.processes + 1)])
        if wanted[0] not in SHARED or wanted == ["sweep"]:
            run_all([call])


def run_all(calls: Sequence[Sequence[str]]) -> None:
    """Run processes at once; where one fails, or this one is interrupted, none is left behind."""
    started = [subprocess.Popen(call, env={**os.environ, "OMP_NUM_THREADS": "1"}) for call in calls]
    try:
        codes = [process.wait() for process in started]
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if any(codes):
        raise SystemExit(max(codes, key=abs))


def own(items: Sequence[Item], share: tuple[int, int] | None) -> Sequence[Item]:
    """Those of a share K/N."""
    return items if share is None else items[share[0] - 1 :: share[1]]


def cohort(here: Faces, data: Path | None) -> None:
    """Prepare the images, and the table of those that are used."""
    import csv

    from taskgan.generator import Blur, Down
    from taskgan.prepare.lfw import VERIFICATION, LfwPreparation, prepare_lfw

    if data is None:
        raise UserError("say --data LFW, the folder of Labeled Faces in the Wild")
    values = COHORT | (TRIAL_COHORT if here.trial else {})
    steps = (Blur(sigma=FACTOR / 3), Down(factor=FACTOR))
    prepare_lfw(data, here.cohort, LfwPreparation.model_validate({"degradation": steps, **values}))
    with (here.cohort / VERIFICATION).open(newline="", encoding="utf-8") as handle:
        named = {case for row in csv.DictReader(handle) for case in (row["first"], row["second"])}
    rows = [dict(p.columns) for p in read_pairs(here.cohort) if p.split != "test" or p.case in named]
    if not here.table.is_file() or len(read_pairs(here.table)) != len(rows):
        write_pairs(here.table, rows)


def recognisers(here: Faces, share: tuple[int, int] | None) -> None:
    """T and the judge, each by one process."""
    from taskgan.recogniser.store import recogniser_for

    base, pairs = here.base(), here.pairs()
    for name, settings in own((("task", base.task.reader), ("judge", base.judge)), share):
        recogniser_for(pairs, settings, base.data, name=name, target=base.task.target)


def runs(here: Faces, wanted: Sequence[tuple[str, int]], stages: Sequence[str]) -> None:
    """Train and judge each run before the next."""
    from taskgan.train.run import train

    here.pairs()
    for method, seed in wanted:
        if "train" in stages:
            train(here.recipe(method, seed), here.table, here.run(method, seed))
        if "judge" in stages:
            judge(here, method, seed)


def judge(here: Faces, method: str, seed: int) -> None:
    """Restore the test images that are on pairs, read them all, verify the pairs."""
    from taskgan.evaluate.run import evaluate

    run = here.run(method, seed)
    restored(here, run, run / "restored", "test")
    if not (run / "evaluation" / "summary.json").is_file():
        evaluate(run / "restored", here.table, run / "evaluation", recipe=here.base(), method=method)


def restored(here: Faces, run: Path, out: Path, split: str) -> Path:
    """The images of a split by a run's model, once."""
    from taskgan.restore.files import restore

    if not (run / "model").is_dir():
        raise UserError(f"{run} holds no model; run the stage train first")
    record = out / "restored.yaml"
    if not record.is_file() or read_yaml(record).get("status") != "complete":
        restore(run / "model", [here.table], out, split=split, precision="32")
    return out


def report(here: Faces, methods: Sequence[str], seeds: Sequence[int]) -> None:
    """Tables and figures of all runs."""
    from taskgan.report.run import compare

    folders = [here.run(method, seed) / "evaluation" for method, seed in made(methods, seeds)]
    absent = [folder.parent.name for folder in folders if not (folder / "summary.json").is_file()]
    if absent:
        raise UserError(f"{', '.join(absent)} are not judged; run the stages train and judge first")
    compare(folders, here.work / "report", baseline="gan", overwrite=True)
    for name, two in BESIDE.items():
        if set(two) <= set(methods):
            folders = [here.run(method, seed) / "evaluation" for method, seed in made(two, seeds)]
            compare(folders, here.work / name, baseline=two[0], overwrite=True)


def publish(here: Faces, out: Path, methods: Sequence[str], seeds: Sequence[int]) -> None:
    from publish_evidence import publish
    from publishing import compact, join_distances

    if not (here.work / "report" / "report.yaml").is_file():
        raise UserError(f"{here.work} holds no report; run the experiment to its end first")
    folders = {run: here.run(*run) for run in made(methods, seeds)}
    beside = [name for name in BESIDE if (here.work / name / "report.yaml").is_file()]
    publish(here.work, out, [folder.name for folder in folders.values()], about=_ABOUT, beside=beside)
    compact(out / "cases.csv")
    join_distances(
        {run: folder / "evaluation" / "verification.csv" for run, folder in folders.items()},
        out / "pairs.csv",
    )


_ABOUT = """# 8x super-resolution of faces on LFW

Commands (`LFW` is the folder of Labeled Faces in the Wild, `WORK` an empty one; all of it resumes):

```
python experiments/lfw_faces.py WORK --data LFW --processes 2
python experiments/lfw_limit.py WORK
python experiments/lfw_faces.py WORK --publish results/lfw
```

What it says in words: [docs/evidence.md](../../docs/evidence.md). Versions, seeds, cohort, recipes and times are in
`evidence.yaml`; every image in `cases.csv`, the distances of every pair in `pairs.csv`; what λ costs and the choice
of μ, on validation people, in `sweep-*/`. `report-strong` sets Task-GAN against GAN where the adversarial term weighs
more, `report-projected` Task-GAN that ends in the projection layer against Task-GAN. `limit-test.md`: what readers
make of degraded and of restored faces who were taught on such.
"""


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(str(error)) from None
