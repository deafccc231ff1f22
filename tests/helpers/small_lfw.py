"""A folder laid out like LFW: eight people with two or three small portraits each, and the lists of view 1."""

from pathlib import Path

import numpy as np
from PIL import Image

PEOPLE = ("Ann_A", "Bob_B", "Cid_C", "Dora_D", "Eve_E", "Fritz_F", "Gus_G", "Hanna_H")
TRAIN = "2\nAnn_A\t1\t2\nBob_B\t1\t2\nAnn_A\t1\tBob_B\t1\nBob_B\t2\tCid_C\t1\n"
TEST = "1\nDora_D\t1\t2\nDora_D\t1\tEve_E\t2\n"


def portrait(seed: int, shape: tuple[int, ...] = (48, 40)) -> Image.Image:
    """(rows, columns[, 3]), smooth."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 5, *shape[2:]), dtype=np.uint8))
    return coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)


def small_lfw(folder: Path, *, colour: bool = False) -> Path:
    images = folder / "lfw"
    for number, person in enumerate(PEOPLE):
        (images / person).mkdir(parents=True)
        for k in range(1, 4 if number % 2 else 3):
            shape = (48, 40, 3) if colour else (48, 40)
            portrait(10 * number + k, shape).save(images / person / f"{person}_{k:04d}.jpg", quality=95)
    (folder / "pairsDevTrain.txt").write_text(TRAIN)
    (folder / "pairsDevTest.txt").write_text(TEST)
    return images
