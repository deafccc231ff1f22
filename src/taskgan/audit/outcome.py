"""All that an audit found, before it is written down."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from taskgan.audit.coverage import ConformalResult, calibrate
from taskgan.audit.flips import (
    JudgeFitness,
    MaskOverlap,
    PairedTest,
    corrected_tests,
    flipped_cases,
    judge_fitness,
    mask_overlaps,
    named_outputs,
    paired_tests,
    without_unread,
)
from taskgan.audit.inputs import AuditInputs, AuditSettings
from taskgan.audit.judges import Judge
from taskgan.cohort.grids import input_is_comparable
from taskgan.judges.metrics import ReaderMetrics, judge_metrics
from taskgan.judges.properties import OBSERVER, Property
from taskgan.judges.readings import CLEAN, INPUT, Readings
from taskgan.metrics.regions import Agreement, agreement
from taskgan.stats import Interval


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    Attributes:
        inputs: What was audited.
        judges: The networks.
        readings: Every opinion that counts.
        fitness: Whether each judge is one, by name.
        metrics: By judge, then by image.
        outputs: Of judges of several classes or labels: by judge, class, image; labels that it cannot read too.
        contrasts: McNemar against the other methods.
        agreements: Values of each image against the clean one's, by what is read (a judge; of several masks judge and
            class), then by image.
        overlaps: Dice of a judge's masks with its own of the clean image, likewise.
        flipped: The list of cases (:func:`~taskgan.audit.flips.flipped_cases`).
        conformal: Calibration and its coverage.
        notes: What makes the audit less than one.
        slices: Middle slices that judges read.
    """

    inputs: AuditInputs
    judges: Sequence[Judge]
    readings: Readings
    fitness: dict[str, JudgeFitness]
    metrics: dict[str, dict[str, ReaderMetrics]]
    outputs: dict[str, dict[str, dict[str, ReaderMetrics]]]
    contrasts: list[PairedTest]
    agreements: dict[str, dict[str, Agreement]]
    overlaps: dict[str, dict[str, MaskOverlap]]
    flipped: pd.DataFrame = field(repr=False)
    conformal: ConformalResult
    notes: list[str]
    slices: int

    @property
    def method(self) -> str:
        """The audited method."""
        return self.inputs.audited.method

    @property
    def fit(self) -> list[str]:
        """Judges that are some."""
        return [name for name, result in self.fitness.items() if result.fit]

    @property
    def worst(self) -> str | None:
        """The fit judge with the highest rate of flips; None where none decides."""
        rates = {name: self.metrics[name][self.method].flips for name in self.fit if name in self.metrics}
        return max(rates, key=lambda name: (rates[name].estimate, rates[name].high), default=None)

    @property
    def worst_flips(self) -> Interval | None:
        """The rate that :attr:`worst` sees."""
        return None if self.worst is None else self.metrics[self.worst][self.method].flips

    @property
    def main_property(self) -> Property:
        """What the audit is about: what its networks read, else the observer."""
        names = [*(judge.name for judge in self.judges), OBSERVER]
        return next((self.readings.property_of(name) for name in names if name in self.readings.judges), Property())

    def judge_of(self, name: str) -> str:
        """The judge behind a name of :attr:`agreements`, which may end in the name of a class."""
        fits = [judge for judge in self.readings.judges if name == judge or name.startswith(f"{judge} ")]
        return max(fits, key=len)


def compute_result(
    inputs: AuditInputs,
    judges: Sequence[Judge],
    readings: Readings,
    statistics: pd.DataFrame,
    settings: AuditSettings,
    notes: list[str],
) -> AuditResult:
    """Count, compare and calibrate; ``statistics`` says what the degraded images are like."""
    method = inputs.audited.method
    # The acquisition that several contrasts are made of is none of them: a judge has nothing to read in it.
    images = [CLEAN, *(r.method for r in inputs.restorations)]
    images = [INPUT, *images] if input_is_comparable(inputs.pairs, inputs.recipe.data) else images
    fit = {judge: judge_fitness(readings, judge) for judge in readings.judges}
    several = [judge for judge in readings.deciding_judges if readings.property_of(judge).has_several_outputs]
    outputs = {
        j: {o: {i: judge_metrics(readings, j, i, o) for i in images} for o in readings.outputs(j)} for j in several
    }
    readings = without_unread(readings, fit)
    opinions = {j: {i: judge_metrics(readings, j, i) for i in images} for j in readings.deciding_judges}
    contrasts = [c for j in opinions for r in inputs.against for c in paired_tests(readings, j, method, r.method)]
    others = [i for i in images if i != CLEAN]
    able = [name for name, result in fit.items() if result.fit]
    return AuditResult(
        inputs=inputs,
        judges=judges,
        readings=readings,
        fitness=fit,
        metrics=opinions,
        outputs=outputs,
        contrasts=corrected_tests(contrasts),
        agreements=_agreements(readings, others),
        overlaps=mask_overlaps(readings, others),
        flipped=flipped_cases(readings, method),
        conformal=calibrate(readings, statistics, inputs, judges, settings, able),
        notes=notes,
        slices=settings.slices,
    )


def _agreements(readings: Readings, images: Sequence[str]) -> dict[str, dict[str, Agreement]]:
    agreements: dict[str, dict[str, Agreement]] = {}
    for called, judge, name in named_outputs(readings, readings.value_judges):
        clean = readings.select(judge, CLEAN, output=name)["prediction"]
        rows = {image: readings.select(judge, image, output=name) for image in images}
        agreements[called] = {
            image: agreement(one["prediction"], clean.reindex(one.index), list(one["subject"]))
            for image, one in rows.items()
        }
    return agreements
