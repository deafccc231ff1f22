"""Drawn faces laid out like LFW: people differ in their shapes, images of one person in place, light and noise."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from taskgan.prepare.lfw import LfwPreparation, prepare_lfw
from taskgan.recipe import Recipe, parse_recipe
from taskgan.recipe.generator import Blur, Down

Array = NDArray[Any]
EDGE = 32
LEARNT = tuple(f"Learnt_{k}" for k in range(8))
TESTED = tuple(f"Tested_{k}" for k in range(6))
EACH = 3


def face(person: int, number: int) -> Array:
    """(rows, columns), 0 to 255: an oval with eyes, brows and a mouth where this person has them."""
    own, here = np.random.default_rng([1, person]), np.random.default_rng([2, person, number])
    down, right = np.mgrid[0:EDGE, 0:EDGE] + 0.4 * here.normal(size=(2, 1, 1))
    wide, high, apart, level, mouth = own.uniform([9, 12, 3.5, 10, 20], [13, 15, 7, 14, 25])
    image = 60 * own.random() + 130.0 * (((right - 16) / wide) ** 2 + ((down - 16) / high) ** 2 < 1)
    for side in (-1, 1):
        eye = ((right - 16 - side * apart) / own.uniform(1.5, 3)) ** 2 + ((down - level) / own.uniform(1, 2)) ** 2
        image = np.where(eye < 1, 20, image)
    brow = (abs(down - level + 4) < own.uniform(0.6, 1.6)) & (abs(abs(right - 16) - apart) < own.uniform(2, 4))
    smile = (abs(down - mouth) < own.uniform(0.6, 2)) & (abs(right - 16) < own.uniform(2, 6))
    image = np.where(brow | smile, 200 * own.random(), image)
    image = ndimage.gaussian_filter(image, 0.6) * here.uniform(0.95, 1.05) + 2 * here.normal(size=image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def _list(people: tuple[str, ...]) -> str:
    same = [f"{name}\t{a}\t{b}" for name in people for a, b in combinations(range(1, EACH + 1), 2)]
    other = [f"{a}\t{1 + k % EACH}\t{b}\t{1 + k // 2 % EACH}" for k, (a, b) in enumerate(combinations(people, 2))]
    count = min(len(same), len(other))
    return "\n".join([str(count), *same[-count:], *other[:count]]) + "\n"


def draw_lfw(folder: Path) -> Path:
    """Images and both lists."""
    for person, name in enumerate((*LEARNT, *TESTED)):
        (folder / "lfw" / name).mkdir(parents=True)
        for number in range(1, EACH + 1):
            path = folder / "lfw" / name / f"{name}_{number:04d}.png"
            Image.fromarray(face(person, number)).save(path)
    (folder / "pairsDevTrain.txt").write_text(_list(LEARNT[:5]))
    (folder / "pairsDevTest.txt").write_text(_list(TESTED))
    return folder / "lfw"


def draw_cohort(folder: Path) -> Path:
    """What ``taskgan prepare lfw`` makes of them: 8 people to learn from (3 to validate), 6 to test."""
    settings = LfwPreparation(degradation=(Blur(sigma=4 / 3), Down(factor=4)), validation=0.4)
    return prepare_lfw(draw_lfw(folder), folder / "cohort", settings, workers=1)


def faces(**changes: Any) -> Recipe:
    """A recipe for them that takes a second."""
    values: dict[str, Any] = {
        "data": {"intensity": {"kind": "none", "output": "unit"}, "augment": {"shift": 1}},
        "generator": {
            "width": 4,
            "max_width": 8,
            "depth": 3,
            "norm": "instance",
            "dropout_layers": 0,
            "residual": True,
        },
        "discriminator": {"widths": [4, 8], "norm": "instance"},
        "task": {
            "kind": "embedding",
            "labels": "subject",
            "size": 16,
            "training": "frozen",
            "pretrain": {"network": "ir", "width": 4, "steps": 20, "sampling": "images", "validate_every": 10},
        },
        "judge": {"network": "convnet", "width": 4, "steps": 20, "validate_every": 10, "seed": 1000, "size": 8},
        "loss": {"lambda_gan": 0.1, "mu_task": 0.1},
        "optimiser": {"steps": 6, "batch_size": 4, "lr": 1e-3, "ema": 0.9},
        "validation": {"every": 3, "save_every": 3},
        "machine": {"accelerator": "cpu", "precision": "32", "channels_last": False, "compile": False},
    }
    return parse_recipe({**values, **changes}, "test")
