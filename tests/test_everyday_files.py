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
    Kind("a scan that is missing", _table(HEADER + "{rows}\r\n09;no.nii.gz;standard00.nii.gz;0", 7), 3, "--skip"),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_everyday_files(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / PET)
    write(tmp_path / PHOTO, Data(intensity=IntensityTransform(kind="none", output="unit")))
    monkeypatch.setattr(sys, "argv", ["taskgan", *kind.make(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
        raise SystemExit(0)
    said = "".join(capsys.readouterr())
    assert (ended.value.code or 0) == kind.code, said
    assert kind.said in said, said


def test_a_warning_is_in_the_sidecar_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / PET)
    arguments = _pet(tmp_path, side=b'{"A": NaN}')
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert any("NaN" in text for text in json.loads((tmp_path / "out" / "a.json").read_text())["Warnings"])
