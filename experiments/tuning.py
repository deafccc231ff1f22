"""What experiments share that let ``taskgan sweep`` choose their weights: where things are, and what recipes say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from taskgan.errors import UserError
from taskgan.files import read_yaml
from taskgan.recipe import Recipe, read_recipe

SEEDS = (0, 1, 2)


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
    """

    changes: tuple[str, ...]
    grid: tuple[str, ...]


@dataclass(frozen=True)
class Experiment:
    """Where it is, and whether it is only tried.

    Attributes:
        work: Folder for cohort, runs and report.
        trial: Whether every stage is made once, tiny.
        source: The recipe that methods change.
        small: What a trial changes.
        sweeps: What is tried, by the folder's name.
    """

    work: Path
    trial: bool = False
    source: ClassVar[Path]
    small: ClassVar[tuple[str, ...]]
    sweeps: ClassVar[Mapping[str, Sweep]]

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

    def recipe_of(self, method: Method, seed: int, further: Sequence[str] = ()) -> Recipe:
        """A method's, with a seed of its own for G, D and the data order; T and judge stay the same."""
        weights = self._weights(method.sweep) if method.sweep else []
        return read_recipe(self.source, [*self.changes, *method.changes, *weights, f"seed={seed}", *further])

    def _weights(self, sweep: str) -> list[str]:
        record = self.work / sweep / "sweep.yaml"
        if not record.is_file() or read_yaml(record).get("status") != "complete":
            raise UserError(f"{record} is not there or not complete; run the stage sweep first")
        chosen = read_yaml(record)["chosen"]["values"]
        return [f"{key}={value}" for key, value in chosen.items() if key.startswith("loss.")]


def choose_weights(here: Experiment, steps: int, share: str | None) -> None:
    """Sweep after sweep, as short runs.

    Args:
        here: The experiment.
        steps: Of each setting, at most; a trial may have fewer.
        share: ``K/N``: every N-th run from the K-th on, a last call without joins them.
    """
    from taskgan.sweep.run import Asked, run_sweep

    count = min(steps, here.base().optimiser.steps)
    short = tuple(
        f"{key}={count}" for key in ("optimiser.steps", "validation.every", "validation.save_every")
    )
    for name, tried in here.sweeps.items():
        run_sweep(
            Asked(
                recipe=str(here.source),
                cohort=here.table,
                out=here.work / name,
                grid=tried.grid,
                overrides=(*here.changes, *short, *tried.changes),
                only=share,
            )
        )


def made(methods: Sequence[str], seeds: Sequence[int], *, once: Sequence[str] = ()) -> list[tuple[str, int]]:
    """The runs, in order. Seeds outermost: an interrupted experiment has whole seeds of every method.

    Args:
        methods: Which.
        seeds: Which.
        once: Methods that draw nothing, so that the first seed stands for all.
    """
    return [(m, s) for s in seeds for m in methods if m not in once or s == seeds[0]]
