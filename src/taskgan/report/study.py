"""Verification in figures: AUC, equal error rate and accuracy of every method, and how they differ."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from taskgan.core.errors import UserError
from taskgan.evaluate.statistics import LEVEL, Difference, Interval, corrected, equivalence
from taskgan.evaluate.statistics.crossed import FEWEST_SEEDS
from taskgan.evaluate.verification import (
    Verification,
    accuracy,
    bootstrap_by_person,
    curve,
    verification_difference,
    verify,
)
from taskgan.evaluate.verification.figures import TELLS
from taskgan.report.inference import ALPHA, VERIFICATION
from taskgan.report.load import Comparison
from taskgan.report.metrics import Metric
from taskgan.report.paired import UNKNOWN, Compared
from taskgan.report.verified import BOTH, PROBE, PROTOCOLS, Floats, Verified, read_verified

TASK = "task"
_TITLES = {
    TASK: "T (task network)",
    "judge": "Judge (independent network)",
    "lbp": "Local binary patterns (told no identity)",
    "eigenfaces": "Eigenfaces (told no identity)",
}
_WORDS = {TASK: "T", "judge": "the judge", "lbp": "local binary patterns", "eigenfaces": "eigenfaces"}


def title(reader: str) -> str:
    """A reader as a table has it."""
    plain = reader.replace("_", " ")
    return _TITLES.get(reader, plain[:1].upper() + plain[1:])


def words(reader: str) -> str:
    """A reader in a sentence."""
    return _WORDS.get(reader, reader.replace("_", " "))


@dataclass(frozen=True)
class Level:
    """How well the images of one method verify by one reader.

    Attributes:
        found: Figures over the seeds, accuracy at the threshold of ``train`` pairs.
        accuracy: At the thresholds, by the set that they were chosen on.
        by_seed: AUC of each seed.
    """

    found: Verification
    accuracy: Mapping[str, Interval]
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class Change:
    """One method against a baseline by one reader.

    Attributes:
        compared: The AUC with an interval by person, p corrected over the methods.
        delong: The AUC with DeLong's of independent pairs.
        equal_error_rate: Bootstrap by person.
    """

    compared: Compared
    delong: Difference
    equal_error_rate: Interval


@dataclass(frozen=True)
class Study:
    """All figures of a verification.

    Attributes:
        verified: The distances.
        levels: By reader, method and protocol.
        changes: By reader, protocol and baseline, of each method.
    """

    verified: Verified
    levels: Mapping[tuple[str, str, str], Level] = field(repr=False)
    changes: Mapping[tuple[str, str, str], Mapping[str, Change]] = field(repr=False)

    @property
    def judges(self) -> tuple[str, ...]:
        """Readers that taught nobody."""
        return tuple(reader for reader in self.verified.readers if reader != TASK)

    @property
    def able(self) -> tuple[str, ...]:
        """Judges that can tell people apart on clean images."""
        return tuple(reader for reader in self.judges if self.tells(reader))

    def tells(self, reader: str) -> bool:
        """Whether a reader can tell people apart on clean images."""
        return self.clean(reader).estimate >= TELLS

    def clean(self, reader: str) -> Interval:
        """A reader's AUC on clean images, by person."""
        return self.levels[reader, "clean", BOTH].found.auc_by_person

    def change(self, reader: str, method: str, baseline: str, protocol: str = BOTH) -> Change | None:
        """A method against a baseline; None where it is not known."""
        return self.changes.get((reader, protocol, baseline), {}).get(method)

    def by_judges(self, method: str, baseline: str) -> list[Compared]:
        """What judges that can tell people apart say of a method."""
        found = (self.change(reader, method, baseline) for reader in self.able)
        return [one.compared for one in found if one is not None]


def study(comparison: Comparison) -> Study | None:
    """Everything that tables, figures and sentences on verification show; None where nothing was verified.

    Raises:
        UserError: If the evaluations' distances are damaged or contradict each other, or a margin is stated and
            there are none.
    """
    verified = read_verified(comparison)
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
                changes[reader, protocol, baseline] = _changes(
                    comparison, verified, reader, protocol, baseline
                )
    return Study(verified, levels, changes)


def _level(verified: Verified, reader: str, distances: Floats) -> Level:
    pairs, cuts = verified.pairs, verified.cuts[reader]
    found = verify(distances, pairs, cuts.get("train", float("nan")))
    right = {"train": found.accuracy} if "train" in cuts else {}
    if "val" in cuts:
        right["val"] = bootstrap_by_person(
            lambda counts: _right(distances, verified, cuts["val"], counts), pairs
        )
    return Level(found, right, _areas(distances, verified))


def _right(distances: Floats, verified: Verified, cut: float, counts: Floats | None) -> Floats:
    """Accuracy, mean over the seeds."""
    return np.asarray(np.mean([accuracy(one, verified.pairs.same, cut, counts) for one in distances], axis=0))


def _areas(distances: Floats, verified: Verified) -> tuple[float, ...]:
    return tuple(float(curve(one, verified.pairs.same).auc) for one in distances)


def metric_of(reader: str) -> Metric:
    """A reader's AUC as a measure that methods are compared in."""
    return Metric(
        f"verification_{reader}",
        f"{title(reader).split(' (')[0]}: verification AUC",
        3,
        1,
        f"verification by {words(reader)}",
        scores="verification",
    )


def _changes(
    comparison: Comparison, verified: Verified, reader: str, protocol: str, baseline: str
) -> dict[str, Change]:
    """Every method against a baseline: the family over which p is corrected."""
    theirs = verified.distances.get((reader, baseline, protocol))
    methods = [
        m
        for m in verified.methods
        if m not in ("clean", "input", baseline) and (reader, m, protocol) in verified.distances
    ]
    if theirs is None:
        return {}
    found = {
        m: verification_difference(verified.distances[reader, m, protocol], theirs, verified.pairs)
        for m in methods
    }
    how, margin = comparison.inference.correction, comparison.inference.margins.get(VERIFICATION)
    tests = [equivalence(one.auc_by_person, margin) for one in found.values()] if margin is not None else []
    unknown = [float("nan")] * len(found)
    ps = corrected([one.auc_by_person.p for one in found.values()], how)
    equivalent = corrected([test.p for test in tests], how) or unknown
    noninferior = corrected([test.p_noninferior(+1) for test in tests], how) or unknown
    changes = {}
    for k, (method, one) in enumerate(found.items()):
        count, crossed, narrower = _with_other_seeds(
            verified, reader, protocol, method, baseline, one.auc_by_person
        )
        compared = Compared(
            metric_of(reader),
            method,
            baseline,
            difference=one.auc_by_person,
            p=ps[k],
            seeds=count,
            crossed=crossed,
            equivalence=tests[k] if tests else None,
            p_equivalent=equivalent[k],
            p_noninferior=noninferior[k],
            crossed_equivalence=narrower,
        )
        changes[method] = Change(compared, one.auc, one.equal_error_rate)
    return changes


def _with_other_seeds(
    verified: Verified, reader: str, protocol: str, method: str, baseline: str, found: Difference
) -> tuple[int, Interval, Interval]:
    """Seeds that both have, and the difference with two intervals for other people and another training run: that of
    95 %, and the narrower one that goes with a margin of equivalence.

    The variance is the sum of that over people and of the seeds' differences over their number, with Satterthwaite's
    degrees of freedom (1946, 10.2307/3002019). What a seed does to single pairs is in both: rather too wide.
    """
    ours = dict(zip(verified.seeds[method], verified.distances[reader, method, protocol], strict=True))
    other = verified.distances[reader, baseline, protocol]
    if baseline in verified.seeds:
        by_seed = dict(zip(verified.seeds[baseline], other, strict=True))
        shared = [(one, by_seed[seed]) for seed, one in ours.items() if seed in by_seed]
    else:
        shared = [(one, other[0]) for one in ours.values()]
    gaps = np.array([_areas(np.stack(both), verified) for both in shared]).reshape(-1, 2) @ np.array(
        [1.0, -1.0]
    )
    count = len(gaps)
    if count < FEWEST_SEEDS or np.isnan(found.error):
        return count, UNKNOWN, UNKNOWN
    of_people, of_seeds = found.error**2, float(gaps.var(ddof=1)) / count
    total = of_people + of_seeds
    freedom = total**2 / (of_people**2 / max(verified.pairs.count - 1, 1) + of_seeds**2 / (count - 1))
    mean = float(gaps.mean())
    wide, narrow = (float(stats.t.ppf(one, freedom) * np.sqrt(total)) for one in ((1 + LEVEL) / 2, 1 - ALPHA))
    return count, Interval(mean, mean - wide, mean + wide), Interval(mean, mean - narrow, mean + narrow)
