"""Results of a sweep that nobody trained: subjects differ, settings shift them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskgan.recipe import Recipe
from taskgan.stats import Interval, mean_interval
from taskgan.sweep.folder import RunStatus
from taskgan.sweep.plan import with_values
from taskgan.sweep.results import SettingResult, TrialResult

Shift = Callable[[Mapping[str, Any]], tuple[float, float]]


def cases(psnr: Any, judge: Any, subjects: Sequence[str]) -> pd.DataFrame:
    """Rows of one method with what the sweep reads."""
    n = len(subjects)
    clean = np.linspace(1.1, 1.7, n)
    return pd.DataFrame(
        {
            "case": list(subjects),
            "subject": list(subjects),
            "method": "task_gan",
            "psnr": psnr,
            "ssim": 0.9,
            "rmse_relative": 0.1,
            "task_mae": judge,
            "judge_mae": judge,
            "suvr_bias": 0.02,
            "suvr_reference": clean,
            "suvr_restored": clean + 0.02,
            "judge_mistaken": np.nan,
        }
    )


def result(
    values: Mapping[str, Any],
    shift: tuple[float, float] = (0.0, 0.0),
    *,
    seeds: int = 1,
    subjects: int = 9,
    noise: tuple[float, float] = (0.05, 0.004),
    status: str = "finished",
    reference: bool = False,
    judge: bool = True,
    mistaken: float | None = None,
) -> SettingResult:
    """One setting whose PSNR is 28 dB and judge error .25, each shifted; subjects spread by 0.6 dB and .05.

    Every second subject has two images, and is so often mistaken for others, where that is given.
    """
    who = [f"sub-{i:02d}" for i in range(subjects)]
    spread = np.linspace(-1, 1, subjects)
    runs, frames = [], []
    recipe = with_values(Recipe(), {k: v for k, v in values.items()})
    for seed in range(seeds):
        rng = np.random.default_rng([seed, *str(sorted(values.items())).encode()])
        psnr = 28 + shift[0] + 0.6 * spread + noise[0] * rng.normal(size=subjects)
        mae = 0.25 + shift[1] + 0.05 * spread[::-1] + noise[1] * rng.normal(size=subjects)
        frame = cases(psnr, mae if judge else np.nan, who) if status == "finished" else None
        if frame is not None and mistaken is not None:
            frame["judge_mistaken"] = np.where(np.arange(subjects) % 2, np.nan, mistaken + 0.01 * spread)
        own = recipe.model_copy(update={"seed": seed})
        runs.append(TrialResult(Path("runs") / str(seed), own, RunStatus(status, 12.0), frame, 900, 800))
        if frame is not None:
            frames.append(frame)
    figures: dict[str, Any] = {}
    intervals: dict[str, Interval] = {}
    if frames:
        from taskgan.sweep.results import subject_values, suvr_slope

        figures = subject_values(frames)
        intervals = {k: mean_interval(v.to_numpy(), list(v.index)) for k, v in figures.items()}
        intervals["suvr_slope"] = suvr_slope(frames)
    return SettingResult(dict(values), tuple(runs), figures, intervals, reference, not reference)


def results(settings: Sequence[Mapping[str, Any]], shift: Shift, **options: Any) -> list[SettingResult]:
    """One result for each setting."""
    return [result(values, shift(values), **options) for values in settings]
