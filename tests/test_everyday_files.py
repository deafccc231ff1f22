"""Files as they come from scanners, spreadsheets and phones, made by code and run through the command line.

Each row of :data:`KINDS` makes its files in a folder and says what the command ends with and what it says.
"""

import gzip
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

from small_models import AFFINE, save, volume, write
from taskgan.cli import app
from taskgan.cli.entry import main
from taskgan.recipe import Data, IntensityTransform

PET, PHOTO = "pet-model", "photo-model"


@dataclass(frozen=True)
class Kind:
    """One kind of everyday file.

    Attributes:
        name: What it is.
        make: Makes the files in a folder and gives the arguments of ``taskgan``.
        code: Exit code.
        said: What is said, on either stream.
    """

    name: str
    make: Callable[[Path], list[str]]
    code: int = 0
    said: str = ""


def _restore(model: str, inputs: str = "in") -> list[str]:
    return ["restore", model, inputs, "-o", "out"]


def _pet(folder: Path, name: str = "a.nii.gz", side: bytes = b"") -> list[str]:
    save(folder / "in" / name, volume())
    if side:
        (folder / "in" / "a.json").write_bytes(side)
    return _restore(PET)


def _more(kind: str) -> Callable[[Path], list[str]]:
    """A good image, and beside it one of a kind."""

    def make(folder: Path) -> list[str]:
        arguments, place = _pet(folder), folder / "in"
        raw = nib.Nifti1Image(volume(), AFFINE).to_bytes()
        if kind == "upper":
            (place / "B.NII.GZ").write_bytes(gzip.compress(raw))
        elif kind == "pair":
            nib.save(nib.Nifti1Pair(volume(), AFFINE), place / "b.img")
        elif kind == "nifti2":
            nib.save(nib.Nifti2Image(volume(), AFFINE), place / "b.nii")
        elif kind == "annex":
            (place / "b.nii.gz").symlink_to(folder / ".git" / "annex" / "gone")
        elif kind == "mgz":
            (place / "b.mgz").write_bytes(b"x")
        elif kind == "linked":
            save(folder / "store" / "b.nii.gz", volume())
            (place / "sub-01").symlink_to(folder / "store")
        elif kind == "deep":
            save(place / "b.nii.gz", volume())
            (place / "b.json").write_text("[" * 200 + "]" * 200)
        return arguments

    return make


def _bids(folder: Path) -> list[str]:
    for name in ("pet/sub-01_pet", "anat/sub-01_T1w"):
        save(folder / "in" / "sub-01" / f"{name}.nii.gz", volume())
    (folder / "in" / "dataset_description.json").write_text("{}")
    return _restore(PET)


def _photos(name: str, content: bytes | None = None) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / "in").mkdir()
        values = np.random.default_rng(0).integers(0, 255, (20, 24), dtype=np.uint8)
        Image.fromarray(values).save(folder / "in" / "good.png")
        if content is not None:
            (folder / "in" / name).write_bytes(content)
        else:
            Image.fromarray(values).save(folder / "in" / name)
        return _restore(PHOTO)

    return make


def _table(text: str, count: int = 6) -> Callable[[Path], list[str]]:
    """Scans of ``count`` subjects and a table; ``{rows}`` of its text are the rows."""

    def make(folder: Path) -> list[str]:
        rows = []
        for k in range(count):
            for part in ("low", "standard"):
                save(folder / f"{part}{k:02d}.nii.gz", volume(seed=k) * (1.1 if part == "low" else 1))
            rows.append(f"{k:02d};low{k:02d}.nii.gz;standard{k:02d}.nii.gz;{k % 2}.0")
        (folder / "scans.csv").write_bytes(text.replace("{rows}", "\r\n".join(rows)).encode("utf-8-sig"))
        return ["prepare", "pet", "scans.csv", "cohort"]

    return make


def _two_folders(kind: str) -> Callable[[Path], list[str]]:
    """Eight pairs of volumes in low/ and high/, of which some are not what they should be."""

    def make(folder: Path) -> list[str]:
        for k in range(8):
            image = np.zeros((24, 24, 12), np.float32)
            image[4:20, 4:20, 2:10] = ndimage.zoom(
                np.random.default_rng(k).uniform(1, 3, (4, 4, 2)), (4, 4, 4), order=1
            )
            noisy = image * np.random.default_rng(100 + k).gamma(20, 1 / 20, image.shape)
            name = {"swapped": {2: 3, 3: 2}.get(k, k)}.get(kind, k)
            save(folder / "low" / f"{k}.nii.gz", noisy.astype(np.float32))
            save(folder / "high" / f"{name}.nii.gz", image * np.float32(0.01 if kind == "units" and k == 5 else 1))
        return ["prepare", "pairs", "low", "high", "cohort"]

    return make


def _pictures(kind: str, count: int = 6) -> Callable[[Path], list[str]]:
    """Photos in low/ and high/, some of which are small, broken or animated, and the command that is given them."""

    def make(folder: Path) -> list[str]:
        rng = np.random.default_rng(0)
        for place in ("low", "high"):
            (folder / place).mkdir()
        for k in range(count):
            values = ndimage.gaussian_filter(rng.uniform(size=(24, 24, 3)), (3, 3, 0)) * 3 - 1
            image = Image.fromarray((255 * np.clip(values, 0, 1)).astype(np.uint8))
            image.save(folder / "high" / f"{k}.png")
            small = kind == "sizes" and k == 1
            (image.resize((12, 12)) if small else image).save(folder / "low" / f"{k}.png")
            if kind == "broken" and k:
                (folder / "low" / f"{k}.png").write_bytes(b"no photo")
        if kind == "animated":
            image.save(folder / "in.gif", save_all=True, append_images=[image.rotate(90)])
        if kind == "deep":
            Image.fromarray(rng.integers(0, 65535, (24, 24), dtype=np.uint16)).save(folder / "in.png")
        if kind == "folder":
            (folder / "high" / "7.png").write_bytes(b"no photo")
        commands = {
            "animated": ["restore", PHOTO, "in.gif", "-o", "out"],
            "deep": ["restore", PHOTO, "in.png", "-o", "out"],
            "small": ["restore", PHOTO, "low", "-o", "out", "--enlarge", "3"],
            "unknown": ["restore", PHOTO, "low", "-o", "out", "--enlarge", "auto"],
            "folder": ["prepare", "folder", "high", "cohort", "--degrade", "blur:1"],
        }
        return commands.get(kind, ["prepare", "pairs", "low", "high", "cohort"])

    return make


HEADER = "subject;low;standard;label\r\n"
KINDS = [
    Kind("a sidecar with NaN", lambda d: _pet(d, side=b'{"A": NaN, "B": 1}'), said="1 numbers that are NaN"),
    Kind("a sidecar with a byte order mark", lambda d: _pet(d, side=b'\xef\xbb\xbf{"A": 1}')),
    Kind("a sidecar with a trailing comma", lambda d: _pet(d, side=b'{"A": 1,}'), said="a sidecar that is left out"),
    Kind("a sidecar in Latin-1", lambda d: _pet(d, side=b'{"A": "\xe9"}'), said="a sidecar that is left out"),
    Kind("a sidecar that nests too deep", _more("deep"), 3, "1 of 2 images are left out"),
    Kind("capitals", _more("upper"), said="2 images restored"),
    Kind("img and hdr", _more("pair"), said="2 images restored"),
    Kind("NIfTI-2", _more("nifti2"), said="2 images restored"),
    Kind("a link of git-annex that dangles", _more("annex"), said="links that lead nowhere: b.nii.gz"),
    Kind("a format that is not read", _more("mgz"), said="of a format that is not read: b.mgz"),
    Kind("a subject's folder that is a link", _more("linked"), said="2 images restored"),
    Kind("a BIDS data set", _bids, said="1 image restored"),
    Kind("WebP", _photos("b.webp"), said="2 images restored"),
    Kind("GIF", _photos("b.gif"), said="2 images restored"),
    Kind("a broken photo", _photos("b.png", b"no photo"), 3, "1 of 2 images are left out"),
    Kind("a spreadsheet's table", _table(HEADER + "{rows}\r\n;;;\r\n"), said="6 pairs of 6 subjects"),
    Kind("a table with Subject", _table("Subject;low;standard\r\n{rows}"), 2, "Subject must be written subject"),
    Kind("a subject twice", _table(HEADER + "{rows}\r\n00;low00.nii.gz;standard00.nii.gz;0"), 2, "subject 00 again"),
    Kind("pairs of volumes in two folders", _two_folders(""), said="8 pairs of 8 subjects"),
    Kind("one subject in other units", _two_folders("units"), said="not of 5"),
    Kind("standards of two subjects swapped", _two_folders("swapped"), said="are files swapped?"),
    Kind("pairs of photos in two folders", _pictures(""), said="6 pairs of 6 subjects"),
    Kind("LR and HR of two sizes", _pictures("sizes"), 3, "magick 1.png -resize 24x24! LARGE.png"),
    Kind("broken photos by the dozen", _pictures("broken", 30), 3, "… and 19 more (all of them: "),
    Kind("a broken photo among those to degrade", _pictures("folder"), 3, "1 of 7 images are left out"),
    Kind("photos of too few pixels", _pictures("small"), said="6 images restored"),
    Kind("a factor that no card knows", _pictures("unknown"), 2, "does not say by how much"),
    Kind("an animated picture", _pictures("animated"), said="2 frames, of which the first is restored"),
    Kind("16 bits", _pictures("deep"), said="1 image restored"),
    Kind("a scan that is missing", _table(HEADER + "{rows}\r\n09;no.nii.gz;standard00.nii.gz;0", 7), 3, "--skip"),
]


def run(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code, and what is said on either stream."""
    with pytest.raises(SystemExit) as ended:
        main()
        raise SystemExit(0)
    return int(ended.value.code or 0), "".join(capsys.readouterr())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_everyday_files(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / PET)
    write(tmp_path / PHOTO, Data(intensity=IntensityTransform(kind="none", output="unit")))
    monkeypatch.setattr(sys, "argv", ["taskgan", *kind.make(tmp_path)])
    code, said = run(capsys)
    assert code == kind.code, said
    assert kind.said in said, said
    if kind.code == 3:  # what was left out is said again, once
        again = run(capsys)
        assert again[0] == 3, again[1]
        for problem in dict.fromkeys(line for line in again[1].splitlines() if line.startswith("  - ")):
            assert again[1].count(problem) == 1


def test_a_warning_is_in_the_sidecar_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / PET)
    arguments = _pet(tmp_path, side=b'{"A": NaN}')
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert any("NaN" in text for text in json.loads((tmp_path / "out" / "a.json").read_text())["Warnings"])
