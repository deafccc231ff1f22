"""How much of the label one degraded slice still holds: the bound on what any restoration of it can keep.

    python experiments/pet_evidence.py WORK --stage limit       # the last of its stages

Two networks (T's and the judge's architecture and settings) learn to read the label from the *degraded* slices
themselves. By the data processing inequality no restoration of a slice can tell more of the label than the slice
does, so that in a proper score (squared error of the probability) their reading is what a restorer can at best keep,
as far as these readers find it. Beside them the same architectures, taught on clean slices, read the clean image and
every method's restorations, and so does the audit's second judge, which chose nothing. Writes
``WORK/limit/slices-<split>.csv`` (one row a reader, method, seed and subject), a table and the paired differences.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiment import SEEDS, Experiment
from publishing import shown
from taskgan.audit.judges import judge_settings
from taskgan.cohort.pairs import Pair, Pairs, read_pairs
from taskgan.cohort.slices import to_slices
from taskgan.core.console import say
from taskgan.core.files import atomic, write_text
from taskgan.images.intensity import fit_intensity
from taskgan.images.volumes import read_volume
from taskgan.judges.recogniser import Recogniser
from taskgan.judges.slices import middle_slices
from taskgan.judges.store import recogniser_for
from taskgan.recipe import Recipe
from taskgan.stats import crossed_interval, mean_difference, mean_interval

FIELDS = ("reader", "taught_on", "method", "seed", "subject", "label", "squared", "mae", "probability")
# Whom each method is compared with: a network that sees neighbours with the GAN that does too.
PAIRS = (
    *((method, "gan") for method in ("l1", "cycle_gan", "task_gan", "task_gan_frozen")),
    *((method, "l1") for method in ("task_gan", "task_gan_frozen")),
    ("task_gan_25d", "gan_25d"),
    ("l1_25d", "gan_25d"),
    ("task_gan_25d", "l1_25d"),
    ("gan_25d", "gan"),
    ("task_gan_25d", "gan"),
)


class Read(NamedTuple):
    """What a reader makes of a subject's middle slices; errors are means over them."""

    reader: str
    taught_on: str
    method: str
    seed: str
    subject: str
    label: float
    squared: float
    mae: float
    probability: float


def limit(here: Experiment, split: str) -> None:
    """Read everything there is of a split; write every reading and the table."""
    found = readings(here, split)
    out = here.work / "limit"
    out.mkdir(exist_ok=True)
    with atomic(out / f"slices-{split}.csv") as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(FIELDS)
        writer.writerows(found)
    text = f"{table(found)}\n{differences(found)}\n{by_head(found, heads(here))}"
    write_text(out / f"limit-{split}.md", text)
    say(text)


def readings(here: Experiment, split: str) -> list[Read]:
    recipe, pairs = here.base(), read_pairs(here.cohort)
    rows = pairs.split(split)
    degraded = Pairs(pairs.source, tuple(replace(pair, clean=pair.degraded) for pair in pairs))
    found: list[Read] = []
    judge, second = judge_settings(recipe)
    for name, settings in (("task", recipe.task.pretrain), ("judge", judge), ("second judge", second)):
        # Both judges are kept as judges.
        clean = recogniser_for(pairs, settings, recipe.data, name=name.split()[-1])
        direct = None
        if settings is not second:
            direct = recogniser_for(
                degraded, settings, recipe.data, name=f"{name}-degraded", store=here.work / "limit"
            )
        for pair in rows:
            if direct is not None:
                found.append(_read(direct, (name, "degraded", "input", ""), pair, pair.degraded, recipe))
            found.append(_read(clean, (name, "clean", "input", ""), pair, pair.degraded, recipe))
            assert pair.clean is not None
            found.append(_read(clean, (name, "clean", "clean", ""), pair, pair.clean, recipe))
        for method in here.methods:
            for seed in SEEDS:
                folder = here.run(method, seed) / "restored"
                for pair in rows:
                    image = folder / f"{pair.case}.nii.gz"
                    if image.is_file():
                        found.append(_read(clean, (name, "clean", method, str(seed)), pair, image, recipe))
    return found


def _read(reader: Recogniser, named: tuple[str, str, str, str], pair: Pair, image: Path, recipe: Recipe) -> Read:
    """Scaled by the degraded image's transform, as everywhere."""
    scale = fit_intensity(recipe.data.intensity, read_volume(pair.degraded).data)
    said = reader.read(middle_slices(to_slices(scale.apply(read_volume(image).data))))
    off = said - float(pair.label or 0)
    return Read(
        *named,
        pair.subject,
        float(pair.label or 0),
        float(np.square(off).mean()),
        float(np.abs(off).mean()),
        float(said.mean()),
    )


def table(found: Sequence[Read]) -> str:
    """Means over subjects (seeds averaged first by each subject's mean) with bootstrap intervals."""
    lines = [
        "| reader | taught on | reads | squared error of a slice | MAE of a slice | volume errors |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for key in dict.fromkeys((r.reader, r.taught_on, r.method) for r in found):
        mine = [r for r in found if (r.reader, r.taught_on, r.method) == key]
        subjects = [r.subject for r in mine]
        squared, mae = (mean_interval([getattr(r, field) for r in mine], subjects) for field in ("squared", "mae"))
        wrong = sum((r.probability > 0.5) != (r.label > 0.5) for r in mine)
        lines.append(
            f"| {' | '.join(key)} | {shown(squared, signed=False)} | {shown(mae, signed=False)} "
            f"| {wrong} of {len(mine)} |"
        )
    return "\n".join(lines) + "\n"


def differences(found: Sequence[Read]) -> str:
    """Paired differences by subject, with intervals for other subjects, and for other subjects and seeds."""
    lines = [
        "| reader | difference | MAE of a slice, other subjects | p | other seeds too | squared error of a slice |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for reader in dict.fromkeys(r.reader for r in found):
        for method, baseline in PAIRS:
            mae, squared = (_paired(found, reader, method, baseline, field) for field in ("mae", "squared"))
            if not mae.size:
                continue
            names = list(range(len(mae)))
            first, second = (mean_difference(v.mean(axis=1), names) for v in (mae, squared))
            crossed = crossed_interval(mae)
            lines.append(
                f"| {reader} | {method} − {baseline} | {shown(first.interval)} | {first.p:.3f} | "
                f"{shown(crossed)} | {shown(second.interval)} |"
            )
    return "\n".join(lines) + "\n"


def heads(here: Experiment) -> dict[str, str]:
    """The anatomy that each subject was made from."""
    return {pair.subject: pair.columns["anatomy"] for pair in read_pairs(here.cohort)}


def by_head(found: Sequence[Read], anatomy: Mapping[str, str]) -> str:
    """The judge's differences on each head: the intervals above do not hold for other heads."""
    subjects = sorted({r.subject for r in found})
    names = sorted({anatomy[who] for who in subjects})
    lines = [f"| judge, MAE of a slice | {' | '.join(names)} |", "| --- |" + " --- |" * len(names)]
    for method, baseline in PAIRS:
        gaps = _paired(found, "judge", method, baseline, "mae")
        if gaps.size:
            means = {n: gaps[[anatomy[who] == n for who in subjects]].mean() for n in names}
            shown = " | ".join(f"{means[n]:+.3f}".replace("-", "−") for n in names)
            lines.append(f"| {method} − {baseline} | {shown} |")
    return "\n".join(lines) + "\n"


def _paired(found: Sequence[Read], reader: str, method: str, baseline: str, field: str) -> np.ndarray:
    """(subjects, seeds) of the seeds that both methods have."""
    values = {
        (r.method, r.seed, r.subject): getattr(r, field)
        for r in found
        if r.reader == reader and r.taught_on == "clean"
    }
    seeds = [
        seed
        for seed in sorted({s for _, s, _ in values} - {""})
        if all(any((m, s) == (name, seed) for m, s, _ in values) for name in (method, baseline))
    ]
    subjects = sorted({who for _, _, who in values})
    table = [[values[method, seed, who] - values[baseline, seed, who] for seed in seeds] for who in subjects]
    return np.asarray(table, dtype=np.float64)
