"""The choice among settings, by a rule that is stated beforehand, and what it is worth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pairs
from taskgan.cohort.restorations import find_restorations
from taskgan.cohort.verification import VerificationPair
from taskgan.core.errors import UserError
from taskgan.core.files import write_rows
from taskgan.core.tables import read_table
from taskgan.judges.properties import EvaluationSettings
from taskgan.judges.readers import Reader
from taskgan.recipe import Recipe
from taskgan.stats import Interval, mean_interval

FILE = "people.csv"
MISTAKEN = "judge_mistaken"


def write_mistaken_shares(restored: Path, rows: Pairs, base: Recipe, judge: Reader, out: Path) -> None:
    """Compare restored images of validation people, where the property is an identity; else do nothing.

    The evaluation folder gets ``people.csv``: subject, :func:`mistaken_shares` by the judge's descriptors. Nothing is
    written where no validation person has two images, or there is one of them.
    """
    (out / FILE).unlink(missing_ok=True)  # of an evaluation that this one replaces
    if base.task.kind != "embedding":
        return
    from taskgan.judges.descriptors import DescriptorCache, verifiers
    from taskgan.judges.verification import validation_pairs

    pairs = validation_pairs(rows)
    restorations = find_restorations(restored, rows, base.objective)
    pairs = tuple(p for p in pairs if {p.first.case, p.second.case} <= restorations.images.keys())
    if len({pair.same for pair in pairs}) < 2:
        return
    cases = list({case.case: case for pair in pairs for case in (pair.first, pair.second)}.values())
    reader = verifiers({"judge": judge}, {}, slices=EvaluationSettings().slices)
    descriptors = DescriptorCache(reader, base.data, EvaluationSettings().slices, out).restored_descriptors(
        cases, restorations.images, restorations.method
    )
    if "judge" not in descriptors:  # photos of two sizes
        return
    first, second = (
        descriptors["judge"].select([getattr(pair, side).case for pair in pairs]) for side in ("first", "second")
    )
    shares = mistaken_shares(np.asarray(reader["judge"].distance(first, second), dtype=np.float64), pairs)
    table = ({"subject": subject, MISTAKEN: f"{share:.6f}"} for subject, share in shares.items())
    write_rows(out / FILE, ("subject", MISTAKEN), table)


def mistaken_shares(distances: NDArray[np.float64], pairs: Sequence[VerificationPair]) -> dict[str, float]:
    """Of each person with two images: in what share of comparisons two other people's images are nearer.

    The mean over pairs of one person is 1 − AUC of the verification. Distances (N,) are of the pairs' images.
    """
    same = np.array([pair.same for pair in pairs])
    others = np.sort(distances[~same])
    below, up_to = (np.searchsorted(others, distances, side=side) for side in ("left", "right"))
    share = (below + up_to) / 2 / len(others)  # a tie is half a mistake
    by_subject: dict[str, list[float]] = {}
    for pair, own in zip(pairs, share, strict=True):
        if pair.same:
            by_subject.setdefault(pair.first.subject, []).append(float(own))
    return {subject: float(np.mean(shares)) for subject, shares in by_subject.items()}


def read_mistaken_shares(evaluation: Path) -> dict[str, float]:
    """What :func:`write_mistaken_shares` wrote, by subject; empty where it did not.

    Raises:
        UserError: If the file is damaged.
    """
    path = evaluation / FILE
    if not path.is_file():
        return {}
    rows = [row for _, row in read_table(path, ("subject", MISTAKEN), numbers=(MISTAKEN,))]
    try:
        return {row["subject"]: float(row[MISTAKEN]) for row in rows}
    except ValueError as error:
        raise UserError(f"{path} holds no {MISTAKEN} by subject: {error}") from None


Rule = Literal["balanced", "psnr", "judge", "suvr"]
RULES: tuple[Rule, ...] = ("balanced", "psnr", "judge", "suvr")
_OF_PEOPLE = "smallest share of comparisons in which the judge finds two people nearer than one person's images"
_METRIC: Mapping[str, tuple[str, int]] = {
    "balanced": ("judge_mae", -1),
    "psnr": ("psnr", 1),
    "judge": ("judge_mae", -1),
    "suvr": ("suvr_error", -1),
}
_RESAMPLES = 2000


@dataclass(frozen=True)
class Candidate:
    """One setting.

    Attributes:
        label: What it is called; unique.
        subject_values: By measure one value a subject (seeds and cases averaged), indexed by subject.
        complete: Whether every one of its runs came to an end; a setting that failed with any seed is no choice.
        reference: Compared with, not chosen.
    """

    label: str
    subject_values: Mapping[str, "pd.Series[float]"] = field(repr=False)
    complete: bool = True
    reference: bool = False


@dataclass(frozen=True)
class SettingChoice:
    """What a rule chose, all by label.

    Attributes:
        rule: The rule in words.
        metric: The measure that decides.
        chosen: The setting.
        eligible: The settings among which the metric decided.
        differences: Setting − chosen of the metric, paired by subject.
        psnr_differences: The same of the PSNR.
        ties: Settings whose interval of the difference holds 0, or has no ends (too few subjects to tell).
        selection_rates: How often the rule would choose each setting if the subjects were drawn anew.
    """

    rule: str
    metric: str
    chosen: str
    eligible: frozenset[str]
    differences: Mapping[str, Interval]
    psnr_differences: Mapping[str, Interval]
    ties: frozenset[str]
    selection_rates: Mapping[str, float]


def parse_rule(name: str) -> Rule:
    """A rule by its name; UserError if there is none of that name."""
    for rule in RULES:
        if rule == name:
            return rule
    raise UserError(f"--choose {name}: expected one of {', '.join(RULES)}")


def rule_text(rule: Rule, within: float, metric: str = "") -> str:
    """A rule as a sentence, for records."""
    error = _OF_PEOPLE if metric == MISTAKEN else "smallest error of the judge"
    return {
        "balanced": f"{error} among settings whose PSNR is within {within:g} dB of the best",
        "psnr": "largest PSNR",
        "judge": error,
        "suvr": "smallest absolute error of the SUVR",
    }[rule] + ", validation subjects"


def choose_setting(candidates: Sequence[Candidate], rule: Rule = "balanced", within: float = 0.3) -> SettingChoice:
    """Apply a rule (see :func:`rule_text`) to the settings, a reference among them if there is one.

    For ``balanced`` a setting may be ``within`` dB below the best PSNR.

    Raises:
        UserError: If no setting can be chosen, or the measure is unknown for one that could be.
    """
    metric, _ = _METRIC[rule]
    able = [one for one in candidates if one.complete and not one.reference]
    if not able:
        raise UserError("no setting of the sweep has come to an end with all its seeds, so none can be chosen")
    if metric == "judge_mae" and all(_has_metric(one, MISTAKEN) for one in able):
        metric = MISTAKEN  # an identity is kept where nobody is taken for somebody else
    unknown = [one.label for one in able if not _has_metric(one, metric)]
    if unknown:
        raise UserError(f"{metric} is unknown for {unknown[0]}, so the rule {rule!r} cannot choose; say --choose psnr")
    columns = [one.subject_values[name] for one in able for name in ("psnr", metric)]
    subjects = [str(subject) for subject in pd.concat(columns, axis=1, join="inner").dropna().index]
    if not subjects:
        raise UserError("the settings of the sweep share no validation subject with all figures")
    quality, deciding = (
        np.array([one.subject_values[name].loc[subjects].to_numpy() for one in able], dtype=np.float64)
        for name in ("psnr", metric)
    )
    every = np.full((1, len(subjects)), 1 / len(subjects))
    winner = int(_winners(quality, deciding, every, rule, within)[0])
    eligible = _eligible(quality.mean(axis=1)[:, None], rule, within)[:, 0]
    chosen = able[winner]
    gaps = {one.label: _difference(one, chosen, metric) for one in candidates}
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(subjects), every[0], _RESAMPLES) / len(subjects)
    counts = np.bincount(_winners(quality, deciding, weights, rule, within), minlength=len(able))
    return SettingChoice(
        rule=rule_text(rule, within, metric),
        metric=metric,
        chosen=chosen.label,
        eligible=frozenset(one.label for one, fits in zip(able, eligible, strict=True) if fits),
        differences=gaps,
        psnr_differences={one.label: _difference(one, chosen, "psnr") for one in candidates},
        ties=frozenset(
            name
            for name, gap in gaps.items()
            if name != chosen.label and not gap.excludes(0.0) and not math.isnan(gap.estimate)
        ),
        selection_rates={one.label: float(n) / _RESAMPLES for one, n in zip(able, counts, strict=True)},
    )


def _has_metric(one: Candidate, metric: str) -> bool:
    return bool(len(one.subject_values.get(metric, pd.Series(dtype=float)).dropna()))


def _eligible(quality: NDArray[np.float64], rule: Rule, within: float) -> NDArray[np.bool_]:
    """(settings, draws) mean PSNR to which of them may be chosen. A hair is allowed for rounding."""
    if rule != "balanced":
        return np.ones(quality.shape, dtype=bool)
    return np.asarray(quality >= quality.max(axis=0) - within - 1e-9)


def _winners(
    quality: NDArray[np.float64], deciding: NDArray[np.float64], weights: NDArray[np.float64], rule: Rule, within: float
) -> NDArray[np.intp]:
    """Which setting wins with each draw of subjects; the first of equals.

    PSNR and the metric are (settings, subjects), weights (draws, subjects) with rows that sum to 1.
    """
    _, better = _METRIC[rule]
    values = better * (deciding @ weights.T)
    fits = _eligible(quality @ weights.T, rule, within)
    return np.asarray(np.where(fits, values, -np.inf).argmax(axis=0))


def _difference(one: Candidate, chosen: Candidate, metric: str) -> Interval:
    """One − chosen by subject, with its interval."""
    empty: pd.Series[float] = pd.Series(dtype=float)
    gap = (one.subject_values.get(metric, empty) - chosen.subject_values.get(metric, empty)).dropna()
    return mean_interval(gap.to_numpy(), list(gap.index))
