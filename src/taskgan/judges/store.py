"""Recognisers of a cohort: trained once, or read from released weights, then shared by all who ask."""

import tempfile
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import nn

from taskgan.cohort.folder import fingerprint
from taskgan.cohort.pairs import Pairs
from taskgan.cohort.targets import Targets
from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import checksum, value_digest, versions
from taskgan.core.lock import locked
from taskgan.images.orientation import turn_towards
from taskgan.images.volumes import read_shape
from taskgan.judges.figures import MOST, THRESHOLD, evenly_spaced
from taskgan.judges.fit import fit_recogniser, validate
from taskgan.judges.recogniser import CARD, Recogniser, RecogniserCard, WeightsSource, build
from taskgan.judges.volumes import CleanSlices, ReaderView, clean_slices, distinct_clean
from taskgan.judges.weights import load_dlib_face, load_vgg_face
from taskgan.networks.photos import FaceRecogniser
from taskgan.networks.programs import OwnNetwork
from taskgan.objective.kinds import task_kind
from taskgan.recipe import Data, RecogniserSettings, Target
from taskgan.recipe.task import IR_HINT, NETWORKS, descriptor_size

# Raised when a network or its training changes, so that recognisers made before are not taken for new ones.
_GENERATION = 2
_VERIFICATION = 3  # the same for how descriptors are compared, by which an embedding's training stops
_LATER_SETTINGS = {"weights": None, "size": None, "sampling": "subjects", "precision": "32", "reduce": 1}
_LATER_SETTINGS |= {"standardise": False, "discriminant": False, "crop": None, "input": None}
_LATER_AUGMENT = {"preserve": "sum", "contrast": 0.0, "brightness": 0.0, "blur": 0.0, "erase": 0.0}
_LATER_TARGET = {"margin_form": "cosine", "margin_scale": 16.0}


def recogniser_for(
    pairs: Pairs,
    settings: RecogniserSettings,
    data: Data,
    *,
    name: str,
    store: Path | None = None,
    device: str = "cpu",
    target: Target | None = None,
    view: ReaderView | None = None,
) -> Recogniser:
    """The recogniser of a cohort, from the store if it is there, else trained and put there.

    It learns from clean images of training subjects and stops by those of validation subjects; test rows are
    not even opened. A released one learns nothing; its figures are those of the validation subjects. Each clean
    image counts once, whatever the number of its doses; its scale comes from the degraded image of the first row
    that ``data.select`` leaves.

    A training that was killed goes on from its last validation (a file beside the folder,
    written at most once a minute).

    Of two processes that ask at once one trains; the other waits, says for whom, and reads the same folder.

    Args:
        pairs: All rows of the cohort.
        settings: How it is trained.
        data: Which rows count and how intensities are scaled.
        name: ``task`` or ``judge``.
        store: Folder of recognisers; ``<cohort>/derivatives/recognisers`` where None.
        device: Where to train and to read.
        target: The property; None is a binary one in the column ``label``. What it leaves to the training subjects
            comes from them.
        view: What it learns to read in place of clean images.

    Raises:
        UserError: If rows to learn from or released weights are missing, or the store cannot be written to.
        Problems: If labels are missing or impossible.
    """
    target = _target_of_network(target or Target(), settings)
    folder = recogniser_folder(pairs, settings, data, name=name, store=store, target=target, view=view)
    if (folder / CARD).is_file():
        return Recogniser.load(folder, device)
    _writable(folder.parent)
    with locked(folder, "recognisers", beside=True, wait=True):
        if (folder / CARD).is_file():  # trained by the process that held the lock
            return Recogniser.load(folder, device)
        rows = _training_rows(pairs, data)
        mark = fingerprint(rows, target.labels)
        resolved = Targets.for_table(target, rows).resolved(rows)

        def _slices(split: str) -> CleanSlices:
            # Identities of training are numbered among themselves: they are T's classes.
            part = _part(rows, split)
            return clean_slices(part, data, mark, Targets.for_table(resolved, part), view)

        if settings.facts.released:
            recogniser = released_recogniser(settings, _slices("val"), title=name, device=device, target=resolved)
        else:
            recogniser = fit_recogniser(
                settings,
                _slices("train"),
                _slices("val"),
                title=name,
                device=device,
                target=resolved,
                keep=checkpoint_path(folder),
            )
        try:
            recogniser.save(folder)
        except UserError:  # where locks do not work, another process may have been faster
            if not (folder / CARD).is_file():
                raise
        checkpoint_path(folder).unlink(missing_ok=True)
        say(f"train {name}: kept in {folder}")
    recogniser = Recogniser.load(folder, device)
    if reason := recogniser.unlearnt_reason:
        say(f"warning: {reason}")
    return recogniser


def released_recogniser(
    settings: RecogniserSettings, val: CleanSlices, *, title: str, target: Target, device: str | torch.device = "cpu"
) -> Recogniser:
    """Read released weights and see how well they read the validation subjects.

    At most 512 images are looked at, of people with several images if there are any: VGG-Face takes a third of a
    second an image on one core.

    Args:
        settings: ``network``, ``width``, ``crop``, ``input`` and ``weights``; nothing else counts.
        val: Volumes of validation subjects, for the card's figures and for the distance that says "the same".
        title: What it is for, e.g. ``task``; shown and recorded.
        target: The property: an embedding of the network's own size; any, of a program of the user's own.
        device: Where it is put and read.

    Raises:
        UserError: If the weights are missing, damaged or another network's, or a program answers in another shape.
    """
    assert settings.weights is not None  # the settings were checked
    path, kind = Path(settings.weights), task_kind(target, settings.loss)
    network: nn.Module
    if settings.facts.own:
        network = OwnNetwork(path.read_bytes(), settings, target).to(device)
        first = torch.from_numpy(val.volumes[0].slices[:1, None]).to(device)
        network.check(first, kind.outputs, gradient=title == "task")
    else:
        with torch.random.fork_rng([]):
            network = build(settings, outputs=target.size)
        assert isinstance(network, FaceRecogniser)
        load = load_dlib_face if settings.network == "dlib" else load_vgg_face
        network.network.load_state_dict(load(path, width=settings.width))
        network = network.to(device).eval()
    volumes = _validation_subset(val) if kind.label_from_clean else val
    say(f"{title}: reading {len(volumes)} validation images with the weights of {path.name}")
    metrics = validate(network, kind, volumes)
    if kind.label_from_clean and target.cut is None:
        target = target.model_copy(update={"cut": metrics.outputs[THRESHOLD]})
    card = RecogniserCard(
        title=title,
        settings=settings,
        outputs=kind.outputs,
        target=target,
        training_subjects=(),
        validation_subjects=volumes.subjects,
        cohort=val.fingerprint,
        step=0,
        validation=metrics,
        versions=versions(),
        source=WeightsSource(file=path.name, sha256=checksum(path)),
    )
    if not kind.label_from_clean:
        say(f"{title}: {path.name} reads clean validation slices with MAE {metrics.slice_mae:.3f}")
        return Recogniser(network, card)
    auc = "unknown (no person has two images)" if metrics.auc is None else f"{metrics.auc:.3f}"
    say(f"{title}: {settings.network} tells clean validation images of people apart with AUC {auc}")
    return Recogniser(network, card)


def _validation_subset(val: CleanSlices) -> CleanSlices:
    """At most 512 volumes, whole people, evenly picked; those with one volume only where all have one."""
    counts = Counter(volume.subject for volume in val)
    several = [v for v in val if counts[v.subject] > 1] or list(val)
    several.sort(key=lambda volume: volume.subject)
    if len(several) <= MOST:
        return CleanSlices(tuple(several), val.fingerprint)
    people = list(dict.fromkeys(volume.subject for volume in several))
    mean = len(several) / len(people)
    picked = {people[k] for k in evenly_spaced(torch.arange(len(people)), max(1, int(MOST / mean))).tolist()}
    return CleanSlices(tuple(v for v in several if v.subject in picked)[:MOST], val.fingerprint)


def checkpoint_path(folder: Path) -> Path:
    """The file beside a recogniser's folder that holds its training until it is done."""
    return folder.with_name(f"{folder.name}.ckpt")


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
    settings: RecogniserSettings,
    data: Data,
    *,
    name: str,
    store: Path | None = None,
    target: Target | None = None,
    view: ReaderView | None = None,
) -> Path:
    """Where :func:`recogniser_for` keeps the recogniser of these rows and settings.

    The name holds a digest of how recognisers are made, of the settings, of what in ``data`` decides the
    images, of the property and of the training and validation rows with their files. Test rows do not count. Released
    weights count by their bytes, wherever they lie.

    Raises:
        UserError: If released weights are not where the settings say.
    """
    target, rows = _target_of_network(target or Target(), settings), _training_rows(pairs, data)
    values = _settings_key(settings, _LATER_SETTINGS) | {"augment": _settings_key(settings.augment, _LATER_AUGMENT)}
    if settings.facts.released:
        values = {"network": settings.network, "width": settings.width, "weights": _weights(settings, name)}
        values |= {"crop": settings.crop} if settings.crop else {}
        values |= {"input": settings.input.model_dump(mode="json")} if settings.input else {}
    elif target.kind == "binary" and values["loss"] == "proper":
        values["loss"] = "cross_entropy"  # its name when the first recognisers of this generation were kept
    key = {
        "generation": _GENERATION,
        "settings": values,
        "select": data.select,
        # How further inputs are scaled makes no difference to a reader, which sees none.
        "intensity": data.intensity.model_dump(mode="json", exclude={"shared"}),
        "min_signal": data.min_signal,
        **({"axes": data.axes} if _are_turned(rows, data) else {}),
        "rows": fingerprint(rows, target.labels),
        **({"view": view.mark} if view is not None else {}),
    }
    if target != Target():
        targets = Targets.for_table(target, rows)
        key["target"] = _settings_key(targets.resolved(rows), _LATER_TARGET)
        if targets.kind.label_from_clean:
            key["verification"] = _VERIFICATION
    mark = value_digest(key)
    base = store if store is not None else pairs.folder / "derivatives" / "recognisers"
    return base / f"{name}-{mark}"


def _are_turned(rows: Pairs, data: Data) -> bool:
    """Whether slices are not those of the files, as they always were once."""
    try:
        first = rows.rows[0]
        affine = read_shape(first.degraded, series=first.series("degraded"))[1]
        return bool(data.axes) and turn_towards(affine, data.axes) is not None
    except UserError:  # the check of the cohort names it
        return False


def _target_of_network(target: Target, settings: RecogniserSettings) -> Target:
    """The property as this network gives it: descriptors may be of another length than T's."""
    size = descriptor_size(settings, target) if target.kind == "embedding" else target.size
    return target.model_copy(update={"size": size})


def _settings_key(settings: BaseModel, later: Mapping[str, Any]) -> dict[str, Any]:
    """Settings for a digest. What came later does not rename what was kept before it did."""
    values = settings.model_dump(mode="json")
    return {key: value for key, value in values.items() if key not in later or value != later[key]}


def check_weights(settings: RecogniserSettings, name: str) -> None:
    """See, before a cohort is read, that the released weights that the settings want are there.

    Raises:
        UserError: If they are not; it says what can be done without them.
    """
    if settings.weights is not None and not Path(settings.weights).is_file():
        where = "task.pretrain" if name == "task" else name
        hint = "" if settings.facts.own else f" as {settings.network}'s authors released it; {IR_HINT}"
        raise UserError(
            f"{settings.weights} ({where}.weights) does not exist, expected {NETWORKS[settings.network].files}{hint}"
        )


def _weights(settings: RecogniserSettings, name: str) -> str:
    check_weights(settings, name)
    assert settings.weights is not None  # the settings were checked
    path = Path(settings.weights)
    stat = path.stat()
    return _checksum(path.absolute(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _checksum(path: Path, size: int, modified: int) -> str:
    """Asked several times in a run, of half a gigabyte."""
    return checksum(path)


def _training_rows(pairs: Pairs, data: Data) -> Pairs:
    """The selected rows of training and validation, each clean image once."""
    selected = pairs.select(data.select)
    return distinct_clean(Pairs(pairs.source, tuple(p for p in selected if p.split in ("train", "val"))))


def _part(rows: Pairs, split: str) -> Pairs:
    part = rows.split(split)
    if not len(part):
        raise UserError(f"{rows.source} has no clean image with split {split!r}, which a recogniser needs")
    return part
