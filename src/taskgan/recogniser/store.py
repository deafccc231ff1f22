"""Recognisers of a cohort: trained once for the same data and settings, then shared by all who ask."""

import tempfile
from pathlib import Path

from taskgan import recipe
from taskgan.cohort.description import fingerprint
from taskgan.cohort.pairs import Pairs
from taskgan.cohort.targets import Targets
from taskgan.console import say
from taskgan.errors import UserError
from taskgan.files import digest
from taskgan.recogniser.card import CARD
from taskgan.recogniser.fit import fit_recogniser
from taskgan.recogniser.recogniser import Recogniser
from taskgan.recogniser.volumes import clean_slices, distinct_clean

# Raised when a network or its training changes, so that recognisers made before are not taken for new ones.
_GENERATION = 2


def recogniser_for(
    pairs: Pairs,
    settings: recipe.Recogniser,
    data: recipe.Data,
    *,
    name: str,
    store: Path | None = None,
    device: str = "cpu",
    target: recipe.Target | None = None,
) -> Recogniser:
    """The recogniser of a cohort, from the store if it is there, else trained and put there.

    It learns from clean images of training subjects and stops by those of validation subjects; test rows are
    not even opened. Each clean image counts once, whatever the number of its doses; its scale comes from the
    degraded image of the first row that ``data.select`` leaves.

    Two processes that ask at once both train, the first to finish puts its folder there, and the other reads
    that one: same settings and same thread count give the same weights.

    Args:
        pairs: All rows of the cohort.
        settings: How it is trained.
        data: Which rows count and how intensities are scaled.
        name: ``task`` or ``judge``.
        store: Folder of recognisers; ``<cohort>/derivatives/recognisers`` where None.
        device: Where to train and to read.
        target: The property; None is a binary one in the column ``label``. What it leaves to the training subjects
            comes from them.

    Raises:
        UserError: If rows to learn from are missing, or the store cannot be written to.
        Problems: If labels are missing or impossible.
    """
    target = target or recipe.Target()
    folder = recogniser_folder(pairs, settings, data, name=name, store=store, target=target)
    if not (folder / CARD).is_file():
        wanted = _wanted(pairs, data)
        mark = fingerprint(wanted, target.labels)
        resolved = Targets.of(target, wanted).resolved(wanted)
        # Identities of training are numbered among themselves: they are T's classes.
        train, val = (
            clean_slices(part, data, mark, Targets.of(resolved, part))
            for part in (_part(wanted, split) for split in ("train", "val"))
        )
        _writable(folder.parent)
        made = fit_recogniser(settings, train, val, title=name, device=device, target=resolved)
        try:
            made.save(folder)
        except UserError:
            if not (folder / CARD).is_file():
                raise
        say(f"train {name}: kept in {folder}")
    return Recogniser.load(folder, device)


def _writable(base: Path) -> None:
    """Asked before minutes of training, not after."""
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=base):
            pass
    except OSError as error:
        raise UserError(
            f"{base} cannot be written to ({error.strerror}), where recognisers are kept; a copy of the table with "
            "absolute paths, in a folder of your own, is a cohort too"
        ) from None


def recogniser_folder(
    pairs: Pairs,
    settings: recipe.Recogniser,
    data: recipe.Data,
    *,
    name: str,
    store: Path | None = None,
    target: recipe.Target | None = None,
) -> Path:
    """Where :func:`recogniser_for` keeps the recogniser of these rows and settings.

    The name holds a digest of how recognisers are made, of the settings, of what in ``data`` decides the
    images, of the property and of the training and validation rows with their files. Test rows do not count.
    """
    target, wanted = target or recipe.Target(), _wanted(pairs, data)
    values = settings.model_dump(mode="json")
    if target.kind == "binary" and values["loss"] == "proper":
        values["loss"] = "cross_entropy"  # its name when the first recognisers of this generation were kept
    told = {
        "generation": _GENERATION,
        "settings": values,
        "select": data.select,
        # How further inputs are scaled makes no difference to a reader, which sees none.
        "intensity": data.intensity.model_dump(mode="json", exclude={"shared"}),
        "min_signal": data.min_signal,
        "rows": fingerprint(wanted, target.labels),
    }
    if target != recipe.Target():
        told["target"] = Targets.of(target, wanted).resolved(wanted).model_dump(mode="json")
    mark = digest(told)
    base = store if store is not None else pairs.folder / "derivatives" / "recognisers"
    return base / f"{name}-{mark}"


def _wanted(pairs: Pairs, data: recipe.Data) -> Pairs:
    """The selected rows of training and validation, each clean image once."""
    selected = pairs.select({k: str(v) for k, v in data.select.items()}) if data.select else pairs
    return distinct_clean(Pairs(pairs.source, tuple(p for p in selected if p.split in ("train", "val"))))


def _part(rows: Pairs, split: str) -> Pairs:
    part = rows.split(split)
    if not len(part):
        raise UserError(f"{rows.source} has no clean image with split {split!r}, which a recogniser needs")
    return part
