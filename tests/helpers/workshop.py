"""A trainer, restorer and judge that answer at once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from taskgan.cohort.pairs import Pairs
from taskgan.cohort.targets import resolved_recipe
from taskgan.core.errors import Diverged
from taskgan.core.files import write_json, write_text, write_yaml
from taskgan.evaluate.cases import write_case_table
from taskgan.recipe import Recipe, dump_recipe

SUBJECTS = {"train": 4, "val": 7, "test": 2}


@dataclass
class Workshop:
    """What the stand-ins were asked for, and how they shall answer.

    Attributes:
        trained: Recipes, in order.
        splits: What was restored and judged.
        anew: Which of the trainings were to start anew.
        diverges: Whether training with a recipe goes wrong.
        fails: What training with a recipe raises; None is nothing.
        kill: Raise KeyboardInterrupt at this training, from 1; 0 never.
    """

    trained: list[Recipe] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    anew: list[bool] = field(default_factory=list)
    diverges: Callable[[Recipe], bool] = lambda recipe: False
    fails: Callable[[Recipe], BaseException | None] = lambda recipe: None
    kill: int = 0

    def train(self, recipe: Recipe, rows: Pairs, folder: Path, *, overwrite: bool = False) -> None:
        assert not len(rows.split("test"))
        self.trained.append(recipe)
        self.anew.append(overwrite)
        error = self.fails(recipe)
        if error is not None:
            raise error
        write_yaml(folder / "recipe.yaml", dump_recipe(resolved_recipe(recipe, rows)))
        write_yaml(folder / "run.yaml", {"status": "training"})
        if len(self.trained) == self.kill:
            raise KeyboardInterrupt
        if self.diverges(recipe):
            raise Diverged("pixel became NaN or infinite at step 3")
        result = {"done": recipe.optimiser.steps, "best_step": 5}
        write_yaml(folder / "run.yaml", {"status": "complete", "result": result})

    def restore(self, model: Path, inputs: list[Path], out: Path, *, split: str, **options: Any) -> None:
        self.splits.append(split)
        write_yaml(out / "restored.yaml", {"status": "complete"})

    def evaluate(self, restored: Path, cohort: Path, out: Path, *, split: str, **options: Any) -> None:
        """The judge errs least at μ = 0.1; PSNR falls with μ."""
        self.splits.append(split)
        recipe = self.trained[-1]
        mu = recipe.mu_task
        rng = np.random.default_rng([recipe.seed, round(1e6 * mu)])
        rows = []
        for number in range(SUBJECTS["val"]):
            common = {"case": f"val{number}", "subject": f"sub-val{number}", "label": number % 2}
            clean = {"psnr": float("inf"), "suvr_reference": 1.1 + 0.1 * number}
            judge = 0.2 + 0.02 * number + abs(np.log10(mu + 1e-3) + 1) / 50 + 0.001 * rng.random()
            own = {
                "psnr": 28 - 0.2 * mu + 0.3 * number + 0.01 * rng.random(),
                "ssim": 0.9,
                "rmse_relative": 0.1,
                "task_mae": 0.2,
                "judge_mae": float(judge),
                "suvr_reference": clean["suvr_reference"],
                "suvr_restored": clean["suvr_reference"] * 0.9,
                "suvr_bias": -0.1 * clean["suvr_reference"],
            }
            rows += [{**common, "method": "clean", **clean}, {**common, "method": recipe.objective, **own}]
        write_case_table(out / "cases.csv", rows)
        write_json(out / "summary.json", {})

    def draw(self, asked: Any, *_: Any) -> None:
        write_text(asked.out / "sweep.png", "drawn")
