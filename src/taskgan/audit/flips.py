"""Who flips, and whether a judge is one: who cannot read the clean image cannot say that a restoration changed it.

Two methods are compared on the same subjects by McNemar's test of flips and of errors, one event a subject.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from taskgan.judges.metrics import ReaderMetrics, flip_indicator, judge_metrics
from taskgan.judges.properties import Property
from taskgan.judges.readings import CLEAN, Readings
from taskgan.page.cells import number
from taskgan.stats import Interval, adjusted_p_values, mcnemar, mean_interval

UNIT = "The unit is the subject: one with several cases counts once, as flipped or wrongly read if any of them is."
MIN_AUC = 0.8
MIN_CORRELATION = 0.8
MIN_DICE = 0.7


@dataclass(frozen=True)
class JudgeFitness:
    """Whether a judge is one: it must be able to read the clean images.

    Attributes:
        judge: Its name.
        fit: Whether its opinion counts.
        reason: In words.
        unread: Of several labels, those that it cannot read, on which its opinion does not count.
    """

    judge: str
    fit: bool
    reason: str
    unread: tuple[str, ...] = ()


def judge_fitness(readings: Readings, judge: str) -> JudgeFitness:
    """Hold a judge's reading of the audited subjects' clean images against what they show.

    Decisions want an AUC of .8 and a balanced accuracy whose interval lies above chance; values a correlation of .8
    with the label; masks a Dice of .7. Of several labels each is asked by itself.
    """
    kind = readings.property_of(judge).kind
    if kind == "regression":
        return _value_fitness(readings, judge)
    if kind == "segmentation":
        return _masks_fitness(readings, judge)
    if kind == "multi_label":
        return _labels_fitness(readings, judge)
    metrics = judge_metrics(readings, judge, CLEAN)
    if kind != "multi_class":
        return decision_fitness(judge, metrics)
    rows = readings.select(judge, CLEAN)
    classes = rows[rows["truth"] > 0.5].index.get_level_values("output").nunique()
    return decision_fitness(judge, metrics, chance=1 / classes if classes else math.nan, several="classes")


def decision_fitness(name: str, clean: ReaderMetrics, *, chance: float = 0.5, several: str = "labels") -> JudgeFitness:
    """Decide from its reading of the audited subjects' clean images whether a judge is one.

    ``chance`` is the balanced accuracy of always giving one answer, ``several`` what the subjects must have two of.
    """
    blind = f"{name} is no judge: "
    accuracy, area = clean.balanced_accuracy, clean.auc
    if math.isnan(accuracy.low) or math.isnan(area.estimate):
        had = "both labels" if several == "labels" else "several classes"
        return JudgeFitness(name, False, f"{name} is no judge here: the audited subjects do not have {had}")
    evidence = (
        f"balanced accuracy {accuracy.estimate:.2f} [{accuracy.low:.2f}, {accuracy.high:.2f}], AUC "
        f"{area.estimate:.2f} on the clean images"
    )
    if area.estimate < MIN_AUC:
        return JudgeFitness(name, False, f"{blind}it cannot read the clean images ({evidence}; AUC under {MIN_AUC})")
    if accuracy.low <= chance:
        why = "its reading of the clean images is not shown to be better than chance"
        return JudgeFitness(name, False, f"{blind}{why} ({evidence})")
    return JudgeFitness(name, True, f"{name} reads the clean images: {evidence}")


def _labels_fitness(readings: Readings, judge: str) -> JudgeFitness:
    """Of several labels, some may be read and others not."""
    names = readings.outputs(judge)
    single = {name: decision_fitness(judge, judge_metrics(readings, judge, CLEAN, name)) for name in names}
    read = [name for name, result in single.items() if result.fit]
    unread = tuple(name for name in names if name not in read)
    if not read:
        reasons = {result.reason.removeprefix(f"{judge} ") for result in single.values()}
        why = reasons.pop() if len(reasons) == 1 else f"is no judge: it reads none of {', '.join(names)}"
        return JudgeFitness(judge, False, f"{judge} {why}", unread)
    evidence = f"{judge} reads {', '.join(read)} in the clean images"
    if unread:
        evidence += (
            f"; not {', '.join(unread)} (AUC under {MIN_AUC}, not better than chance, or one label only), where "
            "it does not count"
        )
    return JudgeFitness(judge, True, evidence, unread)


def _value_fitness(readings: Readings, judge: str) -> JudgeFitness:
    known = readings.select(judge, CLEAN).dropna(subset=["target", "prediction"])
    varies = known["target"].nunique() > 1 and known["prediction"].nunique() > 1
    r = float(np.corrcoef(known["prediction"], known["target"])[0, 1]) if varies else math.nan
    correlation = "unknown" if math.isnan(r) else f"{r:.2f}".replace("-", "−")
    evidence = f"correlation with the label {correlation} on the clean images"
    return _threshold_fitness(judge, r, MIN_CORRELATION, evidence)


def _masks_fitness(readings: Readings, judge: str) -> JudgeFitness:
    dice = readings.select(judge, CLEAN).groupby("subject")["dice"].mean().mean()
    evidence = f"Dice with the table's masks {dice:.2f} on the clean images"
    if math.isnan(dice):
        return JudgeFitness(judge, False, f"{judge} is no judge here: the table has no masks to hold it against")
    return _threshold_fitness(judge, dice, MIN_DICE, evidence)


def _threshold_fitness(judge: str, value: float, least: float, evidence: str) -> JudgeFitness:
    if not value >= least:
        why = f"it cannot read the clean images ({evidence}; under {least})"
        return JudgeFitness(judge, False, f"{judge} is no judge: {why}")
    return JudgeFitness(judge, True, f"{judge} reads the clean images: {evidence}")


def without_unread(readings: Readings, by_judge: Mapping[str, JudgeFitness]) -> Readings:
    """The readings without the decisions on labels that their judge cannot read."""
    for name, one in by_judge.items():
        if one.fit and one.unread:
            readings = readings.without_outputs(name, one.unread)
    return readings


@dataclass(frozen=True)
class MaskOverlap:
    """Dice of a judge's masks, mean over subjects with bootstrap intervals.

    Attributes:
        subjects: Whose masks could be compared: the judge finds the class in one of the two images at least.
        kept: With the same judge's mask of the clean image; 1 where nothing moved.
        right: With the table's mask; NaN where there is none.
    """

    subjects: int
    kept: Interval
    right: Interval


def named_outputs(readings: Readings, judges: Sequence[str]) -> list[tuple[str, str, str]]:
    """Name, judge and output of all that these judges read; of several outputs the name says which."""
    outputs = {judge: readings.outputs(judge) for judge in judges}
    return [(j if len(of) == 1 else f"{j} {name}", j, name) for j, of in outputs.items() for name in of]


def mask_overlaps(readings: Readings, images: Sequence[str]) -> dict[str, dict[str, MaskOverlap]]:
    """By judge (and class, where there are several), then by image; empty where nobody draws masks.

    Args:
        readings: Of every case.
        images: ``input`` and methods.
    """
    overlaps: dict[str, dict[str, MaskOverlap]] = {}
    judges = [judge for judge in readings.judges if readings.property_of(judge).kind == "segmentation"]
    for called, judge, name in named_outputs(readings, judges):
        overlaps[called] = {image: _mask_overlap(readings.select(judge, image, name)) for image in images}
    return overlaps


def _mask_overlap(rows: pd.DataFrame) -> MaskOverlap:
    who, count = list(rows["subject"]), int(rows.loc[rows["dice_clean"].notna(), "subject"].nunique())
    return MaskOverlap(count, mean_interval(rows["dice_clean"], who), mean_interval(rows["dice"], who))


@dataclass(frozen=True)
class PairedTest:
    """Two methods on the subjects that both restored.

    Attributes:
        judge: Whose decisions.
        other: The method compared with.
        measure: ``flips`` or ``errors``.
        subjects: In both.
        only_audited: Subjects with the event under the audited method only.
        only_other: Under the other method only.
        p: McNemar, exact, two-sided.
        corrected: p after :func:`corrected_tests`; NaN where this comparison stands alone.
    """

    judge: str
    other: str
    measure: str
    subjects: int
    only_audited: int
    only_other: int
    p: float
    corrected: float = float("nan")


def corrected_tests(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """All comparisons of one audit, corrected together (Holm): several judges, methods and measures are asked."""
    ps = adjusted_p_values([one.p for one in tests])
    return [replace(one, corrected=p) for one, p in zip(tests, ps, strict=True)]


def paired_tests(readings: Readings, judge: str, audited: str, other: str) -> list[PairedTest]:
    """McNemar of flips and of errors between two methods, on the subjects that both restored."""
    ours, theirs = readings.select(judge, audited), readings.select(judge, other)
    both = ours.index.intersection(theirs.index, sort=False)
    ours, theirs = ours.loc[both], theirs.loc[both]
    clean = readings.select(judge, CLEAN).reindex(both)
    tests = []
    for measure, truth in (("flips", clean["decision"]), ("errors", ours["truth"])):
        known = ours["decision"].notna() & theirs["decision"].notna() & truth.notna()
        events = [
            ((one["decision"] != truth) & known).groupby(ours["subject"], sort=False).any() for one in (ours, theirs)
        ]
        only_ours, only_theirs = int((events[0] & ~events[1]).sum()), int((events[1] & ~events[0]).sum())
        count = int(ours["subject"][known].nunique())
        tests.append(PairedTest(judge, other, measure, count, only_ours, only_theirs, mcnemar(only_ours, only_theirs)))
    return tests


def flipped_cases(readings: Readings, method: str) -> pd.DataFrame:
    """One row a case that any judge decides otherwise restored than clean, with every judge's opinion.

    Columns ``case, subject, label, flipped_by`` and for each judge ``<judge>_clean``, ``_restored`` (scores),
    ``_direction`` (``negative to positive``, ``T2w to PDw``, …, or empty) and ``_margin``: how far the restored score
    lies from the cut, or the new class's probability above the old one's. Of several classes or labels the scores
    are those of ``<judge>_output``: the class that the restored image is given, the label that flipped by the
    largest margin. Largest margin first.
    """
    deciders = readings.deciding_judges
    people = _labelled_cases(readings, (deciders or readings.judges)[0], method)
    columns: dict[str, pd.Series] = {}
    turned: dict[str, pd.Series] = {}
    for judge in deciders:
        prop = readings.property_of(judge)
        changes = _changed_classes if prop.kind == "multi_class" else _output_changes
        changed = changes(readings, judge, method).reindex(people.index)
        turned[judge] = changed["flip"].eq(True)
        names = ("clean", "restored", "direction", "margin", *(("output",) if prop.has_several_outputs else ()))
        columns |= {f"{judge}_{name}": changed[name] for name in names}
        columns[f"{judge}_direction"] = columns[f"{judge}_direction"].fillna("")
    flags = pd.DataFrame(turned, index=people.index)
    by = flags.apply(lambda row: ", ".join(row.index[row]), axis=1)
    if not deciders:
        by = pd.Series("", people.index)
    table = people.join(by.rename("flipped_by")).join(pd.DataFrame(columns, index=people.index))
    table = table[flags.any(axis=1)]
    flags = flags.loc[table.index]
    margins = table[[f"{judge}_margin" for judge in deciders]].astype(float).where(flags.to_numpy())
    order = flags.sum(axis=1) * 1e6 + margins.max(axis=1)
    return table.loc[order.sort_values(ascending=False, kind="stable").index].reset_index(names="case")


def _labelled_cases(readings: Readings, judge: str, method: str) -> pd.DataFrame:
    """Subject and label in words of every case, indexed by case."""
    rows = readings.select(judge, method).reset_index()
    prop = readings.property_of(judge)
    labels = [
        {"case": case, "subject": one["subject"].iloc[0], "label": label_text(one, prop)}
        for case, one in rows.groupby("case", sort=False)
    ]
    return pd.DataFrame(labels).set_index("case")


def label_text(rows: pd.DataFrame, prop: Property) -> str:
    """The truth of one case: ``positive``, a class, the labels that are there, a value; ``unknown``.

    Args:
        rows: One an output, columns ``output``, ``target`` and ``truth``.
        prop: What the judge reads.
    """
    if prop.has_several_outputs:
        there = list(rows.loc[rows["truth"] > 0.5, "output"])
        return "unknown" if rows["truth"].isna().all() else ", ".join(there) or "none"
    label, truth = rows["target"].iloc[0], rows["truth"].iloc[0]
    word = prop.decision_text("", truth)
    if prop.kind != "regression" or label != label:
        return word
    value = f"{label:#.4g}".replace("-", "−")
    return f"{value} ({word})" if truth == truth else value


def _output_changes(readings: Readings, judge: str, method: str) -> pd.DataFrame:
    """Of each case the output that flipped by the largest margin, else the one that moved most."""
    several = readings.property_of(judge).has_several_outputs
    after, before = readings.select(judge, method), readings.select(judge, CLEAN)
    before = before.reindex(after.index)
    flip = flip_indicator(after, before)
    margin = (after["prediction"] - after["cut"]).abs()
    moved = (after["prediction"] - before["prediction"]).abs()
    values = {"clean": before["prediction"], "restored": after["prediction"], "margin": margin, "flip": flip}
    rows = pd.DataFrame({**values, "rank": np.where(flip, 1e6 + margin, moved)}).reset_index()
    up = after["decision"].to_numpy() > 0.5
    turned = [
        (f"{name} " if several else "") + ("negative to positive" if rose else "positive to negative")
        for name, rose in zip(rows["output"], up, strict=True)
    ]
    rows["turned"] = pd.Series(turned, rows.index, dtype=object).where(rows["flip"], "")
    directions = rows.groupby("case", sort=False)["turned"].agg(lambda parts: "; ".join(w for w in parts if w))
    best = rows.loc[rows["rank"].fillna(-1.0).groupby(rows["case"], sort=False).idxmax()]
    return best.set_index("case").join(directions.rename("direction"))


def _changed_classes(readings: Readings, judge: str, method: str) -> pd.DataFrame:
    """Of each case the class on the restored image, and that class's probability before and after."""
    after, before = readings.select(judge, method), readings.select(judge, CLEAN)
    new, old = _decided_classes(after), _decided_classes(before)
    scores, were = after["prediction"].to_dict(), before["prediction"].to_dict()
    rows = []
    for case, now in new.items():
        then = old.get(case, "")
        flip = bool(now and then and now != then)
        one = {"case": case, "output": now, "flip": flip, "direction": f"{then} to {now}" if flip else ""}
        one["clean"] = were.get((case, now), np.nan) if now and then else np.nan
        one["restored"] = scores[case, now] if now else np.nan
        one["margin"] = scores[case, now] - scores[case, then] if flip else np.nan
        rows.append(one)
    return pd.DataFrame(rows).set_index("case")


def _decided_classes(rows: pd.DataFrame) -> dict[str, str]:
    """The class that each case was given; empty where it is unknown."""
    decisions = rows.reset_index()
    chosen = decisions[decisions["decision"] > 0.5].set_index("case")["output"].to_dict()
    return {str(case): str(chosen.get(case, "")) for case in decisions["case"].drop_duplicates()}


def class_changes(readings: Readings, judge: str, image: str) -> pd.DataFrame:
    """How often a class on the clean image became which on another: counts of cases, classes by classes."""
    before, after = (pd.Series(_decided_classes(readings.select(judge, one)), dtype=str) for one in (CLEAN, image))
    names, then = readings.outputs(judge), before.reindex(after.index, fill_value="")
    return pd.crosstab(then, after).reindex(index=names, columns=names, fill_value=0)


def score_change(readings: Readings, judge: str, row: pd.Series, separator: str) -> str:
    """Score of the clean → of the restored image of a case, after the output's name where there are several."""
    digits, output = readings.property_of(judge).digits, row.get(f"{judge}_output")
    text = " → ".join(number(float(row[f"{judge}_{image}"]), digits) for image in ("clean", "restored"))
    return f"{output}{separator}{text}" if isinstance(output, str) and output else text


def p_value_text(p: float) -> str:
    """A p-value for a cell; small ones are not shown as zero."""
    return "–" if p != p else "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
