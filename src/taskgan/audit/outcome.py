"""All that an audit found, before it is written down."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

import pandas as pd

from taskgan.audit.coverage import Conformal, calibrate
from taskgan.audit.flips import (
    Contrast,
    Fitness,
    Opinion,
    contrasts,
    family,
    fitness,
    flipped_cases,
    opinion,
    value_fitness,
)
from taskgan.audit.inputs import Inputs
from taskgan.audit.judges import Judge
from taskgan.audit.readings import CLEAN, INPUT, Readings
from taskgan.audit.settings import AuditSettings
from taskgan.evaluate.suvr import Agreement, agreement


@dataclass(frozen=True)
class Outcome:
    """What an audit found.

    Attributes:
        inputs: What was audited.
        judges: The networks.
        readings: Every opinion.
        fitness: Whether each judge is one, by name.
        opinions: By judge, then by image.
        contrasts: McNemar against the other methods.
        agreements: Values of each image against the clean one's, by judge (the observer, regressions), then by image.
        flipped: The list of cases (:func:`~taskgan.audit.flips.flipped_cases`).
        conformal: Calibration and its coverage.
        notes: What makes the audit less than one.
    """

    inputs: Inputs
    judges: Sequence[Judge]
    readings: Readings
    fitness: dict[str, Fitness]
    opinions: dict[str, dict[str, Opinion]]
    contrasts: list[Contrast]
    agreements: dict[str, dict[str, Agreement]]
    flipped: pd.DataFrame = field(repr=False)
    conformal: Conformal
    notes: list[str]

    @property
    def method(self) -> str:
        """The audited method."""
        return self.inputs.audited.method

    @property
    def fit(self) -> list[str]:
        """Judges that are some."""
        return [name for name, found in self.fitness.items() if found.fit]

    @property
    def worst(self) -> Opinion | None:
        """The opinion with the highest rate of flips among the fit judges."""
        found = [self.opinions[name][self.method] for name in self.fit if name in self.opinions]
        return max(found, key=lambda o: (o.flips.estimate, o.flips.high), default=None)


def find_out(
    inputs: Inputs, judges: Sequence[Judge], readings: Readings, settings: AuditSettings, notes: list[str]
) -> Outcome:
    """Count, compare and calibrate."""
    method = inputs.audited.method
    images = [INPUT, CLEAN, *(r.method for r in inputs.all)]
    opinions = {j: {i: opinion(readings, j, i) for i in images} for j in readings.deciders}
    fit = {
        j: fitness(opinions[j][CLEAN]) if j in opinions else value_fitness(readings, j)
        for j in readings.judges
    }
    agreements = {j: {i: _agree(readings, j, i) for i in images if i != CLEAN} for j in readings.values}
    able = [name for name, found in fit.items() if found.fit]
    return Outcome(
        inputs=inputs,
        judges=judges,
        readings=readings,
        fitness=fit,
        opinions=opinions,
        contrasts=family(
            [c for j in opinions for r in inputs.against for c in contrasts(readings, j, method, r.method)]
        ),
        agreements=agreements,
        flipped=flipped_cases(readings, method),
        conformal=calibrate(readings, inputs, settings, able),
        notes=notes,
    )


def _agree(readings: Readings, judge: str, image: str) -> Agreement:
    rows, clean = readings.of(judge, image), readings.of(judge, CLEAN)
    return agreement(rows["score"], clean["score"].reindex(rows.index), list(rows["subject"]))


def plain(value: Any) -> Any:
    """Dataclasses, numbers and containers as YAML takes them; NaN and infinity become None."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
