"""Descriptors: read together, kept beside the reader, made again where they are damaged or of something else."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pair, read_pairs
from taskgan.judges.descriptors import DescriptorCache, NetworkVerifier, PhotoVerifier, ReaderImage, verifiers
from taskgan.judges.volumes import BATCH
from taskgan.recipe import Data

DATA = Data.model_validate({"intensity": {"kind": "none", "output": "unit"}})


class Corners:
    """A network: the four means of quarters, as a unit vector, one a slice."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def read(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        self.asked.append(len(slices))
        parts = [q.mean(axis=(1, 2)) for half in np.array_split(slices, 2, 1) for q in np.array_split(half, 2, 2)]
        found = np.stack(parts, axis=1) + 1e-3
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


class Counting:
    """Somebody's reader of photos, with a checksum or without; counts whom it was shown."""

    def __init__(self, checksum: str = "", least: int = 0) -> None:
        self.checksum, self.least, self.seen = checksum, least, 0

    def descriptor(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        if min(image.shape) < self.least:
            raise ValueError(f"photos of {image.shape} are too small")
        self.seen += 1
        return image[::8, ::8].ravel()

    def distance(self, first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.abs(first - second).sum(axis=1).astype(np.float64)

    def description(self) -> dict[str, Any]:
        return {"checksum": self.checksum} if self.checksum else {}


def shown(shapes: Sequence[tuple[int, ...]]) -> list[ReaderImage]:
    rng = np.random.default_rng(0)
    return [ReaderImage(None, rng.random(shape).astype(np.float32)) for shape in shapes]


def test_a_network_reads_photos_of_one_size_together_and_each_as_by_itself() -> None:
    reader = Corners()
    images = shown([(1, 8, 8), (1, 6, 10)] * 70)
    found = NetworkVerifier(reader, 40).describe(images)
    assert sorted(reader.asked) == [6, 6, BATCH, BATCH]
    alone = np.stack([NetworkVerifier(Corners(), 40).describe([image])[0] for image in images])
    np.testing.assert_allclose(found, alone, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)


def test_a_volume_has_the_mean_of_its_middle_slices_at_length_one() -> None:
    [volume] = shown([(9, 8, 8)])
    found = NetworkVerifier(Corners(), 3).describe([volume])[0]
    mean = Corners().read(volume.slices[3:6]).mean(axis=0)
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), rtol=1e-6)


def test_distances_are_the_readers_own() -> None:
    one, two = np.array([[3.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)
    assert NetworkVerifier(Corners(), 1).distance(one, two) == pytest.approx([np.sqrt(2)])
    assert PhotoVerifier(Counting()).distance(one, two) == pytest.approx([4.0])


def test_networks_come_first_and_keep_their_names() -> None:
    found = verifiers({"judge": Corners()}, {"lbp": Counting(), "judge": Counting()}, slices=40)
    assert [(name, type(one)) for name, one in found.items()] == [("judge", NetworkVerifier), ("lbp", PhotoVerifier)]
    with pytest.raises(ValueError, match="shown a volume"):
        found["lbp"].describe(shown([(2, 8, 8)]))


@pytest.fixture
def rows(drawn: Path) -> list[Pair]:
    return list(read_pairs(drawn).split("test"))


def studio(folder: Path, **readers: Counting) -> DescriptorCache:
    return DescriptorCache(verifiers({}, readers, slices=40), DATA, 40, folder)


def test_what_was_described_is_kept_and_not_described_again(rows: list[Pair], tmp_path: Path) -> None:
    reader = Counting("a")
    first = studio(tmp_path, lbp=reader).cohort_descriptors(rows, "clean")["lbp"]
    assert reader.seen == len(rows) == 18
    again = studio(tmp_path, lbp=reader).cohort_descriptors(rows, "clean")["lbp"]
    assert reader.seen == 18
    np.testing.assert_array_equal(first.values, again.values)
    case = rows[5].case
    np.testing.assert_array_equal(again.select([case, case]), first.values[[5, 5]])
    assert len(list(tmp_path.iterdir())) == 1


def test_other_images_rows_readers_and_settings_are_described_anew(rows: list[Pair], tmp_path: Path) -> None:
    reader = Counting("a")
    studio(tmp_path, lbp=reader).cohort_descriptors(rows, "clean")
    asked = [
        lambda: studio(tmp_path, lbp=reader).cohort_descriptors(rows, "input"),
        lambda: studio(tmp_path, lbp=reader).cohort_descriptors(rows[:-1], "clean"),
        lambda: DescriptorCache(verifiers({}, {"lbp": reader}, slices=9), DATA, 9, tmp_path).cohort_descriptors(
            rows, "clean"
        ),
    ]
    for ask in asked:
        before = reader.seen
        ask()
        assert reader.seen > before
    other = Counting("b")
    studio(tmp_path, lbp=other).cohort_descriptors(rows, "clean")
    assert other.seen == 18


def test_an_image_that_was_replaced_is_described_anew(rows: list[Pair], tmp_path: Path) -> None:
    reader = Counting("a")
    clean = rows[0].clean
    assert clean is not None
    studio(tmp_path, lbp=reader).cohort_descriptors(rows, "clean")
    stat = clean.stat()
    os.utime(clean, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    try:
        studio(tmp_path, lbp=reader).cohort_descriptors(rows, "clean")
    finally:
        os.utime(clean, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert reader.seen == 36


def test_a_reader_without_a_checksum_is_always_asked_and_nothing_kept(rows: list[Pair], tmp_path: Path) -> None:
    reader = Counting()
    for _ in range(2):
        studio(tmp_path, mine=reader).cohort_descriptors(rows, "clean")
    assert reader.seen == 36
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "text", "flipped", "shape", "nan", "empty"])
def test_damaged_descriptors_are_made_again(rows: list[Pair], tmp_path: Path, damage: str) -> None:
    reader = Counting("a")
    first = studio(tmp_path, lbp=reader).cohort_descriptors(rows, "clean")["lbp"].values
    [path] = tmp_path.iterdir()
    whole = path.read_bytes()
    held = dict(np.load(path))
    if damage == "shape":
        np.savez(path, **{**held, "descriptors": held["descriptors"][:4]})
    elif damage == "nan":
        np.savez(path, **{**held, "descriptors": held["descriptors"] * np.float32(np.nan)})
    else:
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
        path.write_bytes({"cut": whole[:middle], "text": b"none", "flipped": flipped, "empty": b""}[damage])
    again = studio(tmp_path, lbp=reader).cohort_descriptors(rows, "clean")["lbp"].values
    assert reader.seen == 36
    np.testing.assert_array_equal(again, first)
    assert path.read_bytes() == whole


def test_a_place_that_cannot_be_written_to_costs_only_time(rows: list[Pair], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    reader = Counting("a")
    found = studio(tmp_path / "file" / "below", lbp=reader).cohort_descriptors(rows[:3], "clean")
    assert found["lbp"].values.shape == (3, 16)


def test_a_recognisers_descriptors_are_kept_in_its_folder(rows: list[Pair], tmp_path: Path) -> None:
    store = tmp_path / "judge-0123"
    store.mkdir()
    network = SimpleNamespace(
        read=Corners().read, folder=store, description=lambda: {"network": "ir", "checksum": "c", "more": 1}
    )
    readers = verifiers({"judge": network}, {}, slices=40)
    DescriptorCache(readers, DATA, 40, tmp_path / "elsewhere").cohort_descriptors(rows, "clean")
    assert [path.suffix for path in store.iterdir()] == [".npz"]
    assert not (tmp_path / "elsewhere").exists()
    assert "more" not in readers["judge"].description()


def test_a_reader_that_cannot_describe_the_images_is_left_out_with_its_reason(rows: list[Pair], tmp_path: Path) -> None:
    able, unable = Counting("a"), Counting("b", least=100)
    asked = studio(tmp_path, able=able, unable=unable)
    assert set(asked.cohort_descriptors(rows, "clean")) == {"able"}
    assert asked.failed == {"unable": "photos of (32, 32) are too small"}
    images = {row.case: row.degraded for row in rows}
    assert set(asked.restored_descriptors(rows, images, "gan")) == {"able"}
    assert unable.seen == 0


def test_networks_see_images_in_the_degraded_images_units(rows: list[Pair], tmp_path: Path) -> None:
    seen: list[NDArray[np.float32]] = []
    reader = SimpleNamespace(read=lambda slices: (seen.append(slices), np.ones((len(slices), 2), np.float32))[1])
    DescriptorCache(verifiers({"judge": reader}, {}, slices=40), Data(), 40, tmp_path).cohort_descriptors(
        rows[:1], "clean"
    )
    from taskgan.images.volumes import read_volume

    assert rows[0].clean is not None
    clean, degraded = (read_volume(path).data[:, :, 0] for path in (rows[0].clean, rows[0].degraded))
    np.testing.assert_allclose(seen[0][0], clean / degraded[degraded > 0].mean(), rtol=1e-5)
