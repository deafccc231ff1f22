"""``taskgan readers make``: a study folder of a cohort and what methods restored of it."""

import glob
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pair, Pairs, read_pairs
from taskgan.cohort.restorations import RESERVED, find_restorations
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
from taskgan.readers.design import deal_cases, plan_orders
from taskgan.readers.study import (
    IMAGES,
    KEY,
    KEY_COLUMNS,
    LESION_COLUMNS,
    LESIONS,
    ORDER,
    ORDER_COLUMNS,
    RECORD,
    Name,
    ReaderForm,
    make_secret,
    read_form,
    stored,
)

_GAP = 8  # pixels between two photos
_ENDS = (0.05, 99.95)  # percentiles that are stored, so that one hot voxel does not take all grey levels
_SHOWN = 99.5  # percentile of the clean image that is white at first


@dataclass(frozen=True)
class StudyPlan:
    """What a study is to be.

    Attributes:
        form: Shipped form or YAML file.
        design: ``crossed``: all read all; ``split-plot``: groups of readers with cases of their own.
        readers: Names.
        groups: Of a split-plot.
        sessions: None is one for each kind of image.
        washout_days: Between the end of a session and the next one's begin.
        repeats: Hidden ones of each reader.
        training: Cases with feedback before the first session.
        cases: At most so many; None is all.
        split: Of the cohort.
        programs: Readers are model observers, which all that is made of the study says.
        seed: Of all draws.
    """

    form: str = "amyloid"
    design: Literal["crossed", "split-plot"] = "crossed"
    readers: tuple[str, ...] = ("reader-1", "reader-2", "reader-3")
    groups: int = 2
    sessions: int | None = None
    washout_days: float = 14.0
    repeats: int = 4
    training: int = 2
    cases: int | None = None
    split: str = "test"
    programs: bool = False
    seed: int = 0


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

    Args:
        out: Folder to make.
        cohort: Cohort folder or table.
        restored: Folders of restored images, or patterns, as ``FOLDER`` or ``METHOD=FOLDER``.
        plan: None is the default.
        overwrite: Replace a study that has no answers.

    Returns:
        The folder.

    Raises:
        UserError: If an image is missing or on another grid, the truth is not 0 or 1, or a study is already there.
    """
    out, plan = Path(out), plan or StudyPlan()
    form = read_form(plan.form)
    _check_plan(plan)
    check_writable(out, "the study")
    pairs = read_pairs(cohort)
    named = list(_named_folders(restored))
    digest = request_digest(out, cohort=pairs.folder, restored=[f for _, f in named], names=[n for n, _ in named], plan=plan, form=form)
    if not overwrite and is_done(out / RECORD, digest):
        return out
    if (out / DATABASE).exists():
        raise UserError(f"{out} holds answers of readers, which are never replaced; choose another folder")
    methods = {"input": {p.case: p.degraded for p in pairs}, **_restored_images(named, pairs)}
    methods["clean"] = {p.case: p.clean for p in pairs if p.clean is not None}
    rng = np.random.default_rng(plan.seed)
    cases = _choose(list(_cases(pairs, form, plan.split)), list(methods.values()), plan.cases, rng)
    training = _training(pairs, form, plan, methods, rng)
    (out / RECORD).unlink(missing_ok=True)
    shutil.rmtree(out / IMAGES, ignore_errors=True)
    make_secret(out)
    keys, lesions = _write_images(out, form, cases, training, methods, rng)
    order = _order(plan, cases, training, list(methods), keys, rng)
    write_rows(out / KEY, KEY_COLUMNS, keys)
    write_rows(out / ORDER, ORDER_COLUMNS, order)
    write_rows(out / LESIONS, LESION_COLUMNS, lesions)
    record = {
        "form": form.model_dump(mode="json"),
        "design": plan.design,
        "readers": list(plan.readers),
        "methods": list(methods),
        "sessions": min(plan.sessions or len(methods), len(methods)),
        "washout_days": plan.washout_days,
        "programs": plan.programs,
        "seed": plan.seed,
        "made_from": {"cohort": pairs.folder.name, "split": plan.split},
        "versions": versions(),
        "request": digest,
    }
    files = [out / KEY, out / ORDER, out / LESIONS, *(out / IMAGES / str(row["image"]) for row in keys)]
    commit(out / RECORD, record, files)
    counts = f"{len(cases)} cases × {len(methods)} kinds of image ({', '.join(methods)})"
    say(f"study: {out}: {counts}, {len(plan.readers)} readers, {len(training)} training cases")
    return out


def _check_plan(plan: StudyPlan) -> None:
    bad = next((name for name in plan.readers if not Name.fullmatch(name)), None)
    if bad is not None or len(set(plan.readers)) < len(plan.readers) or not plan.readers:
        found = quoted(bad) if bad is not None else quoted(", ".join(plan.readers))
        raise UserError(f"--reader {found}: expected names of their own, of up to 40 letters, digits, spaces, . _ and -")
    if plan.design == "split-plot" and not 2 <= plan.groups <= len(plan.readers):
        raise UserError(f"--groups {plan.groups}: expected 2 to {len(plan.readers)}, the number of readers")
    if plan.sessions is not None and plan.sessions < 1:
        raise UserError(f"--sessions {plan.sessions}: expected at least 1")


def _named_folders(restored: Sequence[str]) -> Iterator[tuple[str | None, Path]]:
    """Each folder that was named, or that a pattern finds, with the method's name where one was given."""
    for text in restored:
        name, equals, place = text.partition("=")
        if equals and "/" not in name:
            yield name, Path(place)
            continue
        found = sorted(glob.glob(text)) if glob.has_magic(text) else [text]
        if not found:
            raise UserError(f"--from {text} finds no folder")
        yield from ((None, Path(one)) for one in found)


def _restored_images(named: Sequence[tuple[str | None, Path]], pairs: Pairs) -> dict[str, dict[str, Path]]:
    found: dict[str, dict[str, Path]] = {}
    for name, folder in named:
        try:
            one = find_restorations(folder, pairs, name)
        except UserError as error:
            raise UserError(str(error).replace("say it with --method", "say --from METHOD=FOLDER")) from None
        if one.method in found:
            raise UserError(f"{folder} is of the method {one.method}, as another folder is; say --from NAME={folder}")
        if one.method in RESERVED or not one.method:
            raise UserError(f"{folder}: a method cannot be called {quoted(one.method)}")
        found[one.method] = one.images
    return found


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
                f"{pairs.source} row {pair.row} has {form.truth} {quoted(text)}, expected 0 or 1: the truth of a decision"
            )
        yield _Case(pair.case, pair.subject, int(float(text)), (pair,))


def _choose(
    cases: list[_Case], images: Sequence[Mapping[str, Any]], most: int | None, rng: np.random.Generator
) -> list[_Case]:
    """The cases that all methods have, at most so many, with their share of positive ones."""
    whole = [one for one in cases if all(p.case in have for have in images for p in one.pairs)]
    if not whole:
        raise UserError(f"no case has an image of every method: {len(cases)} cases in the split")
    if len(whole) < len(cases):
        say(f"note: {len(cases) - len(whole)} of {len(cases)} cases lack an image of a method and are left out")
    if most is None or most >= len(whole):
        return whole
    positive = [one for one in whole if one.truth]
    wanted = round(most * len(positive) / len(whole))
    wanted = min(max(wanted, min(1, len(positive))), most)
    keep = {id(whole[int(k)]) for k in rng.permutation(len(whole))[:0]}
    for group, count in ((positive, wanted), ([one for one in whole if not one.truth], most - wanted)):
        keep |= {id(group[int(k)]) for k in rng.permutation(len(group))[:count]}
    return [one for one in whole if id(one) in keep]


def _training(
    pairs: Pairs, form: ReaderForm, plan: StudyPlan, methods: Mapping[str, Mapping[str, Any]], rng: np.random.Generator
) -> list[tuple[_Case, str]]:
    """Cases of other splits, positive and negative in turn, degraded and clean in turn."""
    others = [s for s in ("train", "val", "test") if s != plan.split][: 1 if form.pairs else 2]
    try:
        found = [one for split in others for one in _cases(pairs, form, split)] if plan.training else []
    except UserError:  # their truth may be unknown
        found = []
    found = [one for one in found if all(p.case in methods["clean"] for p in one.pairs)]
    drawn = [found[int(k)] for k in rng.permutation(len(found))]
    kinds = [[one for one in drawn if one.truth == truth] for truth in (1, 0)]
    turns = [one for both in zip(*kinds, strict=False) for one in both]
    if len(turns) < plan.training:
        say(f"note: {len(turns)} training cases instead of {plan.training}: the other splits have no more with a truth")
    return [(one, ("input", "clean")[(k // 2) % 2]) for k, one in enumerate(turns[: plan.training])]


def _write_images(
    out: Path,
    form: ReaderForm,
    cases: Sequence[_Case],
    training: Sequence[tuple[_Case, str]],
    methods: Mapping[str, Mapping[str, Path]],
    rng: np.random.Generator,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All images, called by drawn numbers, and the rows of ``key.csv`` and ``lesions.csv``."""
    wanted = [(case, list(methods)) for case in cases] + [(case, [method]) for case, method in training]
    names = iter(rng.permutation(sum(len(which) for _, which in wanted)).tolist())
    keys: list[dict[str, Any]] = []
    lesions: list[dict[str, Any]] = []
    with progress("study", len(wanted), "cases") as bar:
        for case, which in wanted:
            images = {m: _read(case, [methods[m][p.case] for p in case.pairs]) for m in which}
            reference = images.get("clean") or next(iter(images.values()))
            for method, (data, _) in images.items():
                if data.shape != reference[0].shape:
                    raise UserError(
                        f"case {case.name}: the image of {method} has the grid {data.shape[:3]}, that of "
                        f"{'clean' if 'clean' in images else which[0]} {reference[0].shape[:3]}; expected one grid"
                    )
            common = _common(case, images, reference)
            low, high = common["low"], common["high"]
            for method, (data, _) in images.items():
                name = f"{next(names) + 1:05d}.raw"
                with atomic(out / IMAGES / name, durable=False) as partial:
                    partial.write_bytes(stored(data, low, high, common["bits"]).tobytes())
                keys.append({"image": name, "case": case.name, "subject": case.subject, "method": method, **common})
            lesions += _lesions(case, form, reference[1])
            bar.advance()
    return sorted(keys, key=lambda row: str(row["image"])), lesions


def _common(case: _Case, images: Mapping[str, Any], reference: tuple[NDArray[np.float32], Any]) -> dict[str, Any]:
    """What all images of a case share, so that it tells nothing of the method."""
    photo = is_photo_name(case.pairs[0].degraded)
    every = [np.nan_to_num(data) for data, _ in images.values()]
    ends = [np.percentile(data, _ENDS) for data in every]
    low, high = (0.0, 1.0) if photo else (min(0.0, *(float(e[0]) for e in ends)), max(float(e[1]) for e in ends))
    bits = 8 if photo else 16
    white = float(np.percentile(np.nan_to_num(reference[0]), _SHOWN))
    shown = [round(float(np.clip((v - low) / max(high - low, 1e-12), 0, 1)) * (2**bits - 1)) for v in (0.0, white)]
    values = dict(zip(("x", "y", "z", "channels"), reference[0].shape, strict=True))
    values |= dict(zip(("dx", "dy", "dz"), (round(float(v), 4) for v in reference[1]), strict=True))
    shown = [0, 255] if photo else [shown[0], max(shown[1], shown[0] + 1)]
    return values | {
        **{"truth": case.truth, "bits": bits, "low": float(f"{low:.6g}"), "high": float(f"{high:.6g}")},
        **{"window_low": shown[0], "window_high": shown[1]},
    }


def _read(case: _Case, paths: Sequence[Path]) -> tuple[NDArray[np.float32], tuple[float, float, float]]:
    """(X, Y, Z, C) in the axes of RAS and the voxel's edges in mm; two photos stand side by side."""
    found = []
    for path, pair in zip(paths, case.pairs, strict=True):
        series = pair.series("degraded") if path == pair.degraded else pair.series("clean") if path == pair.clean else ""
        volume = read_volume(path, finite=False, axes="RAS", series=series)
        photo = is_photo_name(path)
        data = volume.colours[:, :, None, :] if photo and volume.colours is not None else volume.data[..., None]
        # Pixels run to the left and back of a world; the viewer turns both round again.
        found.append((data[::-1, ::-1] if photo else data, (1.0, 1.0, 1.0) if photo else volume.voxel_size))
    if len(found) == 1:
        return found[0][0], found[0][1]
    channels = max(data.shape[3] for data, _ in found)
    height = max(data.shape[1] for data, _ in found)
    both = [np.broadcast_to(data, (*data.shape[:3], channels)) for data, _ in found]
    both = [np.pad(data, ((0, 0), (height - data.shape[1], 0), (0, 0), (0, 0))) for data in both]
    gap = np.zeros((_GAP, *both[0].shape[1:]), np.float32)
    return np.concatenate([both[1], gap, both[0]]), (1.0, 1.0, 1.0)


def _lesions(case: _Case, form: ReaderForm, spacing: Sequence[float]) -> Iterator[dict[str, Any]]:
    """Middle (voxels) and radius (mm, of a ball of that volume) of each lesion of a case."""
    from scipy import ndimage

    path = case.pairs[0].path(form.masks) if form.masks else None
    if path is None:
        return
    mask = read_volume(path, axes="RAS").data > 0
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    middles = ndimage.center_of_mass(mask, labels, range(1, count + 1))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:] * float(np.prod(spacing))
    for middle, size in zip(middles, sizes.tolist(), strict=True):
        place = dict(zip(("x", "y", "z"), (round(float(v), 2) for v in middle), strict=True))
        yield {"case": case.name, **place, "radius": round(float((3 * size / (4 * np.pi)) ** (1 / 3)), 2)}


def _order(
    plan: StudyPlan,
    cases: Sequence[_Case],
    training: Sequence[tuple[_Case, str]],
    methods: list[str],
    keys: Sequence[Mapping[str, Any]],
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Rows of ``order.csv``."""
    name = {(row["case"], row["method"]): row["image"] for row in keys}
    groups = plan.groups if plan.design == "split-plot" else 1
    parts = deal_cases([one.subject for one in cases], [one.truth for one in cases], groups, rng)
    if not all(parts):
        raise UserError(f"--groups {groups}: expected at most as many as there are subjects")
    mine = [parts[number % groups] for number in range(len(plan.readers))]
    sessions = min(plan.sessions or len(methods), len(methods))
    rows: list[dict[str, Any]] = []
    for reader, shown in zip(plan.readers, plan_orders(mine, len(methods), sessions, plan.repeats, rng), strict=True):
        first = [(0, name[case.name, method], False, True) for case, method in training]
        then = [(one.session, name[cases[one.case].name, methods[one.method]], one.repeat, False) for one in shown]
        for session, image, repeat, practice in first + then:
            rows.append(
                {
                    **{"serial": len(rows) + 1, "reader": reader, "session": session, "image": image},
                    **{"repeat": int(repeat), "training": int(practice)},
                }
            )
    return rows
