"""Validation: whole volumes, restored as ``taskgan restore`` does it, in the input's units."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from taskgan.cohort.conditions import condition_of, numbers_of
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.slices import Acquisition, Case, acquisition, load_case, to_slices
from taskgan.cohort.targets import Targets
from taskgan.images.photos import LUMINANCE
from taskgan.judges.figures import case_error
from taskgan.judges.recogniser import logits
from taskgan.metrics.quality import psnr
from taskgan.model.restorer import Restorer
from taskgan.objective.kinds import loss_kind
from taskgan.objective.total import coarse_loss
from taskgan.recipe import Data, Recipe, Task
from taskgan.train.devices import derive_seed
from taskgan.train.metrics import TASK_CLEAN, TASK_ERROR, psnr_column, task_column

Array = NDArray[np.float32]


@dataclass(frozen=True)
class ValidationResult:
    """What the validation subjects gave.

    Attributes:
        metrics: ``val_psnr`` (dB, mean over volumes), ``val_pixel`` (Eq. 1), where there are conditions
            ``val_psnr_<condition>`` of those that were looked at, and where there is a T:
            ``val_task_mae`` (mean |T(x̂) − y| over slices, or what error the kind has; of a further task
            ``val_task_mae_<title>``); and ``val_objective``, Eq. 4 without the adversarial term.
        images: By case: input | restored | clean side by side, (H, W) in 0 to 1.
    """

    metrics: dict[str, float]
    images: dict[str, Array]


class Validation:
    """The validation subjects, held in memory. ``recipe``: the run; ``validation.cases`` of the rows are drawn by its
    seed.
    """

    def __init__(self, pairs: Pairs, recipe: Recipe) -> None:
        self._recipe = recipe
        self._cases = _load(_sample_cases(pairs, recipe), recipe.data)
        self._readers = {name: _TaskReader(task, pairs, recipe.data.colours) for name, task in recipe.taught_by.items()}

    def validate(self, network: nn.Module, tasks: Mapping[str, nn.Module]) -> ValidationResult:
        """Restore every case and compare. ``network``: the generator to look at (the averaged one, if there is one)."""
        restorer = Restorer(network, self._recipe.data, batch_size=self._recipe.optimiser.batch_size)
        psnrs, pixels, coarse = [], [], []
        read: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
        colours = self._recipe.data.colours
        by_condition: dict[str, list[float]] = {}
        images: dict[str, Array] = {}
        for case in self._cases:
            if case.clean is None:
                raise AssertionError("validation cases have a clean image")
            condition = condition_of(case.pair, self._recipe.data)
            numbered = restorer.with_numbers(numbers_of(case.pair, self._recipe.data))
            restored = numbered.restore_inputs(case.inputs, case.intensity, condition=condition).image
            slices = case.intensity.apply(to_slices(restored))
            psnrs.append(psnr(to_slices(restored), case.intensity.invert(case.clean), span=case.source.span))
            if condition:
                by_condition.setdefault(condition, []).append(psnrs[-1])
            pixels.append(float(np.abs(slices - case.clean).mean(dtype=np.float64)))
            if self._recipe.loss.coarse:
                coarse.append(self._coarse(slices, case.clean))
            for name, task in tasks.items():
                shown, readable = _luminance(slices, colours), self._readable(_luminance(case.clean, colours))
                read[name].append(self._readers[name].read(task, case, shown, readable))
            if len(images) < 2:
                images[case.pair.case] = _picture(case, slices)
        figures = {"val_psnr": float(np.mean(psnrs)), "val_pixel": float(np.mean(pixels))}
        figures |= {psnr_column(name): float(np.mean(values)) for name, values in by_condition.items()}
        figures["val_objective"] = figures["val_pixel"]
        if coarse:
            figures["val_objective"] += self._recipe.loss.coarse_weight * float(np.mean(coarse))
        for name, both in read.items():
            losses, errors = zip(*both, strict=True)
            weight = self._recipe.mu_task * self._recipe.taught_by[name].weight
            figures["val_objective"] += weight * float(np.mean(losses))
            figures[task_column(TASK_ERROR, name)] = float(np.mean(errors))
        return ValidationResult(figures, images)

    def validate_tasks(self, tasks: Mapping[str, nn.Module]) -> dict[str, float]:
        """How every T reads the clean images: ``val_task_clean``, its mean error over slices (0 for an embedding)."""
        figures = {}
        for name, task in tasks.items():
            errors = []
            for case in self._cases:
                assert case.clean is not None
                clean = _luminance(case.clean, self._recipe.data.colours)
                errors.append(self._readers[name].read(task, case, clean, self._readable(clean))[1])
            figures[task_column(TASK_CLEAN, name)] = float(np.mean(errors))
        return figures

    def _coarse(self, slices: Array, clean: Array) -> float:
        """The coarse terms of Eq. 1 as training has them: of slices, or of the whole volume."""
        place = (None, None) if self._recipe.generator.dimensions == 3 else (slice(None), None)
        ours, theirs = (torch.from_numpy(images)[place] for images in (slices, clean))
        return float(coarse_loss(ours, theirs, self._recipe.loss.coarse).mean())

    def score(self, result: ValidationResult) -> float:
        """The figure by which the best model is picked; larger is better, NaN counts as worst."""
        metric = self._recipe.validation.metric
        value = result.metrics["val_psnr"] if metric == "psnr" else -result.metrics["val_objective"]
        return value if not math.isnan(value) else -math.inf

    def _readable(self, clean: Array) -> NDArray[np.bool_]:
        """Slices with enough signal, as in training: T has never seen an empty one."""
        signal = np.abs(clean).mean(axis=(1, 2))
        return np.asarray(signal >= self._recipe.data.min_signal * signal.mean())


class _TaskReader:
    """One property of the validation cases, and its y."""

    def __init__(self, task: Task, pairs: Pairs, colours: int) -> None:
        self._colours, self._level = colours, task.level
        self._kind, self._targets = loss_kind(task), Targets.for_table(task.target, pairs)

    def read(self, network: nn.Module, case: Case, slices: Array, readable: NDArray[np.bool_]) -> tuple[float, float]:
        """Mean loss (a term of Eq. 3) and mean error of the readable slices; Dice is of all of them as one volume."""
        kind = self._kind
        y = self._y(case, readable, network)
        answer = logits(network, np.ascontiguousarray(slices[readable]))
        if self._level == "volume":  # one answer, as in training
            answer, y = answer.mean(dim=0, keepdim=True), y[:1]
        prediction, loss = kind.prediction(answer), float(kind.loss(answer, y).mean())
        if kind.dense:
            return loss, case_error(kind, prediction.numpy(), y, len(y))
        return loss, float(kind.error(prediction, y).mean())

    def _y(self, case: Case, readable: NDArray[np.bool_], network: nn.Module) -> Tensor:
        """y of the slices that are seen."""
        if self._kind.dense:
            return torch.from_numpy(self._targets.mask(case.pair, case.source)[readable])
        own = torch.from_numpy(self._targets.value(case.pair))
        label = own.expand(int(readable.sum()), *own.shape)
        if not self._kind.label_from_clean:
            return label
        assert case.clean is not None
        return self._kind.y(
            label, logits(network, np.ascontiguousarray(_luminance(case.clean, self._colours)[readable]))
        )


def _luminance(slices: Array, colours: int) -> Array:
    """What T reads: slices (S, H, W), or the luminance (1, H, W) of the three colours of a photo."""
    return slices if colours == 1 else np.tensordot(LUMINANCE, slices, axes=1)[None]


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
