"""The curves of a run: ``metrics.csv`` and, where it is installed, TensorBoard."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.core.console import say
from taskgan.core.errors import UserError, name_disk_errors
from taskgan.core.files import write_text
from taskgan.core.parse import quoted
from taskgan.core.tables import csv_rows

COLUMNS = (
    "step",
    "rate",
    "pixel",
    "adversarial",
    "discriminator",
    "task",
    "task_features",
    "adversarial_degraded",
    "discriminator_degraded",
    "cycle",
    "identity",
    "total",
    "spread",
    "val_psnr",
    "val_pixel",
    "val_objective",
    "val_task_mae",
)


class MetricsLogger:
    """Appends rows to ``metrics.csv`` and mirrors them to TensorBoard.

    The file holds no times of day and no speeds, so that a killed and resumed run leaves the same file as an
    uninterrupted one.

    Args:
        folder: The run.
        step: Where the run goes on; rows and points after it are from before a kill and are cut off.
        extra_columns: Columns after those that every run has.
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
    return [row for row in rows if _is_step(row["step"]) and None not in row and None not in row.values()]


def _is_step(text: str | None) -> bool:
    return text is not None and text.isdecimal() and len(text) < 10


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        say("tensorboard is not installed: the curves are in metrics.csv alone")
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
