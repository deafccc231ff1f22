"""LFW's layout and lists become a cohort; whatever is wrong with them is named before anything is written."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from small_lfw import TEST, TRAIN, portrait, small_lfw
from taskgan.cli import app
from taskgan.cohort.check import check_cohort
from taskgan.cohort.folder import read_description
from taskgan.cohort.pairs import read_pairs
from taskgan.core.errors import Problems, UserError
from taskgan.degrade.degradation import Degradation
from taskgan.images.photos import read_photo
from taskgan.images.volumes import read_volume
from taskgan.prepare import photos as making
from taskgan.prepare.lfw import LfwPreparation, find_images, prepare_lfw
from taskgan.recipe import Data
from taskgan.recipe.generator import Blur, Down

STEPS = (Blur(sigma=8 / 3), Down(factor=8))


def settings(**values: Any) -> LfwPreparation:
    return LfwPreparation(degradation=STEPS, **values)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def lfw(tmp_path: Path) -> Path:
    return small_lfw(tmp_path)


def test_people_of_test_pairs_are_test_people_and_clean_images_stay_where_they_are(lfw: Path, tmp_path: Path) -> None:
    out = prepare_lfw(lfw, tmp_path / "out", settings(), workers=2)
    pairs = read_pairs(out)
    assert len(pairs) == 20
    split = {pair.subject: pair.split for pair in pairs}
    assert {s for s, name in split.items() if name == "test"} == {"Dora_D", "Eve_E"}
    assert list(split.values()).count("val") == 1
    assert {pair.label for pair in pairs if pair.subject == "Bob_B"} == {1.0}
    assert len({pair.label for pair in pairs}) == 8
    check_cohort(pairs, Data(), labels=False)
    pair = pairs.rows[0]
    assert pair.clean is not None
    assert pair.clean.resolve() == lfw / "Ann_A" / "Ann_A_0001.jpg"
    assert not Path(pair.columns["clean"]).is_absolute()
    assert not (out / "clean").exists()
    clean, degraded = read_volume(pair.clean), read_volume(pair.degraded)
    assert degraded.data.shape == (40, 48, 1)
    expected = Degradation(STEPS).apply(clean.data[:, :, 0])
    np.testing.assert_allclose(degraded.data[:, :, 0], expected, atol=0.51 / 255)
    about = read_description(out)
    found = Degradation.from_description(about)
    assert found is not None
    assert found.steps == STEPS
    assert about["complete"]
    assert about["measured"] | {"images": 20, "people": 8, "train": 5, "val": 1, "test": 2} == about["measured"]
    assert about["measured"]["clean_back_projection"] < 1 / 255
    assert found.consistency(clean.data[:, :, 0], degraded.data[:, :, 0]) < 1 / 255


def test_the_pairs_of_both_lists_are_a_table(lfw: Path, tmp_path: Path) -> None:
    out = prepare_lfw(lfw, tmp_path / "out", settings())
    with (out / "verification.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["set"] for row in rows] == ["train"] * 4 + ["test"] * 2
    assert rows[0] == {"set": "train", "first": "Ann_A_0001", "second": "Ann_A_0002", "same": "1"}
    assert rows[-1] == {"set": "test", "first": "Dora_D_0001", "second": "Eve_E_0002", "same": "0"}
    split = {pair.case: pair.split for pair in read_pairs(out)}
    assert all(split[row[k]] == "test" for row in rows if row["set"] == "test" for k in ("first", "second"))
    assert all(split[row[k]] != "test" for row in rows if row["set"] == "train" for k in ("first", "second"))


@pytest.mark.parametrize("colour", [False, True])
def test_crop_and_size_write_clean_images(tmp_path: Path, colour: bool) -> None:
    images = small_lfw(tmp_path, colour=True)
    out = prepare_lfw(images, tmp_path / "out", settings(crop=40, size=32, colour=colour))
    pair = read_pairs(out).rows[0]
    assert pair.clean is not None
    assert pair.clean.resolve().is_relative_to(out)
    clean, degraded = read_photo(pair.clean), read_photo(pair.degraded)
    assert clean.pixels.shape == degraded.pixels.shape == (32, 32, 3 if colour else 1)
    with Image.open(images / "Ann_A" / "Ann_A_0001.jpg") as opened:
        whole = opened.crop((0, 4, 40, 44)).resize((32, 32), Image.Resampling.LANCZOS).convert("L")
    np.testing.assert_allclose(clean.luminance.T * 255, np.asarray(whole), atol=2.5)
    assert Degradation(STEPS).consistency(clean.luminance, degraded.luminance) < 1 / 255


def test_an_interrupted_call_goes_on_and_all_ways_give_the_same_bytes(
    lfw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prepare_lfw(lfw, tmp_path / "whole", settings(size=24), workers=1)
    out = tmp_path / "out"
    written = making.write_photo
    count = 0

    def failing(path: Path, *args: Any, **kwargs: Any) -> None:
        nonlocal count
        count += 1
        if count > 7:
            raise KeyboardInterrupt
        written(path, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(making, "write_photo", failing)
        with pytest.raises(KeyboardInterrupt):
            prepare_lfw(lfw, out, settings(size=24), workers=1)
    assert not (out / "pairs.csv").exists()
    assert len(list((out / "degraded").rglob("*.png"))) == 3
    with pytest.raises(UserError, match=r"was begun with size = 24, now asked for size = 32"):
        prepare_lfw(lfw, out, settings(size=32))
    prepare_lfw(lfw, out, settings(size=24), workers=3)
    assert content(out) == content(whole)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    prepare_lfw(lfw, out, settings(size=24))
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    prepare_lfw(lfw, out, settings(size=32), overwrite=True)
    assert read_description(out)["settings"]["size"] == 32


def test_a_folder_that_holds_something_else_is_left_alone(lfw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("kept")
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"is not empty and was not"):
            prepare_lfw(lfw, out, settings(), overwrite=overwrite)
    assert content(out) == {"thesis.txt": b"kept"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("Train", "", r"begins with nothing, expected the number"),
        ("Train", "Ann_A\t1\t2\n", r"begins with 'Ann_A\\t1\\t2', expected the number"),
        ("Train", "10 300\n", r"begins with '10 300', expected the number"),
        ("Train", "1\nAnn_A\t1\n", r"line 2 has 2 columns, expected 3 .* or 4"),
        ("Train", "1\nAnn_A\tone\t2\n", r"line 2 has one and 2, expected numbers"),
        ("Train", "1\nAnn_A\t1\tAnn_A\t2\n", r"line 2 has Ann_A twice"),
        ("Train", "1\nAnn_A\t2\t2\n", r"line 2 has the image 2 of Ann_A twice"),
        ("Train", TRAIN.replace("2\n", "3\n", 1), r"2 matched pairs, its first line says 3"),
        ("Test", TEST + "Dora_D\t2\tEve_E\t1\n", r"2 mismatched pairs, its first line says 1"),
        ("Test", TEST.replace("Eve_E", "Ann_A"), r"Ann_A is in both pairsDevTrain.txt and pairsDevTest.txt"),
        ("Test", TEST.replace("Eve_E\t2", "Eve_E\t9"), r"pairsDevTest.txt line 3 names Eve_E/Eve_E_0009"),
    ],
)
def test_what_is_wrong_with_a_list_is_named_and_nothing_is_written(
    lfw: Path, tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / f"pairsDev{name}.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        prepare_lfw(lfw, tmp_path / "out", settings())
    assert not (tmp_path / "out").exists()


def test_missing_folders_and_lists_are_named(lfw: Path, tmp_path: Path) -> None:
    (tmp_path / "deep" / "void").mkdir(parents=True)
    with pytest.raises(UserError, match=r"void holds no folders of images called"):
        prepare_lfw(tmp_path / "deep" / "void", tmp_path / "out", settings())
    shutil.copytree(lfw, tmp_path / "deep" / "lfw")
    with pytest.raises(UserError, match=r"no pairsDevTrain.txt in .*lfw or beside it"):
        prepare_lfw(tmp_path / "deep" / "lfw", tmp_path / "out", settings())
    shutil.rmtree(tmp_path / "deep" / "lfw")
    with pytest.raises(UserError, match=r"holds no folders of images called"):
        find_images(tmp_path / "deep")
    assert find_images(tmp_path) == find_images(lfw)
    portrait(3).save(lfw / "Ann_A" / "Ann_A_0001.png")
    with pytest.raises(UserError, match=r"Ann_A holds Ann_A_0001.jpg and Ann_A_0001.png, expected one"):
        prepare_lfw(lfw, tmp_path / "out", settings())
    (lfw / "Ann_A" / "Ann_A_0001.png").unlink()
    (tmp_path / "pairsDevTest.txt").rename(tmp_path / "mine.txt")
    out = prepare_lfw(lfw, tmp_path / "out", settings(), test_list=tmp_path / "mine.txt")
    assert len(read_pairs(out).split("test")) == 5


def test_damaged_images_are_all_named_and_the_rest_is_kept(lfw: Path, tmp_path: Path) -> None:
    bad = [lfw / "Ann_A" / "Ann_A_0001.jpg", lfw / "Gus_G" / "Gus_G_0002.jpg"]
    bad[0].write_bytes(bad[0].read_bytes()[:300])
    portrait(0, (8, 8)).save(bad[1])
    with pytest.raises(Problems, match=r"2 of 20 images cannot be prepared") as caught:
        prepare_lfw(lfw, tmp_path / "out", settings())
    assert "Ann_A_0001.jpg cannot be read as an image" in caught.value.problems[0]
    assert "8×8 pixels, expected at least 16×16" in caught.value.problems[1]
    assert len(list((tmp_path / "out" / "degraded").rglob("*.png"))) == 18
    assert not (tmp_path / "out" / "pairs.csv").exists()
    for k, path in enumerate(bad):
        portrait(k).save(path)
    assert len(read_pairs(prepare_lfw(lfw, tmp_path / "out", settings()))) == 20


def test_the_command_line(lfw: Path, tmp_path: Path) -> None:
    words = ["prepare", "lfw", str(lfw), str(tmp_path / "out"), "--factor", "4", "--size", "32", "--workers", "1"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "20 images of 8 people (5 train, 1 val, 2 test), 6 pairs to verify" in done.output
    found = Degradation.from_description(read_description(tmp_path / "out"))
    assert found is not None
    assert found.steps == (Blur(sigma=4 / 3), Down(factor=4))
    failed = CliRunner().invoke(app, [*words[:3], str(tmp_path / "other"), "--resampler", "magic"])
    assert isinstance(failed.exception, Problems)
    assert "degradation.1" in str(failed.exception)
