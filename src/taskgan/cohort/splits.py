"""Splits that never share a subject and keep every label in every split."""

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from taskgan.cohort.pairs import SPLITS, Pair
from taskgan.core.errors import UserError
from taskgan.core.files import checksum

Subject = TypeVar("Subject", bound=Hashable)
DEFAULT_SHARES = (0.6, 0.15, 0.25)


def split_subjects(
    labels: Mapping[Subject, object], *, shares: Sequence[float] = DEFAULT_SHARES, seed: int = 0
) -> dict[Subject, str]:
    """Assign each subject to ``train``, ``val`` or ``test``, stratified by label.

    Args:
        labels: Label of each subject; subjects with equal labels form a stratum.
        shares: Shares of train, val and test; they are normalised to one.
        seed: Of the shuffle. The order of ``labels`` does not matter.

    Returns:
        Split of each subject. Every stratum has at least one subject in every split.

    Raises:
        UserError: If a label has fewer than three subjects, or a share is not positive.
    """
    if len(shares) != len(SPLITS) or min(shares) <= 0:
        raise UserError(f"the shares of train, val and test must be three positive numbers, found {list(shares)}")
    fractions = np.asarray(shares, dtype=float) / sum(shares)
    rng = np.random.default_rng(seed)
    assigned: dict[Subject, str] = {}
    for label in sorted(set(labels.values()), key=str):
        members = sorted((s for s, own in labels.items() if own == label), key=str)
        if len(members) < len(SPLITS):
            raise UserError(
                f"label {label} has {len(members)} subject{'s' * (len(members) != 1)}, expected at least "
                "three: one each for train, val and test"
            )
        counts = np.maximum(1, np.round(fractions * len(members)).astype(int))
        counts[0] = len(members) - counts[1] - counts[2]
        while counts[0] < 1:  # few subjects and a small training share: take from the larger of the others
            counts[1 + int(np.argmax(counts[1:]))] -= 1
            counts[0] += 1
        order = rng.permutation(len(members))
        names = [name for name, count in zip(SPLITS, counts, strict=True) for _ in range(count)]
        assigned.update({members[index]: name for index, name in zip(order, names, strict=True)})
    return assigned


_LENGTH = 16


def subject_digest(subject: str) -> str:
    """A digest of a subject's name, 16 hex digits.

    It keeps names out of a file that is passed on; it does not hide them from who can guess them.
    """
    return hashlib.sha256(subject.encode()).hexdigest()[:_LENGTH]


def subject_digests(pairs: Iterable[Pair]) -> tuple[str, ...]:
    """Marks of all subjects, each once, sorted."""
    return tuple(sorted({subject_digest(pair.subject) for pair in pairs}))


def image_digests(pairs: Iterable[Pair]) -> tuple[str, ...]:
    """Digests of the clean images' files, each once, sorted: the same image is found under another name.

    Bytes are compared, not voxels: an image that was written again is another one.
    """
    clean = {pair.clean for pair in pairs if pair.clean is not None and pair.clean.is_file()}
    return tuple(sorted({checksum(path)[:_LENGTH] for path in clean}))
