"""A folder laid out like LFW, of drawn faces: every person has a shape, every image its light and place."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 136  # pixels; a crop of 128 fits


def procedural_lfw(folder: Path, *, people: int = 16, images: int = 3, pairs: int = 4) -> Path:
    """Images and lists of view 1: the last ``pairs`` + 1 people are on the pairs of the test list.

    Returns:
        The folder, to be given to ``--data``.
    """
    names = [f"Person_{chr(65 + k // 26)}{chr(97 + k % 26)}" for k in range(people)]
    for number, name in enumerate(names):
        (folder / "lfw" / name).mkdir(parents=True)
        for k in range(images):
            face = _face(np.random.default_rng([number]), np.random.default_rng([number, k]))
            Image.fromarray(face).save(folder / "lfw" / name / f"{name}_{k + 1:04d}.png")
    _write_list(folder / "pairsDevTest.txt", names[-pairs - 1 :], pairs)
    _write_list(folder / "pairsDevTrain.txt", names[: pairs + 1], pairs)
    return folder


def _write_list(path: Path, names: list[str], pairs: int) -> None:
    matched = [f"{name}\t1\t2" for name in names[:pairs]]
    mismatched = [f"{names[k]}\t1\t{names[k + 1]}\t1" for k in range(pairs)]
    path.write_text("\n".join([str(pairs), *matched, *mismatched]) + "\n")


def _face(person: np.random.Generator, image: np.random.Generator) -> np.ndarray:
    """(rows, columns) of 8 bits: an oval, two eyes, a mouth, on a sloping background."""
    tall, wide, apart, eye, mouth, tone = person.uniform([40, 28, 10, 3, 8, 0.5], [56, 42, 20, 7, 20, 0.9])
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(float)
    rows -= SIZE / 2 + image.uniform(-4, 4)
    columns -= SIZE / 2 + image.uniform(-4, 4)
    picture = 0.3 + 0.1 * columns / SIZE
    for height, width, x, y, value in (
        (tall, wide, 0.0, 0.0, tone),
        (eye, eye, -apart, -tall / 4, 0.1),
        (eye, eye, apart, -tall / 4, 0.1),
        (4.0, mouth, 0.0, tall / 2, 0.2),
    ):
        inside = (rows - y) ** 2 / height**2 + (columns - x) ** 2 / width**2
        picture += (value - picture) / (1 + np.exp(np.clip(20 * (inside - 1), -50, 50)))
    picture = picture * image.uniform(0.8, 1.1) + image.normal(0, 0.02, picture.shape)
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8)
