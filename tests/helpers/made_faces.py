"""Evaluations of procedural faces, written as files: photos, cases, and distances of readers that see who is who."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from taskgan.core.files import write_yaml
from taskgan.evaluate.cases import write_case_table
from taskgan.judges.verification import bootstrap_by_person

Array = NDArray[Any]
# How much of a person a reader sees (signal), and how much of it is left of each kind of image.
READERS = {"task": 1.6, "judge": 1.2, "lbp": 0.75, "eigenfaces": 0.28}
KEPT = {"clean": 1.0, "input": 0.35, "l1": 0.62, "gan": 0.6, "task_gan": 0.78, "task_gan_25d": 0.8}
MEASURE = "Mean distance of unit descriptors from the clean image's over the middle slices"
SHARPER = {"input": 0.0, "l1": 0.62, "gan": 0.5, "task_gan": 0.6, "task_gan_25d": 0.66}


def face(person: int, number: int, size: int = 64, *, colour: bool = False) -> Array:
    """A photo (H, W) or (H, W, 3), 0 to 1: proportions are the person's, light and pose the photo's."""
    who, when = np.random.default_rng([person, 7]), np.random.default_rng([person, number, 11])
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    x, y = x - 0.08 * when.normal(), y - 0.05 * when.normal()
    wide, tall = who.uniform(0.5, 0.68), who.uniform(0.68, 0.85)
    skin, hair, ground = who.uniform(0.5, 0.85), who.uniform(0.05, 0.5), when.uniform(0.15, 0.7)
    image = np.full((size, size), ground)
    image[(x / wide / 1.12) ** 2 + ((y + 0.12) / tall / 1.1) ** 2 < 1] = hair
    image[((x / wide) ** 2 + ((y - 0.08) / tall) ** 2 < 1) & (y > who.uniform(-0.55, -0.3))] = skin
    apart, high, eye = who.uniform(0.2, 0.3), who.uniform(-0.18, -0.05), who.uniform(0.06, 0.1)
    for side in (-1, 1):
        image[((x - side * apart) / eye / 1.6) ** 2 + ((y - high) / eye) ** 2 < 1] = 0.95
        image[((x - side * apart) / eye) ** 2 + ((y - high) / eye) ** 2 < 0.6] = who.uniform(0.05, 0.3)
        image[(np.abs(x - side * apart) < 1.7 * eye) & (np.abs(y - high + 0.15) < 0.03)] = hair
    image[(np.abs(x) < who.uniform(0.05, 0.1)) & (np.abs(y - 0.15) < 0.12)] *= 0.85
    image[(x / who.uniform(0.16, 0.28)) ** 2 + ((y - 0.45) / who.uniform(0.04, 0.09)) ** 2 < 1] = 0.3
    image = ndimage.gaussian_filter(image * (1 + 0.25 * when.normal() * x), 0.6)
    image = np.clip(image + 0.01 * when.normal(size=image.shape), 0, 1)
    return np.clip(image[..., None] * (1.0, 0.86, 0.74), 0, 1) if colour else image


def degraded(image: Array) -> Array:
    """Blurred, with a fourth of the pixels, and back."""
    blur = (1.5, 1.5, 0)[: image.ndim]
    step = (slice(None, None, 4),) * 2
    zoom = (4, 4, 1)[: image.ndim]
    return np.clip(ndimage.zoom(ndimage.gaussian_filter(image, blur)[step], zoom, order=1), 0, 1)


def make_faces(
    root: Path,
    methods: Sequence[tuple[str, int]],
    *,
    people: int = 14,
    size: int = 32,
    colour: bool = False,
    verification: bool = True,
) -> list[Path]:
    """Evaluation folders, one a method and seed, of two photos of each person.

    ``cases.csv`` names photos that lie beside, ``verification.csv`` has all pairs of one person and four times as
    many of two, and train and validation pairs.
    """
    photos = {(p, n): face(p, n, size, colour=colour) for p in range(people) for n in (1, 2)}
    poor = {key: degraded(image) for key, image in photos.items()}
    for kind, images in (("clean", photos), ("input", poor)):
        for key, image in images.items():
            _save(root / kind / f"{_case(*key)}.png", image)
    folders = []
    for method, seed in methods:
        folder = root / f"{method}-{seed}"
        rng = np.random.default_rng([seed, len(method)])
        rows: list[dict[str, Any]] = []
        for key, image in photos.items():
            share = SHARPER[method] + 0.05 * rng.normal()
            restored = np.clip(share * image + (1 - share) * poor[key] + 0.01 * rng.normal(size=image.shape), 0, 1)
            _save(folder / "restored" / f"{_case(*key)}.png", restored)
            for name, own in (("input", poor[key]), ("clean", image), (method, restored)):
                rows.append(_row(key, name, own, image, seed if name == method else None))
        write_case_table(folder / "cases.csv", rows)
        _with_back_projection(folder / "cases.csv", method)
        record = {
            "method": method,
            "seed": seed,
            "property": {"kind": "embedding", "labels": ["subject"], "measure": ["distance", MEASURE]},
            "settings": {"suvr_cut": 1.38},
            "readers": {"judge": {"network": "gradients", "checksum": "1" * 64}},
        }
        if verification:
            told = {"judge": {"auc": {"estimate": 0.91}}, "lbp": {"checksum": "2" * 64, "auc": {"estimate": 0.8}}}
            record["verification"] = {"readers": told}
        write_yaml(folder / "evaluation.yaml", record)
        if verification:
            write_pairs(folder / "verification.csv", method, seed, people)
        folders.append(folder)
    return folders


@contextmanager
def few_draws(count: int = 60) -> Iterator[None]:
    """Bootstraps of people with few draws: their ends are not what these tests are about, and the time is."""
    few = partial(bootstrap_by_person, resamples=count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("taskgan.judges.verification.bootstrap_by_person", few)
        patch.setattr("taskgan.report.study.bootstrap_by_person", few)
        yield


def _case(person: int, number: int) -> str:
    return f"Person_{person:03d}_{number:04d}"


def _save(path: Path, image: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.round(255 * image).astype(np.uint8)).save(path)


def _row(key: tuple[int, int], method: str, image: Array, clean: Array, seed: int | None) -> dict[str, Any]:
    error = float(np.sqrt(((image - clean) ** 2).mean()))
    where = {"clean": "../clean", "input": "../input"}.get(method, "restored")
    name = f"{_case(*key)}.png"
    return {
        "case": _case(*key),
        "subject": f"Person_{key[0]:03d}",
        "label": key[0],
        "method": method,
        "seed": seed,
        "psnr": float("inf") if error == 0 else -20 * np.log10(error),
        "ssim": 1 - 3 * error,
        "rmse": error,
        "rmse_relative": error / float(np.sqrt((clean**2).mean())),
        "task_mae": 0.0 if method == "clean" else 1.1 - KEPT[method],
        "judge_mae": 0.0 if method == "clean" else 1.2 - KEPT[method] + 0.01 * key[1],
        "degraded": f"../input/{name}",
        "clean": f"../clean/{name}",
        "restored": f"{where}/{name}",
    }


def _with_back_projection(path: Path, method: str) -> None:
    """As evaluations have it that know how the inputs were made."""
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    levels = {"clean": 0.0012, "input": 0.021, method: 0.0084}
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, [*rows[0], *(() if "back_projection" in rows[0] else ("back_projection",))])
        writer.writeheader()
        writer.writerows([row | {"back_projection": levels[row["method"]]} for row in rows])


def write_pairs(path: Path, method: str, seed: int, people: int, *, kept: float | None = None) -> None:
    """Distances of descriptors in which a person's own part is the smaller the less is kept of the person."""
    names = ("clean", "input", "restored", "input_probe", "restored_probe")
    columns = [f"{reader}_{name}" for reader in READERS for name in names]
    rows = []
    for place, part in enumerate(("test", "train", "val")):
        keys = [(p, n) for p in range(people) for n in (1, 2)]
        pairs = [((p, 1), (p, 2)) for p in range(people)]
        others = [(a, b) for a, b in combinations(keys, 2) if a[0] != b[0]]
        drawn = np.random.default_rng([place, 5]).permutation(len(others))[: 4 * people]
        pairs += [others[k] for k in drawn]
        found: dict[str, Array] = {}
        for index, (reader, signal) in enumerate(READERS.items()):
            seen = {
                name: _descriptors(keys, signal, share, [place, index, *noise])
                for name, share, noise in (
                    ("clean", 1.0, [1]),
                    ("input", KEPT["input"], [2]),
                    ("restored", KEPT[method] if kept is None else kept, [3, seed, len(method)]),
                )
            }
            for name in names if part == "test" else ("clean",):
                first = seen[name.removesuffix("_probe")]
                second = seen["clean"] if name.endswith("_probe") else first
                found[f"{reader}_{name}"] = np.array([np.linalg.norm(first[a] - second[b]) for a, b in pairs])
        for k, (a, b) in enumerate(pairs):
            people_of = [f"{part[0].upper()}erson_{p:03d}" if place else f"Person_{p:03d}" for p in (a[0], b[0])]
            row = {"set": part, "first": _case(*a), "second": _case(*b), "same": int(a[0] == b[0])}
            row |= {"first_person": people_of[0], "second_person": people_of[1]}
            rows.append(row | {c: f"{found[c][k]:.8g}" if c in found else "" for c in columns})
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, [*rows[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _descriptors(
    keys: Sequence[tuple[int, int]], signal: float, kept: float, noise: Sequence[int]
) -> dict[tuple[int, int], Array]:
    """Unit vectors of sixteen numbers; a photo's own part is the same for all kinds of image."""
    found = {}
    for p, n in keys:
        own = signal * np.random.default_rng([*noise[:2], p, 1]).normal(size=16)
        photo = np.random.default_rng([*noise[:2], p, n, 2]).normal(size=16)
        lost = np.random.default_rng([*noise, p, n, 3]).normal(size=16)
        vector = kept * (own + photo) + (1 - kept) * 1.6 * lost
        found[p, n] = vector / np.linalg.norm(vector)
    return found
