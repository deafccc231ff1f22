import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from taskgan.cohort.pairs import Pair, Pairs, read_pairs
from taskgan.cohort.verification import VerificationPair
from taskgan.core.errors import UserError
from taskgan.recipe import parse_recipe
from taskgan.sweep.choose import FILE, MISTAKEN, mistaken_shares, read_mistaken_shares, write_mistaken_shares

FACES = {"task": {"kind": "embedding", "labels": "subject", "size": 2, "training": "frozen"}}
FACES |= {"data": {"intensity": {"kind": "none", "output": "unit"}}}


def person(name: str, number: int) -> Pair:
    path = Path(f"{name}_{number}.png")
    return Pair(1, f"{name}_{number}", name, "val", path, path, None, {}, Path())


def test_it_is_one_minus_the_area_by_person_with_ties_as_halves() -> None:
    rng = np.random.default_rng(0)
    names = [("a", "a"), ("a", "a"), ("b", "b"), ("c", "c"), ("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")]
    pairs = [VerificationPair(0, "val", person(x, 1), person(y, 2)) for x, y in names]
    distances = np.round(rng.random(len(pairs)), 1)
    found = mistaken_shares(distances, pairs)
    others = distances[4:]
    by_hand = [np.mean([(o < d) + 0.5 * (o == d) for o in others]) for d in distances[:4]]
    assert found == pytest.approx({"a": np.mean(by_hand[:2]), "b": by_hand[2], "c": by_hand[3]})


@dataclass(frozen=True)
class Corner:
    """Descriptors are the first two pixels."""

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        return slices[:, 0, :2] + 1e-3


def cohort(folder: Path, images: dict[tuple[str, int], tuple[int, int]]) -> Pairs:
    """Validation people, whose restored images have these first two pixels."""
    (folder / "restored").mkdir(parents=True)
    with (folder / "pairs.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(("case", "subject", "split", "degraded", "clean"))
        for (name, number), corner in images.items():
            case = f"{name}_{number}"
            pixels = np.full((8, 8), 90, np.uint8)
            pixels[0, 0], pixels[1, 0] = corner  # columns are the first axis
            for place in (f"{case}_low.png", f"{case}.png", f"restored/{case}.png"):
                Image.fromarray(pixels).save(folder / place)
            writer.writerow((case, name, "val", f"{case}_low.png", f"{case}.png"))
    return read_pairs(folder, ("case", "subject", "split", "degraded"))


def test_restored_people_are_compared_with_each_other(tmp_path: Path) -> None:
    # c's second image looks like a's: both comparisons with a are nearer than c's own pair.
    corners = {("a", 1): (200, 10), ("a", 2): (200, 12), ("b", 1): (90, 90), ("c", 1): (10, 200), ("c", 2): (200, 10)}
    rows = cohort(tmp_path, corners)
    (tmp_path / "evaluation").mkdir()
    base = parse_recipe(FACES, "faces")
    write_mistaken_shares(tmp_path / "restored", rows, base, Corner(), tmp_path / "evaluation")
    found = read_mistaken_shares(tmp_path / "evaluation")
    assert set(found) == {"a", "c"}
    assert found["a"] < 0.5 < found["c"]
    (tmp_path / "evaluation" / FILE).write_text(f"subject,{MISTAKEN}\na,much\n")
    with pytest.raises(UserError, match="in the column judge_mistaken, expected a finite number"):
        read_mistaken_shares(tmp_path / "evaluation")


def test_where_nobody_has_two_images_there_is_nothing_to_say(tmp_path: Path) -> None:
    rows = cohort(tmp_path, {("a", 1): (200, 10), ("b", 1): (10, 200)})
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / FILE).write_text("of a run before")
    write_mistaken_shares(tmp_path / "restored", rows, parse_recipe(FACES, "faces"), Corner(), tmp_path / "evaluation")
    assert not (tmp_path / "evaluation" / FILE).exists()
    assert read_mistaken_shares(tmp_path / "evaluation") == {}
