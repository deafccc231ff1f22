"""Any folder of images with a degradation becomes a cohort, with or without a table."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from small_lfw import portrait
from taskgan.cli import app
from taskgan.cohort.check import check_cohort
from taskgan.cohort.folder import read_description
from taskgan.cohort.pairs import read_pairs
from taskgan.core.errors import Problems, UserError
from taskgan.degrade.degradation import Degradation, parse_steps
from taskgan.images.photos import read_photo
from taskgan.prepare import photos as photos_module
from taskgan.prepare.folder import FolderPreparation, prepare_folder
from taskgan.recipe import Data
from taskgan.recipe.generator import Noise

NOISY = FolderPreparation(degradation=(Noise(sd=0.05),))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for number in range(8):
        place = folder / f"s{number % 4}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        portrait(number, (24, 20 + number, 3)).save(place)
    return folder


def test_every_step_of_the_command_line_reaches_the_images(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    steps = "blur:1,down:2,noise:0.02,jpeg:60"
    done = CliRunner().invoke(
        app, ["prepare", "folder", str(images), str(out), "--degrade", steps, "--colour", "--by-folder"]
    )
    assert done.exit_code == 0, done.output
    assert "8 images of 4 subjects" in done.output
    pairs = read_pairs(out)
    check_cohort(pairs, Data(), labels=False)
    assert {pair.subject for pair in pairs} == {"s0", "s1", "s2", "s3"}
    found = Degradation.from_description(read_description(out))
    assert found is not None
    assert found.steps == parse_steps(steps)
    first = pairs.rows[0]
    assert first.clean is not None
    clean, degraded = read_photo(first.clean), read_photo(first.degraded)
    assert degraded.pixels.shape == clean.pixels.shape == (20, 24, 3)
    assert 0.001 < found.consistency(clean.pixels, degraded.pixels) < 0.2  # of halved chroma, mostly


def test_noise_does_not_depend_on_order_workers_or_other_images(images: Path, tmp_path: Path) -> None:
    one = prepare_folder(images, tmp_path / "one", NOISY, workers=1)
    noise = [
        read_photo(pair.degraded).luminance - read_photo(pair.clean or Path()).luminance for pair in read_pairs(one)
    ]
    (images / "s0" / "4.png").unlink()
    two = prepare_folder(images, tmp_path / "two", NOISY, workers=3)
    names = sorted(str(p.relative_to(two)) for p in (two / "degraded").rglob("*.png"))
    assert len(names) == 7
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes()
    assert np.std(np.concatenate([n.ravel() for n in noise])) == pytest.approx(0.05, rel=0.1)
    assert abs(np.corrcoef(noise[0].ravel()[:400], noise[1].ravel()[:400])[0, 1]) < 0.2


def test_a_table_says_who_is_where(images: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("image,subject,split,label,site\ns0/0.png,A,train,1,x\ns1/1.png,A,train,1,x\ns2/2.png,B,val,0,y\n")
    out = prepare_folder(images, tmp_path / "out", NOISY, table=table)
    rows = read_pairs(out).rows
    assert [(r.case, r.subject, r.split, r.label, r.columns["site"]) for r in rows] == [
        ("s0_0", "A", "train", 1, "x"),
        ("s1_1", "A", "train", 1, "x"),
        ("s2_2", "B", "val", 0, "y"),
    ]
    table.write_text("image\ns0/0.png\n")
    with pytest.raises(UserError, match=r"was begun with sha256"):
        prepare_folder(images, out, NOISY, table=table)
    prepare_folder(images, out, NOISY, table=table, overwrite=True)
    assert [r.split for r in read_pairs(out)] == ["test"]


def test_whatever_is_wrong_with_rows_is_named_at_once(images: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(
        "image,subject,split,label,case\ns0/0.png,A,train,1,\ns1/1.png,A,test,1,\ns0/0.png,A,train,1,\n"
        "no.png,B,val,0,\n../x.png,B,val,0,\ns2/2.png,C,later,0,\ns3/3.png,D,val,cat,\n,E,val,,\n.,F,val,0,\n"
        "s3/3.png,D,val,nan,\ns0/0.png,A,train,1,again\ns3/3.png,D,val,1,a/b\n"
    )
    with pytest.raises(Problems) as caught:
        prepare_folder(images, tmp_path / "out", NOISY, table=table)
    texts = [
        r"puts subject A into split 'test', another row into 'train'",
        r"would be the case s0_0 like",
        r"is not in",
        r"lies outside of",
        r"has split 'later'",
        r"has label 'cat'",
        r"names no image",
        r"row 10 (.) is not in",
        r"has label 'nan'",
        r"would be written to the place of s0/0.png",
        r"has case 'a/b'",
    ]
    assert len(caught.value.problems) == len(texts)
    for problem, text in zip(caught.value.problems, texts, strict=True):
        assert text in problem
    table.write_text("image,split\ns0/0.png,train\ns1/1.png,\n")
    with pytest.raises(UserError, match=r"some rows of the table have a split and others none"):
        prepare_folder(images, tmp_path / "out", NOISY, table=table)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_prepared_is_named(images: Path, tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    for folder, text in ((tmp_path / "void", "holds no PNG"), (tmp_path / "none", "does not exist")):
        with pytest.raises(UserError, match=text):
            prepare_folder(folder, tmp_path / "out", NOISY)
    portrait(0).save(images / "s0" / "0.jpg")
    with pytest.raises(UserError, match=r"would both be the case s0_0"):
        prepare_folder(images, tmp_path / "out", NOISY)


def test_images_of_another_folder_are_never_taken_for_those(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in a complete cohort nor in one whose making was killed."""
    other = tmp_path / "other"
    for k, path in enumerate(sorted(images.rglob("*.png"))):
        (other / path.relative_to(images)).parent.mkdir(parents=True, exist_ok=True)
        portrait(50 + k).save(other / path.relative_to(images))
    out = prepare_folder(images, tmp_path / "out", NOISY)
    with pytest.raises(UserError, match=r"is complete, but of other images: 8 of 8 .* such as s0_0"):
        prepare_folder(other, out, NOISY)
    (images / "s0" / "4.png").unlink()
    with pytest.raises(UserError, match=r"of other images: 1 of 7 .* such as s0_4"):
        prepare_folder(images, out, NOISY)

    begun = tmp_path / "begun"
    with monkeypatch.context() as patched:
        patched.setattr(photos_module, "write_pairs", _killed)
        with pytest.raises(KeyboardInterrupt):
            prepare_folder(images, begun, NOISY)
    prepare_folder(other, begun, NOISY)
    whole = prepare_folder(other, tmp_path / "whole", NOISY)
    for path in (whole / "degraded").rglob("*.png"):
        assert (begun / path.relative_to(whole)).read_bytes() == path.read_bytes()


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
