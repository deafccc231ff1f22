"""Validation: whole volumes, restored as ``taskgan restore`` does it, in the input's units."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from taskgan.cohort.conditions import condition_of
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.slices import Acquisition, Case, acquisition, load_case, to_slices
from taskgan.cohort.targets import Targets
from taskgan.judges.figures import case_error
from taskgan.judges.recogniser import logits
from taskgan.metrics.quality import psnr
from taskgan.model.restorer import Restorer
from taskgan.objective.kinds import task_kind
from taskgan.objective.task import TaskKind
from taskgan.recipe import Data, Recipe
from taskgan.train.devices import derive_seed

Array = NDArray[np.float32]

TASK_CLEAN = "val_task_clean"
"""The column of ``metrics.csv`` with T's error on clean images, in phases in which G does not learn."""


@dataclass(frozen=True)
class ValidationResult:
    """What the validation subjects gave.

    Attributes:
        metrics: ``val_psnr`` (dB, mean over volumes), ``val_pixel`` (Eq. 1), where there are conditions
            ``val_psnr_<condition>`` of those that were looked at, and where there is a T:
            ``val_task_mae`` (mean |T(x̂) − y| over slices, or what error the kind has) and ``val_objective``;
            without T the latter is ``val_pixel``.
        images: By case: input | restored | clean side by side, (H, W) in 0 to 1.
    """

    metrics: dict[str, float]
    images: dict[str, Array]


class Validation:
    """The validation subjects, held in memory.

    Args:
        pairs: Rows of the validation split.
        recipe: The run; ``validation.cases`` of the rows are drawn by its seed.
    """

    def __init__(self, pairs: Pairs, recipe: Recipe) -> None:
        self._recipe = recipe
        self._cases = _load(_sample_cases(pairs, recipe), recipe.data)
        self._targets = Targets.for_table(recipe.task.target, pairs)

    def validate(self, network: nn.Module, task: nn.Module | None) -> ValidationResult:
        """Restore every case and compare.

        Args:
            network: The generator to look at (the averaged one, if there is one).
            task: T as it is now, or None.
        """
        restorer = Restorer(network, self._recipe.data, batch_size=self._recipe.optimiser.batch_size)
        kind = task_kind(self._recipe.task, self._recipe.task.loss)
        psnrs, pixels, losses, errors = [], [], [], []
        by_condition: dict[str, list[float]] = {}
        images: dict[str, Array] = {}
        for case in self._cases:
            if case.clean is None:
                raise AssertionError("validation cases have a clean image")
            condition = condition_of(case.pair, self._recipe.data)
            restored = restorer.restore_inputs(case.inputs, case.intensity, condition=condition).image
            slices = case.intensity.apply(to_slices(restored))
            psnrs.append(psnr(to_slices(restored), case.intensity.invert(case.clean), span=case.source.span))
            if condition:
                by_condition.setdefault(condition, []).append(psnrs[-1])
            pixels.append(float(np.abs(slices - case.clean).mean(dtype=np.float64)))
            if task is not None:
                readable = self._readable(case.clean)
                y = self._y(case, readable, kind, task)
                answer = logits(task, np.ascontiguousarray(slices[readable]))
                losses.append(float(kind.loss(answer, y).mean()))
                errors.append(self._error(kind, kind.prediction(answer), y))
            if len(images) < 2:
                images[case.pair.case] = _picture(case, slices)
        figures = {"val_psnr": float(np.mean(psnrs)), "val_pixel": float(np.mean(pixels))}
        figures |= {psnr_column(name): float(np.mean(values)) for name, values in by_condition.items()}
        figures["val_objective"] = figures["val_pixel"]
        if losses:
            figures["val_objective"] += self._recipe.mu_task * float(np.mean(losses))
            figures["val_task_mae"] = float(np.mean(errors))
        return ValidationResult(figures, images)

    def validate_task(self, task: nn.Module) -> dict[str, float]:
        """How T reads the clean images: ``val_task_clean``, its mean error over slices (0 for an embedding)."""
        kind = task_kind(self._recipe.task, self._recipe.task.loss)
        errors = []
        for case in self._cases:
            assert case.clean is not None
            readable = self._readable(case.clean)
            answer = logits(task, np.ascontiguousarray(case.clean[readable]))
            errors.append(self._error(kind, kind.prediction(answer), self._y(case, readable, kind, task)))
        return {TASK_CLEAN: float(np.mean(errors))}

    @staticmethod
    def _error(kind: TaskKind, prediction: Tensor, y: Tensor) -> float:
        if kind.dense:  # Dice is of the volume
            return case_error(kind, prediction.numpy(), y, len(y))
        return float(kind.error(prediction, y).mean())

    def _y(self, case: Case, readable: NDArray[np.bool_], kind: TaskKind, task: nn.Module) -> Tensor:
        """y of the slices that are seen."""
        if kind.dense:
            return torch.from_numpy(self._targets.mask(case.pair, case.source)[readable])
        own = torch.from_numpy(self._targets.value(case.pair))
        label = own.expand(int(readable.sum()), *own.shape)
        if not kind.label_from_clean:
            return label
        assert case.clean is not None
        return kind.y(label, logits(task, np.ascontiguousarray(case.clean[readable])))

    def score(self, result: ValidationResult) -> float:
        """The figure by which the best model is picked; larger is better, NaN counts as worst."""
        metric = self._recipe.validation.metric
        value = result.metrics["val_psnr"] if metric == "psnr" else -result.metrics["val_objective"]
        return value if not math.isnan(value) else -math.inf

    def _readable(self, clean: Array) -> NDArray[np.bool_]:
        """Slices with enough signal, as in training: T has never seen an empty one."""
        signal = np.abs(clean).mean(axis=(1, 2))
        return np.asarray(signal >= self._recipe.data.min_signal * signal.mean())


def psnr_column(condition: str) -> str:
    """The column of ``metrics.csv`` with the PSNR of one condition."""
    return f"val_psnr_{condition}"


def _load(rows: list[Pair], data: Data) -> list[Case]:
    """Cases in the order of the rows; those of one acquisition share its inputs."""
    known: dict[Acquisition, Case] = {}
    cases = []
    for pair in rows:
        inputs = acquisition(pair, data)
        cases.append(load_case(pair, data, known=known.get(inputs)))
        known.setdefault(inputs, cases[-1])
    return cases


def _sample_cases(pairs: Pairs, recipe: Recipe) -> list[Pair]:
    rows = list(pairs)
    if not recipe.validation.cases or recipe.validation.cases >= len(rows):
        return rows
    rng = np.random.default_rng(derive_seed(recipe.seed, "validation"))
    return [rows[k] for k in sorted(rng.choice(len(rows), recipe.validation.cases, replace=False))]


def _picture(case: Case, restored: Array) -> Array:
    assert case.clean is not None
    middle = len(restored) // 2
    top = max(float(case.clean[middle].max()), float(np.finfo(np.float32).tiny))
    parts = [case.inputs[middle, 0], restored[middle], case.clean[middle]]
    # The first axis runs left to right and the second back to front: turned, the nose is at the top.
    return np.ascontiguousarray(np.concatenate([np.rot90(p) for p in parts], axis=1).clip(0, top) / top)
