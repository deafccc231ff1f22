"""``taskgan readers make``: a study folder of a cohort and what methods restored of it."""

import glob
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pair, Pairs, read_pairs
from taskgan.cohort.restorations import find_restorations
from taskgan.cohort.verification import read_verification_pairs
from taskgan.core.artefact import commit, is_done, request_digest
from taskgan.core.console import progress, say
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, atomic, check_writable, versions, write_rows
from taskgan.core.lock import exclusive
from taskgan.core.parse import quoted
from taskgan.images.photos import is_photo_name
from taskgan.images.volumes import read_volume
from taskgan.readers.answers import DATABASE
from taskgan.readers.design import Rng, deal_cases, plan_orders, shuffled
from taskgan.readers.study import IMAGES, RECORD, TABLES, ReaderForm, Showing, StudyPlan, make_secret, read_form

_GAP = 8  # pixels between two photos
_ENDS = (0.05, 99.95)  # percentiles that are stored, so that one hot voxel does not take all grey levels
_WHITE = 99.5  # percentile of the clean image that is white at first
Methods = Mapping[str, Mapping[str, Path]]
Voxels = NDArray[np.float32]


@dataclass(frozen=True)
class _Case:
    name: str
    subject: str
    truth: int
    pairs: tuple[Pair, ...] = field(repr=False)  # one row, or the two of a verification pair


@exclusive("out", "the study")
def make_study(
    out: PathLike,
    cohort: PathLike,
    restored: Sequence[str] = (),
    plan: StudyPlan | None = None,
    *,
    overwrite: bool = False,
) -> Path:
    """Make a study: images of equal size, who reads what when, the key, and the secret of the readers' links.

    ``restored`` are folders or patterns, as ``FOLDER`` or ``METHOD=FOLDER``; ``overwrite`` replaces a study that has no
    answers.

    Raises:
        UserError: If an image is missing or on another grid, the truth is not 0 or 1, or a study is already there.
    """
    out, plan = Path(out), plan or StudyPlan()
    form = read_form(plan.form)
    check_writable(out, "the study")
    pairs = read_pairs(cohort)
    folders = list(_named_folders(restored))
    digest = request_digest(out, cohort=pairs.folder, restored=folders, plan=plan, form=form)
    if not overwrite and is_done(out / RECORD, digest):
        return out
    if (out / DATABASE).exists():
        raise UserError(f"{out} holds answers of readers, which are never replaced; choose another folder")
    methods = {"input": {p.case: p.degraded for p in pairs}, **_restored_images(folders, pairs)}
    methods["clean"] = {p.case: p.clean for p in pairs if p.clean is not None}
    rng = np.random.default_rng(plan.seed)
    cases = _choose(list(_cases(pairs, form, plan.split)), methods, plan.cases, rng)
    training = _training(pairs, form, plan, methods, rng)
    (out / RECORD).unlink(missing_ok=True)
    shutil.rmtree(out / IMAGES, ignore_errors=True)
    make_secret(out)
    shown = [*((case, [*methods]) for case in cases), *((case, [method]) for case, method in training)]
    keys, lesions = _write_images(out, form, shown, methods, rng)
    order = _order(plan, cases, training, [*methods], keys, rng)
    for (name, model), rows in zip(TABLES.items(), (keys, order, lesions), strict=True):
        write_rows(out / name, list(model.model_fields), rows)
    values = plan.model_dump(mode="json") | {"asked": form.model_dump(mode="json"), "methods": [*methods]}
    files = [*TABLES, *(f"{IMAGES}/{row['image']}" for row in keys)]
    commit(out / RECORD, values | {"versions": versions(), "request": digest}, [out / name for name in files])
    counts = f"{len(cases)} cases × {len(methods)} kinds of image ({', '.join(methods)})"
    say(f"study: {out}: {counts}, {len(plan.readers)} readers, {len(training)} training cases")
    return out


def _named_folders(restored: Sequence[str]) -> Iterator[tuple[str | None, Path]]:
    """Each folder that was named, or that a pattern finds, with the method's name where one was given."""
    for text in restored:
        name, equals, place = text.partition("=")
        named = bool(equals) and "/" not in name
        paths = sorted(glob.glob(text)) if not named and glob.has_magic(text) else [place if named else text]
        if not paths:
            raise UserError(f"--from {text} finds no folder")
        yield from ((name if named else None, Path(one)) for one in paths)


def _restored_images(folders: Sequence[tuple[str | None, Path]], pairs: Pairs) -> dict[str, dict[str, Path]]:
    restored: dict[str, dict[str, Path]] = {}
    for name, folder in folders:
        if name is None and not (folder / "restored.yaml").is_file():
            raise UserError(f"{folder} has no restored.yaml that names its method; say --from METHOD={folder}")
        one = find_restorations(folder, pairs, name)
        if one.method in restored:
            raise UserError(f"{folder} is of the method {one.method}, as another folder is; say --from NAME={folder}")
        restored[one.method] = one.images
    return restored


def _cases(pairs: Pairs, form: ReaderForm, split: str) -> Iterator[_Case]:
    """What could be read of a split, with its truth."""
    if form.pairs:
        verification = read_verification_pairs(pairs)
        if verification is None:
            raise UserError(f"{pairs.folder} holds no verification.csv, which this form needs: it is about pairs")
        for number, two in enumerate(verification.subset("test" if split == "test" else "train")):
            yield _Case(f"pair-{number + 1}", two.first.subject, int(two.same), (two.first, two.second))
        return
    if form.truth not in pairs.columns:
        raise UserError(f"{pairs.source} has no column {quoted(form.truth)}, which the form takes the truth from")
    for pair in pairs.split(split):
        text = pair.columns[form.truth]
        if text not in ("0", "1", "0.0", "1.0"):
            raise UserError(
                f"{pairs.source} row {pair.row} has {form.truth} {quoted(text)}, expected the truth, 0 or 1"
            )
        yield _Case(pair.case, pair.subject, int(float(text)), (pair,))


def _choose(cases: list[_Case], methods: Methods, most: int | None, rng: Rng) -> list[_Case]:
    """The cases that all methods have, at most so many, with their share of positive ones."""
    whole = [one for one in cases if all(p.case in have for have in methods.values() for p in one.pairs)]
    if not whole:
        raise UserError(f"no case of {len(cases)} has an image of every method, expected at least one")
    if len(whole) < len(cases):
        say(f"note: {len(cases) - len(whole)} of {len(cases)} cases lack an image of a method and are left out")
    kinds = [shuffled([one for one in whole if one.truth == truth], rng) for truth in (0, 1)]
    most = min(most or len(whole), len(whole))
    positive = min(max(round(most * len(kinds[1]) / len(whole)), min(1, len(kinds[1]))), most)
    keep = {one.name for one in kinds[1][:positive] + kinds[0][: most - positive]}
    return [one for one in whole if one.name in keep]


def _training(pairs: Pairs, form: ReaderForm, plan: StudyPlan, methods: Methods, rng: Rng) -> list[tuple[_Case, str]]:
    """Cases of other splits, positive and negative in turn, degraded and clean in turn."""
    try:
        others = [split for split in ("train", "val", "test") if split != plan.split][: 1 if form.pairs else 2]
        cases = [one for split in others for one in _cases(pairs, form, split)] if plan.training else []
    except UserError:  # their truth may be unknown
        cases = []
    drawn = shuffled([one for one in cases if all(p.case in methods["clean"] for p in one.pairs)], rng)
    turns = [one for both in zip(*([o for o in drawn if o.truth == t] for t in (1, 0)), strict=False) for one in both]
    if len(turns) < plan.training:
        say(f"note: {len(turns)} training cases instead of {plan.training}: other splits have no more with a truth")
    return [(one, ("input", "clean")[k // 2 % 2]) for k, one in enumerate(turns[: plan.training])]


def _write_images(
    out: Path, form: ReaderForm, wanted: Sequence[tuple[_Case, list[str]]], methods: Methods, rng: Rng
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All images, called by drawn numbers, and the rows of ``key.csv`` and ``lesions.csv``."""
    names = iter(rng.permutation(sum(len(which) for _, which in wanted)).tolist())
    keys: list[dict[str, Any]] = []
    lesions: list[dict[str, Any]] = []
    with progress("study", len(wanted), "cases") as bar:
        for case, which in wanted:
            read = {m: _read(case, [methods[m][p.case] for p in case.pairs]) for m in which}
            reference, spacing = read[which[-1]]  # clean, but for a degraded training case
            for method, (data, _) in read.items():
                if data.shape != reference.shape:
                    grids = f"grid {data.shape[:3]} of {method}, {reference.shape[:3]} of {which[-1]}"
                    raise UserError(f"case {case.name} has the {grids}; expected one grid")
            photo = is_photo_name(case.pairs[0].degraded)
            # Of all images together: scale and window tell nothing of the method.
            ends = np.array([(0.0, 1.0) if photo else np.percentile(data, _ENDS) for data, _ in read.values()])
            low, high, bits = min(0.0, float(ends[:, 0].min())), float(ends[:, 1].max()), 8 if photo else 16
            black, white = (
                (0, 255) if photo else _stored([0.0, np.percentile(reference, _WHITE)], low, high, bits).tolist()
            )
            shared: dict[str, Any] = {"case": case.name, "subject": case.subject, "truth": case.truth, "bits": bits}
            shared |= dict(zip(("x", "y", "z", "channels"), reference.shape, strict=True))
            shared |= dict(zip(("dx", "dy", "dz"), (round(v, 4) for v in spacing), strict=True))
            shared |= {"window_low": black, "window_high": max(white, black + 1)}
            for method, (data, _) in read.items():
                keys.append({"image": f"{next(names) + 1:05d}.raw", "method": method, **shared})
                with atomic(out / IMAGES / keys[-1]["image"], durable=False) as partial:
                    partial.write_bytes(_stored(data.transpose(2, 1, 0, 3), low, high, bits).tobytes())
            lesions += _lesions(case, form, spacing)
            bar.advance()
    return sorted(keys, key=lambda row: str(row["image"])), lesions


def _stored(data: Any, low: float, high: float, bits: int) -> NDArray[Any]:
    """Values as whole numbers from 0 (``low``) to the highest of so many bits (``high``)."""
    scaled = np.clip((np.asarray(data) - low) / max(high - low, 1e-12), 0, 1)
    return np.asarray(np.rint(scaled * (2**bits - 1)), dtype=f"<u{bits // 8}")


def _read(case: _Case, paths: Sequence[Path]) -> tuple[Voxels, tuple[float, float, float]]:
    """(X, Y, Z, C) in the axes of RAS and the voxel's edges in mm; two photos stand side by side."""
    images = []
    for path, pair in zip(paths, case.pairs, strict=True):
        series = {pair.degraded: "degraded", pair.clean: "clean"}.get(path, "")
        volume = read_volume(path, axes="RAS", series=pair.series(series) if series else "")
        if not is_photo_name(path):
            return volume.data[..., None], volume.voxel_size
        colours = volume.data[..., None] if volume.colours is None else volume.colours[:, :, None]
        images.append(colours[::-1, ::-1])  # pixels run to the left and down
    height, channels = (max(data.shape[axis] for data in images) for axis in (1, 3))
    padded = [
        np.pad(np.broadcast_to(d, (*d.shape[:3], channels)), ((0, 0), (height - d.shape[1], 0), (0, 0), (0, 0)))
        for d in images
    ]
    gap = np.zeros((_GAP, *padded[0].shape[1:]), np.float32)
    return np.concatenate([padded[1], gap, padded[0]]) if len(padded) == 2 else padded[0], (1.0, 1.0, 1.0)


def _lesions(case: _Case, form: ReaderForm, spacing: Sequence[float]) -> Iterator[dict[str, Any]]:
    """Rows of ``lesions.csv`` of a case."""
    from scipy import ndimage

    path = case.pairs[0].path(form.masks) if form.masks else None
    if path is None:
        return
    labels, count = ndimage.label(read_volume(path, axes="RAS").data > 0, np.ones((3, 3, 3)))
    for k in range(1, count + 1):
        places = np.argwhere(labels == k)
        middle = dict(zip(("x", "y", "z"), places.mean(axis=0).round(2).tolist(), strict=True))
        volume = len(places) * float(np.prod(spacing))
        yield {"case": case.name, **middle, "radius": round((3 * volume / (4 * np.pi)) ** (1 / 3), 2)}


def _order(
    plan: StudyPlan,
    cases: Sequence[_Case],
    training: Sequence[tuple[_Case, str]],
    methods: list[str],
    keys: Any,
    rng: Rng,
) -> list[dict[str, Any]]:
    """Rows of ``order.csv``."""
    name = {(row["case"], row["method"]): row["image"] for row in keys}
    groups = plan.groups if plan.design == "split-plot" else 1
    parts = deal_cases([one.subject for one in cases], [one.truth for one in cases], groups, rng)
    if not all(parts):
        raise UserError(f"--groups {groups}: expected at most as many as there are subjects")
    mine = [parts[number % groups] for number in range(len(plan.readers))]
    rows: list[tuple[Any, ...]] = []
    orders = plan_orders(mine, len(methods), plan.passes(len(methods)), plan.repeats, rng)
    for reader, shown in zip(plan.readers, orders, strict=True):
        rows += [(reader, 0, name[case.name, method], 0, 1) for case, method in training]
        rows += [(reader, o.session, name[cases[o.case].name, methods[o.method]], int(o.repeat), 0) for o in shown]
    return [dict(zip(Showing.model_fields, (k + 1, *row), strict=True)) for k, row in enumerate(rows)]
