"""How much of the person a degraded face, or a restored one, still shows to who was taught to read such images.

    python experiments/lfw_limit.py WORK                     # after lfw_faces.py, on its test pairs
    python experiments/lfw_limit.py WORK --own l1 gan        # only these methods' restorations are taught

The judge of ``lfw_faces.py`` was taught on clean faces, so that it may lose a person for two reasons: who it is is no
longer there, or only looks otherwise than on a clean image. The two are told apart by readers of the same
architecture (oriented gradients and a closed-form discriminant, which nothing can stop early) that are taught on the
training people's *degraded* images, and on a method's restorations of them (first seed). By the data processing
inequality no restoration tells more of the person than its input, as far as such a reader finds it. Writes
``WORK/limit/limit-test.md``: AUCs over the test pairs, with intervals by person, and paired differences.

Minutes of one core: the degraded images 2; of each method 5 to restore the training people, 2 to learn to read them.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiment import SEEDS, called
from lfw_faces import METHODS, Faces
from publishing import shown
from taskgan.cohort.pairs import Pair, Pairs
from taskgan.cohort.verification import VerificationPair, read_verification_pairs
from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import write_text
from taskgan.evaluate.verification_table import CLEAN, INPUT, RESTORED, read_verification
from taskgan.judges.settings import EvaluationSettings
from taskgan.judges.store import recogniser_for
from taskgan.judges.verification import ImagePairs, auc_difference_by_person, auc_interval_by_person
from taskgan.judges.verification.descriptors import DescriptorCache
from taskgan.judges.verification.readers import verifiers
from taskgan.recipe import Recipe

Floats = NDArray[np.float64]
OWN = ("l1", "gan", "task_gan")


@dataclass(frozen=True)
class Told:
    """What a reader makes of the test pairs.

    Attributes:
        taught: On which images.
        reads: Which images.
        distances: (S, N), one row a seed.
    """

    taught: str
    reads: str
    distances: Floats = field(repr=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder of lfw_faces.py")
    parser.add_argument("--own", nargs="*", choices=list(METHODS), default=list(OWN), metavar="METHOD")
    parser.add_argument("--trial", action="store_true", help="of a trial of lfw_faces.py")
    asked = parser.parse_args()
    limit(Faces(asked.work, asked.trial), asked.own)


def limit(here: Faces, own: Sequence[str]) -> None:
    """Teach who is not taught yet, read everything, write the tables."""
    base, pairs = here.base(), here.pairs()
    listed = read_verification_pairs(pairs)
    tested = listed.subset("test") if listed is not None else ()
    who = ImagePairs.from_people([p.first.subject for p in tested], [p.second.subject for p in tested])
    found = known(here, tested)
    # Taught and asked one after another: a reader is not kept longer than its answers.
    found.append(taught(here, base, pairs, tested, "input", lambda pair: pair.degraded))
    for method in own:
        images = images_by(here, method)
        found.append(taught(here, base, pairs, tested, method, lambda pair, known=images: known[pair.case]))
    text = f"{table(found, who)}\n{differences(found, who)}"
    write_text(here.work / "limit" / "limit-test.md", text)
    say(text)


def known(here: Faces, tested: Sequence[VerificationPair]) -> list[Told]:
    """What the judge, who was taught on clean images, has made of them in the evaluations."""
    wanted = [(p.first.case, p.second.case) for p in tested]
    runs: dict[str, list[Floats]] = {}
    for method in METHODS:
        for seed in SEEDS:
            evaluation = here.run(method, seed) / "evaluation"
            held = read_verification(evaluation)
            if held is None:
                continue
            if [(row.first, row.second) for row in held.subset("test")] != wanted:
                raise UserError(f"{evaluation} has other test pairs than {here.table}")
            for image, name in ((CLEAN, CLEAN), (INPUT, INPUT), (RESTORED, method)):
                if image == RESTORED or name not in runs:
                    runs.setdefault(name, []).append(held.distance("judge", image))
    if not runs:
        raise UserError(f"{here.work} holds no evaluation; run lfw_faces.py to its end first")
    return [Told(CLEAN, name, np.stack(rows)) for name, rows in runs.items()]


def images_by(here: Faces, method: str) -> dict[str, Path]:
    """All images by a method's first seed, by case: those of people who are learnt from are restored here."""
    run, out = here.run(method, SEEDS[0]), here.work / "limit" / "restored" / method
    folders = [run / "restored", *(here.restored(run, out / split, split) for split in ("train", "val"))]
    return {path.stem: path for folder in folders for path in folder.glob("*.png")}


def taught(
    here: Faces,
    recipe: Recipe,
    pairs: Pairs,
    tested: Sequence[VerificationPair],
    name: str,
    image_of: Callable[[Pair], Path],
) -> Told:
    """The judge's architecture, taught on such images of the training people, reads those of the test people."""
    other = Pairs(pairs.source, tuple(replace(pair, clean=image_of(pair)) for pair in pairs))
    reader = recogniser_for(
        other,
        recipe.judge,
        recipe.data,
        name=f"judge-{name}",
        store=here.work / "limit" / "recognisers",
        target=recipe.task.target,
    )
    slices = EvaluationSettings().slices
    able = verifiers({"judge": reader}, {}, slices=slices)
    rows = {case.case: case for pair in tested for case in (pair.first, pair.second)}
    images = {case: image_of(row) for case, row in rows.items()}
    studio = DescriptorCache(able, recipe.data, slices, here.work / "limit")
    seen = studio.restored_descriptors(list(rows.values()), images, name)["judge"]
    one, two = (seen.select([getattr(pair, side).case for pair in tested]) for side in ("first", "second"))
    return Told(name, name, able["judge"].distance(one, two)[None])


def table(found: Sequence[Told], who: ImagePairs) -> str:
    """AUC of every reader."""
    lines = ["| taught on | reads | seeds | AUC over the test pairs |", "| --- | --- | --- | --- |"]
    for told in found:
        area = auc_interval_by_person(told.distances, who)
        lines.append(f"| {told.taught} | {told.reads} | {len(told.distances)} | {shown(area, signed=False)} |")
    return "\n".join(lines) + "\n"


def differences(found: Sequence[Told], who: ImagePairs) -> str:
    """What being taught on such images is worth, and what is left between methods when both are."""
    own = {told.reads: told for told in found if told.taught != CLEAN}
    clean = {told.reads: told for told in found if told.taught == CLEAN}
    compared: list[tuple[Told, Told]] = [
        # The same images, of the same seed.
        *((told, first_seed(clean[name])) for name, told in own.items() if name in clean),
        *((told, own["input"]) for name, told in own.items() if name != "input"),
        *((own[name], own["gan"]) for name in own if "gan" in own and name not in ("input", "gan")),
        *((own["input"], told) for name, told in clean.items() if name not in (CLEAN, "input")),
    ]
    lines = ["| difference of AUC | by person | p |", "| --- | --- | --- |"]
    for first, second in compared:
        gap = auc_difference_by_person(first.distances, second.distances, who)
        lines.append(f"| {named(first)} − {named(second)} | {shown(gap.interval)} | {gap.p:.3f} |")
    return "\n".join(lines) + "\n"


def first_seed(told: Told) -> Told:
    return replace(told, distances=told.distances[:1])


def named(told: Told) -> str:
    return f"{told.reads}, read by who was taught on {told.taught}"


if __name__ == "__main__":
    called(main)
