"""Whom a network learnt from, written down so that it can be checked later without a list of names."""

import hashlib
from collections.abc import Iterable

from taskgan.cohort.pairs import Pair
from taskgan.core.files import checksum

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
