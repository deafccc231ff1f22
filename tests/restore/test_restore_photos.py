"""``taskgan restore`` of photos: any size, bits and colour; what the input has beside its luminance stays."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

from small_models import network_of, save, volume, write
from taskgan.cli import app
from taskgan.cohort.pairs import write_pairs
from taskgan.core.errors import Failed, Problems, UserError
from taskgan.images.photos import Photo, read_photo, write_photo
from taskgan.images.volumes import read_sidecar, read_volume
from taskgan.recipe import Data, IntensityTransform
from taskgan.restore.run import restore

DATA = Data(intensity=IntensityTransform(kind="none", output="unit"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "run" / "model", DATA)


def photo(shape: tuple[int, int] = (37, 22), bands: int = 3, *, alpha: bool = False, **values: Any) -> Photo:
    pixels = np.random.default_rng(0).uniform(0.2, 0.8, (*shape, bands)).astype(np.float32)
    return Photo(pixels, pixels[:, :, 0] if alpha else None, **values)


def put(path: Path, one: Photo) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_photo(path, one)
    return path


def expected(path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What the network makes of the luminance, (X, Y)."""
    with torch.inference_mode():
        image = torch.from_numpy(read_photo(path).luminance)[None, None]
        return np.asarray(network_of(DATA)(image)[0, 0].numpy())


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("bands", "alpha"), [(1, False), (3, False), (3, True)])
def test_luminance_is_restored_and_all_else_is_kept(
    model: Path, tmp_path: Path, bits: int, bands: int, alpha: bool
) -> None:
    source = put(tmp_path / "in.png", photo(bands=bands, alpha=alpha, bits=bits, profile=b"a profile"))
    out = tmp_path / "out.png"
    restore(model, [source], out, precision="32")
    before, after = read_photo(source), read_photo(out)
    change = expected(source) - before.luminance
    np.testing.assert_allclose(
        after.pixels, np.clip(before.pixels + change[:, :, None], 0, 1), atol=0.51 / (2**bits - 1) + 1e-6
    )
    assert np.abs(change).mean() > 0.01
    assert after.bits == bits
    assert after.profile == b"a profile"
    assert (after.alpha is None) == (not alpha)
    if alpha:
        np.testing.assert_array_equal(after.alpha, before.alpha)
    side = json.loads((tmp_path / "out.json").read_text())
    assert side["Bits"] == bits
    assert ("colour differences" in side["Restored"]) == (bands == 3)


def test_a_photo_taken_upright_comes_out_upright(model: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    rows = np.rint(photo((22, 37), 1).luminance * 255).astype(np.uint8)
    Image.fromarray(rows).save(tmp_path / "in.jpg", exif=exif, quality=95)
    restore(model, [tmp_path / "in.jpg"], tmp_path / "out", precision="32")
    with Image.open(tmp_path / "out" / "in.png") as opened:
        assert opened.size == (22, 37)
        assert dict(opened.getexif()) == {0x010F: "a camera"}
        found = np.asarray(opened).T / 255
    np.testing.assert_allclose(found, np.clip(expected(tmp_path / "in.jpg"), 0, 1), atol=0.51 / 255)


def test_a_broken_photo_is_named_and_the_rest_goes_on(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "deep/b.png"):
        put(tmp_path / "in" / name, photo())
    (tmp_path / "in" / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["restore", str(model), str(tmp_path / "in"), "-o", str(out)])
    assert isinstance(done.exception, Failed)  # the command line ends with 3
    assert "1 of 3 images are left out" in str(done.exception)
    assert "broken.jpg cannot be read" in str(done.exception)
    assert "2 images restored by" in done.output
    assert (out / "deep" / "b.png").is_file()
    record = yaml.safe_load((out / "restored.yaml").read_text())
    assert record["status"] == "running"
    assert "broken.jpg" in record["unread"][0]
    written = (out / "a.png").stat().st_mtime_ns
    put(tmp_path / "good.png", photo(bands=1))
    with Image.open(tmp_path / "good.png") as opened:
        opened.save(tmp_path / "in" / "broken.jpg")
    restore(model, [tmp_path / "in"], out)
    assert (out / "broken.png").is_file()
    assert (out / "a.png").stat().st_mtime_ns == written
    assert yaml.safe_load((out / "restored.yaml").read_text())["status"] == "complete"
    restore(model, [tmp_path / "in"], out)  # already done
    assert (out / "a.png").stat().st_mtime_ns == written


def test_a_broken_photo_that_was_taken_away_is_not_missed(model: Path, tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.png", photo())
    (tmp_path / "in" / "broken.png").write_bytes(b"")
    with pytest.raises(Failed):
        restore(model, [tmp_path / "in"], tmp_path / "out")
    (tmp_path / "in" / "broken.png").unlink()
    restore(model, [tmp_path / "in"], tmp_path / "out")
    assert "unread" not in yaml.safe_load((tmp_path / "out" / "restored.yaml").read_text())


def test_where_nothing_or_a_table_can_be_read_nothing_is_written(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"broken.png cannot be read"):
        restore(model, [tmp_path / "in"], tmp_path / "out")
    put(tmp_path / "in" / "a.png", photo())
    write_pairs(
        tmp_path / "in" / "pairs.csv", [{"case": "one", "degraded": "a.png"}, {"case": "two", "degraded": "broken.png"}]
    )
    with pytest.raises(UserError, match=r"broken.png cannot be read"):
        restore(model, [tmp_path / "in"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rows_of_a_table_are_pngs_and_their_spread_is_nifti(model: Path, tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.png", photo(bands=1))
    write_pairs(tmp_path / "in" / "pairs.csv", [{"case": "one", "degraded": "a.png"}])
    restore(model, [tmp_path / "in"], tmp_path / "out", samples=2)
    assert (tmp_path / "out" / "restored.csv").read_text() == "case,restored,sd\none,one.png,one_sd.nii.gz\n"
    spread, mean = read_volume(tmp_path / "out" / "one_sd.nii.gz"), read_volume(tmp_path / "out" / "one.png")
    assert spread.data.shape == mean.data.shape == (37, 22, 1)
    np.testing.assert_array_equal(spread.affine, mean.affine)
    assert spread.data.max() > 0


def test_pictures_beside_volumes_are_no_inputs(model: Path, tmp_path: Path) -> None:
    save(tmp_path / "in" / "pet.nii.gz", volume())
    put(tmp_path / "in" / "figure.png", photo())
    restore(model, [tmp_path / "in"], tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").glob("*.*")} == {"pet.nii.gz", "pet.json", "restored.yaml"}


def test_a_photo_may_be_restored_beside_itself(model: Path, tmp_path: Path) -> None:
    source, out = put(tmp_path / "me.jpg", photo(bands=1)), tmp_path / "me.png"
    restore(model, [source], out)
    assert (tmp_path / "me.json").is_file()
    restore(model, [source], out)  # already done
    put(source, photo((30, 22), bands=1))
    with pytest.raises(UserError, match=r"me\.png exists; choose another"):
        restore(model, [source], out)
    restore(model, [source], out, overwrite=True)
    other = put(tmp_path / "you.jpg", photo(bands=1))
    (tmp_path / "you.json").write_text("{}")
    with pytest.raises(Problems, match=r"shares its sidecar with the input .*you\.jpg"):
        restore(model, [other], tmp_path / "you.png")
    assert (tmp_path / "you.json").read_text() == "{}"


def test_what_cannot_be_meant_is_refused(model: Path, tmp_path: Path) -> None:
    deep = put(tmp_path / "deep.png", photo(bits=16))
    put(tmp_path / "twins" / "a.png", photo(bands=1))
    put(tmp_path / "twins" / "a.jpg", photo(bands=1))
    nifti = save(tmp_path / "pet.nii.gz", volume())
    cases = [
        ([deep], tmp_path / "out.jpg", r"out.jpg cannot hold the 16 bits"),
        ([deep], tmp_path / "out.nii.gz", r"cannot hold what .*deep.png is; expected .*\.png"),
        ([nifti], tmp_path / "out.png", r"cannot hold what .*pet.nii.gz is; expected .*\.nii.gz"),
        ([deep], tmp_path / "out.webp", r"out.webp cannot be written; expected a name that ends in \.png"),
        ([deep], deep, r"would be restored onto"),
        ([tmp_path / "twins"], tmp_path / "out.png", r"is one file, the input is 2 images"),
    ]
    for inputs, out, message in cases:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(UserError, match=message):
            restore(model, inputs, out)
        assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(Problems, match=r"so would another input"):
        restore(model, [tmp_path / "twins"], tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


def photo_model(folder: Path) -> Path:
    """A model of photos that knows what its inputs are like: smooth, 24 pixels."""
    from taskgan.images.statistics import image_statistics
    from taskgan.model.folder import read_model, write_model

    state, card = read_model(write(folder / "plain", Data(intensity=IntensityTransform(kind="none", output="unit"))))
    known = image_statistics(smooth(24))
    seen = {name: (getattr(known, name),) * 2 for name in ("positive", "noise", "contrast")}
    seen |= {"plane": ((24, 24), (24, 24)), "voxel_size": ((1.0, 1.0),) * 3, "scale": (1.0, 1.0)}
    write_model(folder / "model", state, card.model_copy(update={"seen": card.seen.model_copy(update=seen)}))
    return folder / "model"


def smooth(size: int) -> np.ndarray:
    grid = np.linspace(-1, 1, size)
    ripple = 0.03 * np.sin(9 * grid)[:, None] * np.sin(9 * grid)[None]
    return (0.3 + 0.6 * np.exp(-3 * (grid[:, None] ** 2 + grid[None] ** 2)) + ripple)[:, :, None].astype(np.float32)


@pytest.mark.parametrize(
    ("name", "warned"),
    [
        ("own", ""),
        ("flat", "a contrast of 0"),
        ("sharp", "a noise level of"),
        ("small", "12 pixels by 12 pixels, the model saw 24 to 24: it restores the pixels as they are (--enlarge 2"),
        ("frames", "2 frames, of which the first is restored"),
    ],
)
def test_photos_of_another_kind_are_warned_about(
    name: str, warned: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    size = 12 if name == "small" else 24
    values = smooth(size)[:, :, 0]
    if name == "flat":
        values = np.full_like(values, 0.5)
    if name == "sharp":
        values = np.clip(values + 0.2 * np.random.default_rng(0).normal(size=values.shape), 0, 1)
    frames = [Image.fromarray(np.rint(255 * one).astype(np.uint8)) for one in (values, values[::-1])]
    more = {"save_all": True, "append_images": frames[1:]} if name == "frames" else {}
    path = tmp_path / f"{name}.{'gif' if more else 'webp'}"
    frames[0].save(path, **(more or {"lossless": True}))
    restore(photo_model(tmp_path), [path], tmp_path / "out")
    said = capsys.readouterr().out
    assert (warned in said) if warned else ("warning" not in said), said
    assert (tmp_path / "out" / f"{name}.png").is_file()


def test_sixteen_bits_are_restored_in_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    from taskgan.model import restorer as module

    monkeypatch.setattr("taskgan.model.engines.bf16_is_native", lambda: True)
    monkeypatch.setattr(module, "BF16_TOLERANCE", 1.0)
    model = photo_model(tmp_path)
    for bits, kind in ((8, np.uint8), (16, np.uint16)):
        values = np.rint((2**bits - 1) * smooth(24)[:, :, 0]).astype(kind)
        Image.fromarray(values).save(tmp_path / f"b{bits}.png")
        restore(model, [tmp_path / f"b{bits}.png"], tmp_path / f"out{bits}")
        done = read_sidecar(tmp_path / f"out{bits}" / f"b{bits}.png")["GeneratedBy"][-1]["Settings"]
        assert done["precision_used"] == ("bf16" if bits == 8 else "32")
