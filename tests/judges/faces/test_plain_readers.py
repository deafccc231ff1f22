"""The judges of a cohort that are told no identity: made once, kept, the same for whoever asks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taskgan.cohort.pairs import read_pairs
from taskgan.core.errors import UserError
from taskgan.judges import faces as readers
from taskgan.judges.faces import PhotoReader, photo_readers
from taskgan.recipe import Data

PEOPLE = 24


def person(number: int, photo: int, shape: tuple[int, int] = (48, 40)) -> Image.Image:
    """(rows, columns): a person's own blobs, in another light and with another noise on each photo."""
    own = np.random.default_rng(number).random((8, 7))
    rng = np.random.default_rng(1000 * number + photo)
    seen = 0.2 + 0.5 * rng.random() + 0.4 * (own + 0.15 * rng.normal(size=own.shape) - 0.5)
    coarse = Image.fromarray(np.uint8(255 * np.clip(seen, 0, 1)))
    return coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    (tmp_path / "img").mkdir()
    lines = ["case,subject,split,degraded,clean,label"]
    for number in range(PEOPLE):
        split = "train" if number < PEOPLE - 6 else "val" if number < PEOPLE - 3 else "test"
        for photo in range(3):
            case, path = f"p{number}_{photo}", f"img/p{number}_{photo}.png"
            person(number, photo, (48, 40) if photo else (56, 44)).save(tmp_path / path)
            lines.append(f"{case},p{number},{split},{path},{path},{number}")
    (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def photo_of(cohort: Path, case: str) -> np.ndarray:
    return np.asarray(Image.open(cohort / "img" / f"{case}.png"), dtype=np.float32).T / 255


def spaces(cohort: Path) -> list[Path]:
    return sorted((cohort / "derivatives" / "recognisers").glob("*/space.npz"))


def descriptors(reader: PhotoReader, cohort: Path) -> np.ndarray:
    return np.stack(
        [reader.descriptor(photo_of(cohort, f"p{n}_{k}")) for n in range(PEOPLE - 3, PEOPLE) for k in (1, 2)]
    )


def test_they_tell_people_apart_whom_they_never_saw(cohort: Path) -> None:
    found = photo_readers(read_pairs(cohort), Data())
    assert list(found) == ["lbp", "eigenfaces"]
    for reader in found.values():
        seen = descriptors(reader, cohort)
        same = reader.distance(seen[0::2], seen[1::2])
        other = reader.distance(seen[0::2], np.roll(seen[1::2], 1, axis=0))
        assert same.shape == (3,)
        assert same.mean() < other.mean()
        told = reader.description()
        assert (told["training_images"], told["training_people"], told["labels"]) == (54, 18, "none")
        assert told["size"] == [40, 48]
        assert "10." in told["source"]


def test_they_are_made_once_and_read_again_to_the_bit(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = read_pairs(cohort)
    first = photo_readers(pairs, Data())
    assert len(spaces(cohort)) == 2
    with monkeypatch.context() as patched:
        patched.setattr(readers, "fit_photo_readers", None)  # not called
        again = photo_readers(pairs, Data())
    for name, reader in first.items():
        assert np.array_equal(descriptors(reader, cohort), descriptors(again[name], cohort))
        assert reader.description() == again[name].description()
    for path in spaces(cohort):
        path.unlink()
    made = photo_readers(pairs, Data())
    assert {n: r.description() for n, r in made.items()} == {n: r.description() for n, r in first.items()}


@pytest.mark.parametrize("damage", ["cut", "text", "bit"])
def test_a_damaged_file_is_made_again(cohort: Path, damage: str) -> None:
    pairs = read_pairs(cohort)
    first = photo_readers(pairs, Data())["lbp"]
    path = next(p for p in spaces(cohort) if p.parent.name.startswith("lbp-"))
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "cut": whole[:middle],
            "text": b"no space",
            "bit": whole[:middle] + bytes([whole[middle] ^ 64]) + whole[middle + 1 :],
        }[damage]
    )
    assert photo_readers(pairs, Data())["lbp"].description() == first.description()
    assert len(path.read_bytes()) == len(whole)


def test_other_training_images_make_other_readers_and_test_images_none(cohort: Path) -> None:
    photo_readers(read_pairs(cohort), Data())
    table = cohort / "pairs.csv"
    text = table.read_text()
    table.write_text("\n".join(line for line in text.splitlines() if ",test," not in line) + "\n")
    photo_readers(read_pairs(cohort), Data())
    assert len(spaces(cohort)) == 2
    table.write_text("\n".join(line for line in text.splitlines() if not line.startswith("p0_")) + "\n")
    photo_readers(read_pairs(cohort), Data())
    assert len(spaces(cohort)) == 4


def test_what_is_too_much_is_evenly_chosen(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MOST_IMAGES", 18)
    rows = readers.training_rows(read_pairs(cohort), Data())
    assert [row.case for row in rows] == [f"p{number}_0" for number in range(18)]


def test_a_store_that_cannot_be_written_to_costs_time_alone(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cohort / "file").write_text("in the way")
    found = photo_readers(read_pairs(cohort), Data(), store=cohort / "file")
    assert len(found) == 2
    assert "could not be kept" in "".join(capsys.readouterr())


def test_bad_images_are_refused(cohort: Path) -> None:
    reader = photo_readers(read_pairs(cohort), Data())["lbp"]
    for image in (np.ones((20, 40), np.float32), np.ones((40, 40, 3), np.float32)):
        with pytest.raises(ValueError, match="32×32"):
            reader.descriptor(image)
    with pytest.raises(ValueError, match="NaN"):
        reader.descriptor(np.full((40, 40), np.nan, np.float32))


def test_images_that_are_too_small_or_too_few_or_all_the_same_are_named(cohort: Path) -> None:
    text = (cohort / "pairs.csv").read_text().splitlines()
    (cohort / "pairs.csv").write_text("\n".join(text[:2]) + "\n")
    with pytest.raises(UserError, match="1 clean training image"):
        photo_readers(read_pairs(cohort), Data())
    (cohort / "pairs.csv").write_text("\n".join(text[:3]) + "\n")
    Image.new("L", (24, 40)).save(cohort / "img" / "p0_1.png")
    with pytest.raises(UserError, match="24×40"):
        photo_readers(read_pairs(cohort), Data())
    for k in range(2):
        Image.new("L", (40, 40)).save(cohort / "img" / f"p0_{k}.png")
    with pytest.raises(UserError, match="all faces are the same"):
        photo_readers(read_pairs(cohort), Data())
