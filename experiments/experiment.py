"""What the experiments share: where things are, what the recipes say, the stages and the command line."""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.core.parts import Part, parse_part
from taskgan.recipe import Recipe, read_recipe

SEEDS = (0, 1, 2)
Item = TypeVar("Item")


@dataclass(frozen=True)
class Method:
    """What is compared, as a change of the recipe; all have the same data, seeds and steps of G.

    Attributes:
        changes: Of the recipe.
        sweep: Whose choice of weights it takes; empty where the objective has none.
    """

    changes: tuple[str, ...]
    sweep: str = ""


@dataclass(frozen=True)
class Sweep:
    """What is tried on validation subjects.

    Attributes:
        changes: Of the recipe, in all its settings.
        grid: Keys with their values.
        against: Changes of one more setting, which is compared with and not chosen.
    """

    changes: tuple[str, ...]
    grid: tuple[str, ...]
    against: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """Folders, recipes and stages.

    Attributes:
        work: Folder for cohort, runs and report.
        trial: Whether every stage is made once, tiny.
        script: The file that is called.
        data: Option that names the folder which the cohort is made from, and its help.
        source: The recipe that methods change.
        methods: What is compared.
        untrained: Methods that learn and draw nothing: their first seed stands for all.
        sweeps: What is tried, by the folder's name.
        sweep_steps: Of each setting, at most; a trial may have fewer.
        within: How far under the best PSNR a setting may be chosen, dB.
        groups: The stages; those of a group are made run by run, and a group waits for the one before.
        shared: Stages that several processes can share.
        baseline: Of the main report.
        beside: Further reports, each of methods of which the first is the baseline.
        small: What a trial changes in the recipe.
        about: Beginning of the published page.
    """

    work: Path
    trial: bool = False
    script: ClassVar[str]
    data: ClassVar[tuple[str, str]]
    source: ClassVar[Path]
    methods: ClassVar[Mapping[str, Method]]
    untrained: ClassVar[tuple[str, ...]] = ()
    sweeps: ClassVar[Mapping[str, Sweep]]
    sweep_steps: ClassVar[int]
    within: ClassVar[float | None] = None
    groups: ClassVar[Sequence[tuple[str, ...]]] = (("cohort",), ("sweep",), ("train", "judge"), ("report",))
    shared: ClassVar[Sequence[str]] = ("sweep", "train", "judge")
    baseline: ClassVar[str] = "gan"
    beside: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    small: ClassVar[tuple[str, ...]] = ()
    about: ClassVar[str]

    @property
    def changes(self) -> tuple[str, ...]:
        return self.small if self.trial else ()

    @property
    def cohort(self) -> Path:
        return self.work / "cohort"

    @property
    def table(self) -> Path:
        """The rows that are used; the folder stands for all."""
        return self.cohort

    def run(self, method: str, seed: int) -> Path:
        return self.work / "runs" / f"{method}-seed{seed}"

    def base(self) -> Recipe:
        """Whose T and judge read all results."""
        return read_recipe(self.source, self.changes)

    def recipe(self, name: str, seed: int, further: Sequence[str] = ()) -> Recipe:
        """A method's, with a seed of its own for G, D and the data order; T and judge stay the same."""
        method = self.methods[name]
        weights = self._weights(method.sweep) if method.sweep else []
        return read_recipe(self.source, [*self.changes, *method.changes, *weights, f"seed={seed}", *further])

    def _weights(self, sweep: str) -> list[str]:
        record = self.work / sweep / "sweep.yaml"
        if not record.is_file() or read_yaml(record).get("status") != "complete":
            raise UserError(f"{record} is not there or not complete; run the stage sweep first")
        chosen = read_yaml(record)["chosen"]["values"]
        return [f"{key}={value}" for key, value in chosen.items() if key.startswith("loss.")]

    def runs(self, methods: Sequence[str], seeds: Sequence[int]) -> list[tuple[str, int]]:
        """In order. Seeds outermost: an interrupted experiment has whole seeds of every method."""
        return [(m, s) for s in seeds for m in methods if m not in self.untrained or s == seeds[0]]

    def stage(self, name: str, asked: argparse.Namespace, share: Part | None) -> None:
        """A stage that is not made run by run; an experiment adds its own."""
        if name == "cohort":
            folder = getattr(asked, self.data[0].lstrip("-"))
            if folder is None:
                raise UserError(f"say {self.data[0]} FOLDER, {self.data[1]}")
            self.make_cohort(folder)
        elif name == "sweep":
            self.choose_weights(asked.share)
        elif name == "report":
            self.report(asked.method or [*self.untrained, *self.methods], asked.seeds)
        else:
            raise NotImplementedError(name)

    def make_cohort(self, folder: Path) -> None:
        raise NotImplementedError

    def choose_weights(self, share: str | None) -> None:
        """Sweep after sweep, as short runs; with ``K/N`` every N-th run, and a last call without joins them."""
        from taskgan.sweep.run import SweepOptions, run_sweep

        count = min(self.sweep_steps, self.base().optimiser.steps)
        short = tuple(f"{key}={count}" for key in ("optimiser.steps", "validation.every", "validation.save_every"))
        for name, tried in self.sweeps.items():
            more = {} if self.within is None else {"within": self.within}
            run_sweep(
                SweepOptions(
                    recipe=str(self.source),
                    cohort=self.table,
                    out=self.work / name,
                    grid=tried.grid,
                    overrides=(*self.changes, *short, *tried.changes),
                    against=tried.against,
                    part=share,
                    **more,
                )
            )

    def train(self, method: str, seed: int) -> None:
        from taskgan.train.run import train

        train(self.recipe(method, seed), self.table, self.run(method, seed))

    def restored(self, run: Path, out: Path, split: str) -> Path:
        """The images of a split by a run's model, once."""
        from taskgan.restore.run import restore

        if complete(out):
            return out
        if not (run / "model").is_dir():
            raise UserError(f"{run} holds no model; run the stage train first")
        table = self.table / "pairs.csv" if self.table.is_dir() else self.table
        return restore(run / "model", [table], out, split=split, precision="32", overwrite=True)

    def judge(self, method: str, seed: int) -> None:
        """Restore the test images and read them all."""
        from taskgan.evaluate.run import evaluate

        run = self.run(method, seed)
        self.restored(run, run / "restored", "test")
        if not (run / "evaluation" / "summary.json").is_file():
            evaluate(run / "restored", self.table, run / "evaluation", recipe=self.reading(method, seed), method=method)

    def reading(self, method: str, seed: int) -> Recipe:
        """By what a method's results are read."""
        return self.base()

    def evaluation(self, method: str, seed: int, report: str) -> Path:
        """What a report has of a run."""
        return self.run(method, seed) / "evaluation"

    def report(self, methods: Sequence[str], seeds: Sequence[int]) -> None:
        """Tables and figures of all runs, and those of methods against each other."""
        from taskgan.report.run import compare

        for name, some in {"report": self.compared(methods), **self.beside}.items():
            if not set(some) <= set(methods):
                continue
            folders = [self.evaluation(m, s, name) for m, s in self.runs(some, seeds)]
            absent = [folder.parent.name for folder in folders if not (folder / "summary.json").is_file()]
            if absent:
                raise UserError(f"{', '.join(absent)} are not judged; run the stages train and judge first")
            first = self.baseline if name == "report" else some[0]
            compare(folders, self.work / name, baseline=first, overwrite=True)

    def compared(self, methods: Sequence[str]) -> Sequence[str]:
        """Those of the main report."""
        return methods

    def publish(self, out: Path, methods: Sequence[str], seeds: Sequence[int]) -> None:
        from publishing import publish

        if not (self.work / "report" / "report.yaml").is_file():
            raise UserError(f"{self.work} holds no report; run the experiment to its end first")
        beside = [name for name in self.beside if (self.work / name / "report.yaml").is_file()]
        names = [self.run(*run).name for run in self.runs(methods, seeds)]
        publish(self.work, out, names, about=self.about, beside=beside)

    @classmethod
    def main(cls, words: Sequence[str] | None = None) -> None:
        """What the command line asks for."""
        asked = cls.options().parse_args(words)
        here = cls(asked.work, asked.trial)
        stages = [stage for group in cls.groups for stage in group if stage in (asked.stage or [stage])]
        methods = asked.method or [*cls.untrained, *cls.methods]
        if asked.publish is not None:
            here.publish(asked.publish, methods, asked.seeds)
        elif asked.processes > 1:
            here.together(asked, stages)
        else:
            here.make(asked, stages, methods)

    @classmethod
    def options(cls) -> argparse.ArgumentParser:
        about = sys.modules[cls.__module__].__doc__
        parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
        add = parser.add_argument
        add("work", type=Path, help="folder for cohort, runs and report")
        add(cls.data[0], type=Path, help=cls.data[1])
        stages = [stage for group in cls.groups for stage in group]
        add("--stage", choices=stages, action="append", help="only these stages")
        names = [*cls.untrained, *cls.methods]
        add("--method", choices=names, action="append", help="only these methods")
        add("--seeds", type=int, nargs="+", default=list(SEEDS))
        add("--share", help="K/N: every N-th run from the K-th on; of a sweep a last call joins")
        add("--processes", type=int, default=1, help="share each stage among so many, one thread each")
        add("--publish", type=Path, help="keep the results of a finished experiment here")
        if cls.small:
            add("--trial", action="store_true", help="every stage once, tiny: shows that it runs")
        parser.set_defaults(trial=False)
        return parser

    def make(self, asked: argparse.Namespace, stages: Sequence[str], methods: Sequence[str]) -> None:
        """The stages, in this process."""
        share = parse_part(asked.share)
        for group in self.groups:
            wanted = [stage for stage in group if stage in stages]
            if "train" not in group:
                for stage in wanted:
                    self.stage(stage, asked, share)
                continue
            for method, seed in own(self.runs(methods, asked.seeds), share) if wanted else ():
                if "train" in wanted and method not in self.untrained:
                    self.train(method, seed)
                if "judge" in wanted:
                    self.judge(method, seed)

    def together(self, asked: argparse.Namespace, stages: Sequence[str]) -> None:
        """Every group of stages as several processes, one group after another; a last one joins the sweeps."""
        folder: Any = getattr(asked, self.data[0].lstrip("-"))
        words = [sys.executable, self.script, str(asked.work), "--seeds", *map(str, asked.seeds)]
        words += ["--trial"] if asked.trial else []
        words += [self.data[0], str(folder)] if folder is not None else []
        words += [word for name in asked.method or () for word in ("--method", name)]
        for group in self.groups:
            wanted = [stage for stage in group if stage in stages]
            if not wanted:
                continue
            call = [*words, *(word for stage in wanted for word in ("--stage", stage))]
            if wanted[0] in self.shared:
                run_all([[*call, "--share", f"{k}/{asked.processes}"] for k in range(1, asked.processes + 1)])
            if wanted[0] not in self.shared or wanted == ["sweep"]:
                run_all([call])


def complete(restored: Path) -> bool:
    """Whether a folder of restored images is finished."""
    record = restored / "restored.yaml"
    return record.is_file() and read_yaml(record).get("status") == "complete"


def own(items: Sequence[Item], share: Part | None) -> Sequence[Item]:
    """Those of a share K/N."""
    return items if share is None else share.of(items)


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


def called(main: Any) -> None:
    """Run a script's ``main``; what the user can mend is one sentence."""
    try:
        main()
    except UserError as error:
        raise SystemExit(str(error)) from None
