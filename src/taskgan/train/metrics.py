"""The curves of a run: ``metrics.csv`` and, where it is installed, TensorBoard."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taskgan.core.console import say
from taskgan.core.errors import UserError, name_disk_errors
from taskgan.core.files import write_text
from taskgan.core.parse import quoted
from taskgan.core.tables import csv_rows
from taskgan.recipe import Recipe

COLUMNS = (
    *("step", "rate", "pixel", "adversarial", "discriminator", "task", "task_features"),
    *("adversarial_degraded", "discriminator_degraded", "cycle", "identity", "total", "spread"),
    *("val_psnr", "val_pixel", "val_objective", "val_task_mae"),
)
TASK_ERROR = "val_task_mae"
"""The column with T's error on restored validation images."""
TASK_CLEAN = "val_task_clean"
"""Likewise on clean ones, in phases in which G does not learn."""


def extra_columns(recipe: Recipe) -> list[str]:
    """Columns after those that every run has: of phases, conditions, coarse terms and further tasks."""
    further = [name for name in recipe.taught_by if name != "task"]
    return [
        *["phase"] * bool(recipe.schedule),
        *(task_column(TASK_CLEAN, name) for name in ["task", *further] if recipe.schedule),
        *map(psnr_column, recipe.data.conditions),
        *["coarse"] * bool(recipe.loss.coarse),
        *(task_column(column, name) for name in further for column in ("task", "task_features", TASK_ERROR)),
    ]


def psnr_column(condition: str) -> str:
    """The column with the PSNR of one condition."""
    return f"val_psnr_{condition}"


def task_column(column: str, name: str) -> str:
    """``column`` of the first task, ``column_<title>`` of a further one. ``name``: as ``Recipe.taught_by`` has it."""
    return column + name.removeprefix("task")


class MetricsLogger:
    """Appends rows to ``metrics.csv`` and mirrors them to TensorBoard.

    The file holds no times of day and no speeds, so that a killed and resumed run leaves the same file as an
    uninterrupted one.

    Args:
        step: Where the run goes on; rows and points after it are from before a kill and are cut off.
    """

    def __init__(self, folder: Path, step: int, extra_columns: Sequence[str] = ()) -> None:
        self._path = folder / "metrics.csv"
        self._columns = (*COLUMNS, *extra_columns)
        rows = read_metrics(self._path) if step else []
        kept = [row for row in rows if int(row["step"]) <= step]
        unknown = sorted({column for row in kept for column in row} - set(self._columns))
        if unknown:
            raise UserError(
                f"{self._path} has the column {quoted(unknown[0])}, which no run writes; start anew with --overwrite"
            )
        write_text(self._path, "".join(map(self._line, ({c: c for c in self._columns}, *kept))))
        self._board = _tensorboard(folder / "tensorboard", step)

    def log_row(self, step: int, metrics: Mapping[str, float | str]) -> None:
        """Add a row; columns without a figure stay empty. Words (the name of a phase) are for the table alone."""
        values = {"step": str(step)}
        values |= {name: f"{v:.7g}" if isinstance(v, float) else str(v) for name, v in metrics.items()}
        with name_disk_errors(self._path), self._path.open("a", encoding="utf-8", newline="") as handle:
            handle.write(self._line(values))
        if self._board is not None:
            for name, value in metrics.items():
                if isinstance(value, str):
                    continue
                group = "validation" if name.startswith("val_") else "train"
                self._board.add_scalar(f"{group}/{name.removeprefix('val_')}", value, step)

    def log_image(self, step: int, name: str, image: NDArray[np.float32]) -> None:
        """Show a picture (H, W) with values 0 to 1 in TensorBoard."""
        if self._board is not None:
            self._board.add_image(f"validation/{name}", image[None], step)

    def close(self) -> None:
        """Write out what is buffered."""
        if self._board is not None:
            self._board.close()

    def _line(self, values: Mapping[str, str]) -> str:
        unknown = values.keys() - set(self._columns)
        if unknown:
            raise ValueError(f"metrics.csv has no columns {sorted(unknown)}")
        line = io.StringIO()  # a name may hold a comma
        csv.writer(line, lineterminator="\n").writerow([values.get(column, "") for column in self._columns])
        return line.getvalue()


def read_metrics(path: Path) -> list[dict[str, str]]:
    """Rows of a ``metrics.csv``; a last line that a kill cut short is left out.

    Raises:
        UserError: If it cannot be read.
    """
    if not path.is_file() or b"\n" not in path.read_bytes():
        return []
    rows = [row for _, row in csv_rows(path, ("step",), empty=True, whole_lines=True)]
    whole = [row for row in rows if None not in row and None not in row.values()]
    return [row for row in whole if row["step"].isdecimal() and len(row["step"]) < 10]


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        say("tensorboard is not installed: the curves are in metrics.csv alone")
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)


_GUESSING = {"bce": math.log(2), "hinge": 1.0, "least_squares": 0.25}  # D's loss where it knows nothing


def output_metrics(restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
    """How much is left of an image: scalars, on the device.

    Args:
        restored: x̂ (B, 1, H, W).
        clean: x, the same shape.

    Returns:
        ``spread``: standard deviation of x̂ over that of x. ``bounds``: share of the pixels of x̂ at 0 or 1
        beyond the share of x.
    """
    spread = restored.std() / clean.std().clamp_min(torch.finfo(clean.dtype).tiny)
    ours, theirs = (((image <= 0) | (image >= 1)).float().mean() for image in (restored, clean))
    return {"spread": spread, "bounds": ours - theirs}


class Monitor:
    """Watches the metrics of every step, in order. ``recipe``: its ``monitor`` limits, D's loss, the images' bounds."""

    def __init__(self, recipe: Recipe) -> None:
        self._limits = recipe.monitor
        self._bounded = recipe.data.intensity.output == "unit"
        self._weight = recipe.lambda_gan
        # What holds an image to its own content: Eq. 1, or where there are no pairs the cycle.
        self._content = "cycle" if recipe.unpaired else "pixel"
        self._content_weight = recipe.cycle.weight if recipe.unpaired else 1.0
        smoothing = recipe.loss.label_smoothing
        # With smoothed targets even a perfect D pays their entropy.
        entropy = -sum(p * math.log(p) for p in (smoothing, 1 - smoothing) if p > 0) / 2
        guessing = _GUESSING[recipe.loss.discriminator]
        self._sure = entropy + self._limits.discriminator_loss * (guessing - entropy)
        self._constant = 0
        self._won: list[tuple[float, float]] = []

    def observe(self, metrics: Mapping[str, float]) -> str | None:
        """Take in one step.

        Args:
            metrics: Losses of the step and, where it made images, :func:`output_metrics`.

        Returns:
            What went wrong, as the end of a sentence; None where nothing did.
        """
        broken = [name for name, value in metrics.items() if not math.isfinite(value)]
        if broken:
            return f"{', '.join(broken)} became NaN or infinite"
        return (self._check_output(metrics) if "spread" in metrics else None) or self._check_discriminator(metrics)

    def _check_output(self, figures: Mapping[str, float]) -> str | None:
        limits = self._limits
        flat = figures["spread"] < limits.spread
        saturated = self._bounded and figures["bounds"] > limits.saturated * (1 - 1e-6)
        self._constant = self._constant + 1 if flat or saturated else 0
        if not limits.constant_steps or self._constant < limits.constant_steps:
            return None
        what = "constant" if flat else "saturated at the bounds of its values"
        return f"the restored images have been {what} for {self._constant} steps"

    def _check_discriminator(self, figures: Mapping[str, float]) -> str | None:
        limits = self._limits
        if not limits.discriminator_steps or "discriminator" not in figures:
            return None
        if figures["discriminator"] >= self._sure:
            self._won.clear()
            return None
        content = self._content_weight * figures[self._content]
        self._won.append((self._weight * figures["adversarial"], content))
        del self._won[: -limits.discriminator_steps]
        if len(self._won) < limits.discriminator_steps:
            return None
        adversarial, content = (sum(column) for column in zip(*self._won, strict=True))
        half = len(self._won) // 2
        early, late = (sum(value for _, value in part) for part in (self._won[:half], self._won[-half:]))
        share = adversarial / max(adversarial + content, torch.finfo(torch.float32).tiny)
        if share < limits.discriminator_share or late < early:
            return None
        return (
            f"the discriminator has won: for {len(self._won)} steps it told every image apart, the adversarial loss "
            f"made {100 * share:.0f} % of the objective, and the {self._content} loss did not fall"
        )

    def state_dict(self) -> dict[str, Any]:
        """Counters, so that a resumed run stops where an uninterrupted one does."""
        return {"constant": self._constant, "won": [list(pair) for pair in self._won]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state_dict` gave."""
        self._constant = state["constant"]
        self._won = [(a, p) for a, p in state["won"]]
