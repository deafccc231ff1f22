"""How often people are taken for others: what a sweep asks of restored images whose property is who is on them.

How far a restored image's descriptor is from the clean one's says little of that: all people may move the same way,
or each towards somebody else.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pairs
from taskgan.cohort.verification import VerificationPair
from taskgan.core.errors import UserError
from taskgan.core.files import write_rows
from taskgan.core.tables import read_table
from taskgan.evaluate.restorations import find_restorations
from taskgan.evaluate.settings import EvaluationSettings
from taskgan.judges.readers import Reader
from taskgan.recipe import Recipe

FILE = "people.csv"
MISTAKEN = "judge_mistaken"


def write_mistaken_shares(restored: Path, rows: Pairs, base: Recipe, judge: Reader, out: Path) -> None:
    """Compare restored images of validation people, where the property is an identity; else do nothing.

    Args:
        restored: Folder of the restored validation images.
        rows: The cohort's.
        base: Says what the property is, and the intensity transform.
        judge: Gives descriptors.
        out: Evaluation folder, which gets ``people.csv``: subject, :func:`mistaken_shares`. Nothing is written
            where no validation person has two images, or there is one of them.
    """
    (out / FILE).unlink(missing_ok=True)  # of an evaluation that this one replaces
    if base.task.kind != "embedding":
        return
    from taskgan.evaluate.verification.describe import DescriptorCache
    from taskgan.evaluate.verification.drawn import validation_pairs
    from taskgan.evaluate.verification.readers import verifiers

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
        descriptors["judge"].select([getattr(pair, side).case for pair in pairs])
        for side in ("first", "second")
    )
    shares = mistaken_shares(np.asarray(reader["judge"].distance(first, second), dtype=np.float64), pairs)
    table = ({"subject": subject, MISTAKEN: f"{share:.6f}"} for subject, share in shares.items())
    write_rows(out / FILE, ("subject", MISTAKEN), table)


def mistaken_shares(distances: NDArray[np.float64], pairs: Sequence[VerificationPair]) -> dict[str, float]:
    """Of each person with two images: in what share of comparisons two other people's images are nearer.

    The mean over pairs of one person is 1 − AUC of the verification.

    Args:
        distances: (N,) of the pairs' images.
        pairs: Of one person and of two.
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
