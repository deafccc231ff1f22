"""Verification in figures: AUC, equal error rate and accuracy of every method, and how they differ."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from taskgan.core.errors import UserError
from taskgan.judges.verification import (
    MIN_READER_AUC,
    Verification,
    bootstrap_by_person,
    verification_difference,
    verify,
)
from taskgan.metrics.roc import accuracy, roc_curve
from taskgan.page.cells import display_name, interval_text, join_methods, join_phrases, number, report_texts
from taskgan.report.load import Comparison
from taskgan.report.metrics import ALPHA, VERIFICATION, Metric
from taskgan.report.paired import UNKNOWN, MetricComparison, family
from taskgan.report.verified import BOTH, PROBE, PROTOCOLS, Floats, VerificationData, read_verification_data
from taskgan.stats import LEVEL, Difference, Interval
from taskgan.stats.bootstrap import FEWEST_SEEDS

TASK = "task"
_TITLES = {
    TASK: "T (task network)",
    "judge": "Judge (independent network)",
    "suvr": "SUVR against its cut",
    "lbp": "Local binary patterns (told no identity)",
    "eigenfaces": "Eigenfaces (told no identity)",
}
_PHRASES = {TASK: "T", "judge": "the judge", "lbp": "local binary patterns", "eigenfaces": "eigenfaces"}


def reader_title(reader: str) -> str:
    """A reader as a table has it."""
    plain = reader.replace("_", " ")
    return _TITLES.get(reader, plain[:1].upper() + plain[1:])


def reader_phrase(reader: str) -> str:
    """A reader in a sentence."""
    return _PHRASES.get(reader, reader.replace("_", " "))


@dataclass(frozen=True)
class MethodVerification:
    """How well the images of one method verify by one reader.

    Attributes:
        verification: Figures over the seeds, accuracy at the threshold of ``train`` pairs.
        accuracy: At the thresholds, by the set that they were chosen on.
        auc_by_seed: AUC of each seed.
    """

    verification: Verification
    accuracy: Mapping[str, Interval]
    auc_by_seed: tuple[float, ...]


@dataclass(frozen=True)
class ReaderDifference:
    """One method against a baseline by one reader.

    Attributes:
        auc: The AUC with an interval by person, p corrected over the methods.
        delong: The AUC with DeLong's of independent pairs.
        equal_error_rate: Bootstrap by person.
    """

    auc: MetricComparison
    delong: Difference
    equal_error_rate: Interval


@dataclass(frozen=True)
class VerificationStudy:
    """All figures of a verification.

    Attributes:
        data: The distances.
        levels: By reader, method and protocol.
        differences: By reader, protocol and baseline, of each method.
    """

    data: VerificationData
    levels: Mapping[tuple[str, str, str], MethodVerification] = field(repr=False)
    differences: Mapping[tuple[str, str, str], Mapping[str, ReaderDifference]] = field(repr=False)

    @property
    def judges(self) -> tuple[str, ...]:
        """Readers that taught nobody."""
        return tuple(reader for reader in self.data.readers if reader != TASK)

    @property
    def valid_judges(self) -> tuple[str, ...]:
        """Judges that can tell people apart on clean images."""
        return tuple(reader for reader in self.judges if self.identifies(reader))

    def identifies(self, reader: str) -> bool:
        """Whether a reader can tell people apart on clean images."""
        return self.clean_auc(reader).estimate >= MIN_READER_AUC

    def clean_auc(self, reader: str) -> Interval:
        """A reader's AUC on clean images, by person."""
        return self.levels[reader, "clean", BOTH].verification.auc_by_person

    def difference(self, reader: str, method: str, baseline: str, protocol: str = BOTH) -> ReaderDifference | None:
        """A method against a baseline; None where it is not known."""
        return self.differences.get((reader, protocol, baseline), {}).get(method)

    def judge_differences(self, method: str, baseline: str) -> list[MetricComparison]:
        """What judges that can tell people apart say of a method."""
        differences = (self.difference(reader, method, baseline) for reader in self.valid_judges)
        return [one.auc for one in differences if one is not None]


def verification_study(comparison: Comparison) -> VerificationStudy | None:
    """Everything that tables, figures and sentences on verification show; None where nothing was verified.

    Raises:
        UserError: If the evaluations' distances are damaged or contradict each other, or a margin is stated and
            there are none.
    """
    verified = read_verification_data(comparison)
    if verified is None:
        if VERIFICATION in comparison.inference.margins:
            raise UserError(f"--margin {VERIFICATION}: the evaluations hold no verified pairs")
        return None
    levels = {
        key: _level(verified, key[0], values)
        for key, values in verified.distances.items()
        if key[1:] != ("clean", PROBE)
    }
    # A clean image is compared with clean ones by both protocols.
    levels |= {(reader, "clean", PROBE): levels[reader, "clean", BOTH] for reader in verified.readers}
    changes = {}
    for baseline in dict.fromkeys((comparison.baseline, *comparison.references)):
        for reader in verified.readers:
            for protocol in PROTOCOLS:
                changes[reader, protocol, baseline] = _changes(comparison, verified, reader, protocol, baseline)
    return VerificationStudy(verified, levels, changes)


def _level(verified: VerificationData, reader: str, distances: Floats) -> MethodVerification:
    pairs, cuts = verified.pairs, verified.thresholds[reader]
    verification = verify(distances, pairs, cuts.get("train", float("nan")))
    right = {"train": verification.accuracy} if "train" in cuts else {}
    if "val" in cuts:
        right["val"] = bootstrap_by_person(lambda counts: _right(distances, verified, cuts["val"], counts), pairs)
    return MethodVerification(verification, right, _areas(distances, verified))


def _right(distances: Floats, verified: VerificationData, cut: float, counts: Floats | None) -> Floats:
    """Accuracy, mean over the seeds."""
    return np.asarray(np.mean([accuracy(one, verified.pairs.same, cut, counts) for one in distances], axis=0))


def _areas(distances: Floats, verified: VerificationData) -> tuple[float, ...]:
    return tuple(float(roc_curve(one, verified.pairs.same).auc) for one in distances)


def auc_metric(reader: str) -> Metric:
    """A reader's AUC as a measure that methods are compared in."""
    return Metric(
        f"verification_{reader}",
        f"{reader_title(reader).split(' (')[0]}: verification AUC",
        3,
        1,
        f"verification by {reader_phrase(reader)}",
        scores="verification",
    )


def _changes(
    comparison: Comparison, verified: VerificationData, reader: str, protocol: str, baseline: str
) -> dict[str, ReaderDifference]:
    """Every method against a baseline: the family over which p is corrected."""
    theirs = verified.distances.get((reader, baseline, protocol))
    methods = [
        m
        for m in verified.methods
        if m not in ("clean", "input", baseline) and (reader, m, protocol) in verified.distances
    ]
    if theirs is None:
        return {}
    differences = {
        m: verification_difference(verified.distances[reader, m, protocol], theirs, verified.pairs) for m in methods
    }
    by_person = {method: one.auc_by_person for method, one in differences.items()}
    crossed = {
        method: _with_other_seeds(verified, reader, protocol, method, baseline, one)
        for method, one in by_person.items()
    }
    compared = family(comparison.inference, auc_metric(reader), VERIFICATION, baseline, by_person, crossed)
    return {m: ReaderDifference(compared[m], one.auc, one.equal_error_rate) for m, one in differences.items()}


def _with_other_seeds(
    data: VerificationData, reader: str, protocol: str, method: str, baseline: str, difference: Difference
) -> tuple[int, Interval, Interval]:
    """Seeds that both have, and the difference with two intervals for other people and another training run: that of
    95 %, and the narrower one that goes with a margin of equivalence.

    The variance is the sum of that over people and of the seeds' differences over their number, with Satterthwaite's
    degrees of freedom (1946, 10.2307/3002019). What a seed does to single pairs is in both: rather too wide.
    """
    ours = dict(zip(data.seeds[method], data.distances[reader, method, protocol], strict=True))
    other = data.distances[reader, baseline, protocol]
    if baseline in data.seeds:
        by_seed = dict(zip(data.seeds[baseline], other, strict=True))
        shared = [(one, by_seed[seed]) for seed, one in ours.items() if seed in by_seed]
    else:
        shared = [(one, other[0]) for one in ours.values()]
    gaps = np.array([_areas(np.stack(both), data) for both in shared]).reshape(-1, 2) @ np.array([1.0, -1.0])
    count = len(gaps)
    if count < FEWEST_SEEDS or np.isnan(difference.error):
        return count, UNKNOWN, UNKNOWN
    of_people, of_seeds = difference.error**2, float(gaps.var(ddof=1)) / count
    total = of_people + of_seeds
    freedom = total**2 / (of_people**2 / max(data.pairs.count - 1, 1) + of_seeds**2 / (count - 1))
    mean = float(gaps.mean())
    wide, narrow = (float(stats.t.ppf(one, freedom) * np.sqrt(total)) for one in ((1 + LEVEL) / 2, 1 - ALPHA))
    return count, Interval(mean, mean - wide, mean + wide), Interval(mean, mean - narrow, mean + narrow)


def study_findings(comparison: Comparison, study: VerificationStudy | None) -> Iterable[str]:
    """Sentences on who can judge, on the levels, and on what restoring is good for."""
    if study is None:
        return
    pairs = study.data.pairs
    judges = [f"{reader_phrase(reader)} {interval_text(study.clean_auc(reader), 3)}" for reader in study.judges]
    counted = f"{len(pairs)} pairs of clean photos of {pairs.count} people"
    areas = join_phrases(judges) if judges else "there is no judge"
    yield f"Can the judges tell people apart? AUC on {counted}: {areas}."
    for reader in study.valid_judges:
        yield _levels(study, reader)
        if "input" in comparison.references and comparison.baseline != "input":
            yield from _differences(comparison, study, reader, "input", BOTH)
        yield from _differences(comparison, study, reader, comparison.baseline, PROBE)


def _levels(study: VerificationStudy, reader: str) -> str:
    areas = [
        f"{display_name(method)} {interval_text(level.verification.auc_by_person, 3)}"
        for method in study.data.methods
        if (level := study.levels.get((reader, method, BOTH))) is not None
    ]
    return f"Verification by {reader_phrase(reader)}, AUC: {join_methods(areas)}."


def _differences(
    comparison: Comparison, study: VerificationStudy, reader: str, baseline: str, protocol: str
) -> Iterable[str]:
    changes = {
        method: change.auc
        for method in comparison.methods
        if (change := study.difference(reader, method, baseline, protocol)) is not None
    }
    if not changes:
        return
    parts = []
    for method, one in changes.items():
        mark = "no difference shown" if one.verdict == "none" else one.verdict
        parts.append(f"{display_name(method)} {interval_text(one.interval, 3, sign=True)} ({mark})")
    how = " where only the first photo of a pair is restored, the other clean" if protocol == PROBE else ""
    yield f"Change of the AUC of {reader_phrase(reader)} from {display_name(baseline)}{how}: {join_methods(parts)}."


def warning(name: str, **values: object) -> str:
    """A sentence on what weakens the findings, from ``templates/texts.yaml``."""
    return str(report_texts("warnings")[name].format(**values))


def study_warnings(comparison: Comparison, study: VerificationStudy | None) -> Iterable[str]:
    """What weakens it, and where restoring does harm."""
    if study is None:
        return
    yield from study.data.notes
    yield from _judges(comparison, study)
    for reader in study.valid_judges:
        worse = [
            f"{display_name(method)} ({interval_text(change.auc.interval, 3, sign=True)})"
            for method in comparison.methods
            if (change := study.difference(reader, method, "input")) is not None and change.auc.verdict == "worse"
        ]
        if worse:
            yield warning("worse than input", reader=reader_phrase(reader), methods=join_methods(worse))
    methods = [display_name(m) for m in comparison.methods if m.startswith("task_gan")]
    if TASK in study.data.readers and methods:
        yield warning("taught verification", methods=join_methods(methods))
    yield from _seeds(study)


def _judges(comparison: Comparison, study: VerificationStudy) -> Iterable[str]:
    """Judges that cannot tell people apart, unless an evaluation said so already."""
    for reader in study.judges:
        area = study.clean_auc(reader)
        noted = any(note.lower().startswith(f"{reader} can hardly tell") for note in comparison.notes)
        if not study.identifies(reader) and not noted:
            name, auc = reader_phrase(reader).capitalize(), interval_text(area, 3)
            yield warning("no judge", reader=name, area=auc, least=MIN_READER_AUC)
    if not study.valid_judges:
        yield warning("no judges")
    elif len(study.valid_judges) == 1:
        yield warning("one judge", reader=reader_phrase(study.valid_judges[0]))


def _seeds(study: VerificationStudy) -> Iterable[str]:
    spread = {}
    for reader in study.valid_judges:
        ranges = [
            max(level.auc_by_seed) - min(level.auc_by_seed)
            for (who, _, protocol), level in study.levels.items()
            if who == reader and protocol == BOTH and len(level.auc_by_seed) > 1
        ]
        if ranges and not math.isnan(max(ranges)):
            spread[reader] = max(ranges)
    if spread:
        gaps = join_phrases(f"{reader_phrase(reader)} by up to {number(gap, 3)}" for reader, gap in spread.items())
        yield warning("between seeds of verification", gaps=gaps)
