"""Photos read as volumes, and written back with what they had."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin

from taskgan.core.errors import UserError
from taskgan.images.photos import LUMINANCE, Photo, photo_shape, read_photo, with_luminance, write_photo
from taskgan.images.volumes import read_shape, read_volume, stem

SHAPE = (7, 5)  # columns, rows


def values(bands: int, bits: int = 8, seed: int = 0) -> NDArray[np.generic]:
    """(rows, columns[, bands]) of random whole numbers."""
    rng = np.random.default_rng(seed)
    shape = (SHAPE[1], SHAPE[0]) if bands == 1 else (SHAPE[1], SHAPE[0], bands)
    return rng.integers(0, 2**bits, shape).astype(np.uint8 if bits == 8 else np.uint16)


def photo(bands: int = 1, bits: int = 8, *, alpha: bool = False) -> Photo:
    raw = values(bands + alpha, bits)
    whole = np.moveaxis(raw.reshape(SHAPE[1], SHAPE[0], -1), 0, 1) / np.float32(2**bits - 1)
    return Photo(whole[:, :, :bands].astype(np.float32), whole[:, :, -1].astype(np.float32) if alpha else None, bits)


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.tif", "a.bmp"])
@pytest.mark.parametrize("bands", [1, 3])
def test_a_photo_is_a_volume_of_one_slice_whose_first_axis_runs_along_the_columns(
    tmp_path: Path, name: str, bands: int
) -> None:
    raw = values(bands)
    Image.fromarray(raw).save(tmp_path / name)
    volume = read_volume(tmp_path / name)
    expected = raw / 255.0 if bands == 1 else (raw / 255.0) @ LUMINANCE
    assert volume.data.shape == (*SHAPE, 1)
    np.testing.assert_allclose(volume.data[:, :, 0], expected.T, atol=1e-6)
    shape, affine = read_shape(tmp_path / name)
    assert shape == (*SHAPE, 1)
    np.testing.assert_array_equal(affine, volume.affine)
    assert volume.voxel_size == (1.0, 1.0, 1.0)
    assert volume.span == 1.0
    assert stem(tmp_path / name) == "a"


def test_luminance_is_the_y_of_jpeg(tmp_path: Path) -> None:
    raw = values(3)
    Image.fromarray(raw).save(tmp_path / "a.png")
    y = np.asarray(Image.fromarray(raw).convert("YCbCr"))[:, :, 0]
    np.testing.assert_allclose(read_photo(tmp_path / "a.png").luminance.T * 255, y, atol=1.0)  # Pillow rounds down


@pytest.mark.parametrize(("bands", "alpha"), [(1, False), (1, True), (3, False), (3, True)])
@pytest.mark.parametrize("bits", [8, 16])
def test_png_goes_round_without_loss(tmp_path: Path, bands: int, bits: int, alpha: bool) -> None:
    before = photo(bands, bits, alpha=alpha)
    write_photo(tmp_path / "a.png", before)
    after = read_photo(tmp_path / "a.png")
    assert after.bits == bits
    np.testing.assert_array_equal(np.rint(after.pixels * (2**bits - 1)), np.rint(before.pixels * (2**bits - 1)))
    assert (after.alpha is None) == (not alpha)
    if alpha:
        assert before.alpha is not None
        np.testing.assert_allclose(after.alpha, before.alpha, atol=1e-6)
    again = (tmp_path / "a.png").read_bytes()
    write_photo(tmp_path / "a.png", before)
    assert (tmp_path / "a.png").read_bytes() == again


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tiff_of_sixteen_bits_keeps_all_of_them(tmp_path: Path, order: str, compression: str | None) -> None:
    tifffile = pytest.importorskip("tifffile")
    for bands in (1, 3):
        raw = values(bands, 16)
        path = tmp_path / f"{bands}.tif"
        kind = {1: "minisblack", 3: "rgb"}[bands]
        tifffile.imwrite(path, raw, photometric=kind, byteorder=order, compression=compression)
        found = np.rint(read_photo(path).pixels * 65535)
        np.testing.assert_array_equal(np.moveaxis(found, 0, 1), raw.reshape(*raw.shape[:2], bands))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_exif_orientation_is_applied_once_and_taken_off(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a camera"
    Image.fromarray(values(1)).save(path, exif=exif)
    with path.open("rb") as handle, Image.open(handle) as opened:
        opened.load()  # which turns a TIFF
        upright = np.asarray(ImageOps.exif_transpose(opened))
    assert upright.shape == (SHAPE[::-1] if orientation < 5 else SHAPE)
    found = read_photo(path)
    np.testing.assert_array_equal(np.rint(found.luminance.T * 255), upright)
    assert photo_shape(path) == (*found.luminance.shape, 1)
    for name in ("b.png", "b.jpg", "b.tif"):
        write_photo(tmp_path / name, found)
        again = read_photo(tmp_path / name)
        assert again.luminance.shape == found.luminance.shape
        with Image.open(tmp_path / name) as opened:
            assert opened.getexif().get(0x010F) == "a camera"
            assert opened.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("bands", [1, 3])
def test_a_tiff_of_sixteen_bits_is_turned_once(tmp_path: Path, orientation: int, bands: int) -> None:
    tifffile = pytest.importorskip("tifffile")
    raw, path = values(bands, 16), tmp_path / "a.tif"
    kind = {1: "minisblack", 3: "rgb"}[bands]
    tifffile.imwrite(path, raw, photometric=kind, extratags=[(0x0112, "H", 1, orientation, True)])
    upper = Image.fromarray((raw >> 8).astype(np.uint8))
    upper.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(upper))
    found = read_photo(path)
    shown = np.rint(np.moveaxis(found.pixels, 0, 1) * 65535).astype(np.uint16) >> 8
    np.testing.assert_array_equal(shown.reshape(upright.shape), upright)
    assert photo_shape(path) == (*found.luminance.shape, 1)


def test_what_the_camera_wrote_stays_and_a_tiffs_layout_does_not(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8769)[0x829A] = 0.5
    exif.get_ifd(0x8825)[0x0001] = "N"
    Image.fromarray(values(1)).save(tmp_path / "a.tif", exif=exif.tobytes())
    write_photo(tmp_path / "b.png", read_photo(tmp_path / "a.tif"))
    with Image.open(tmp_path / "b.png") as opened:
        found = opened.getexif()
        assert set(found) == {0x010F, 0x8769, 0x8825}
        assert found.get_ifd(0x8769) == {0x829A: 0.5}
        assert found.get_ifd(0x8825) == {0x0001: "N"}


def test_a_format_without_a_place_for_a_colour_profile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.bmp cannot hold the colour profile .* \.png or \.jpg"):
        write_photo(tmp_path / "a.bmp", replace(photo(3), profile=b"a profile"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bits", [8, 16])
def test_colour_profile_and_resolution_stay(tmp_path: Path, bits: int) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    before = photo(3, bits)
    write_photo(tmp_path / "a.png", Photo(before.pixels, None, bits, profile, b"", (300.0, 300.0)))
    after = read_photo(tmp_path / "a.png")
    assert after.profile == profile
    assert after.dpi == pytest.approx((300, 300), abs=0.1)


def test_palettes_and_black_and_white_are_read_as_what_they_show(tmp_path: Path) -> None:
    Image.fromarray(values(3)).quantize(8).save(tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as opened:
        shown = np.asarray(opened.convert("RGB"))
    np.testing.assert_array_equal(np.moveaxis(np.rint(read_photo(tmp_path / "p.png").pixels * 255), 0, 1), shown)
    Image.fromarray(values(1) > 127).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_photo(tmp_path / "b.png").luminance.T > 0.5, values(1) > 127)


def test_new_luminance_keeps_the_colour_differences(tmp_path: Path) -> None:
    before = Photo(np.full((4, 4, 3), (0.5, 0.4, 0.3), dtype=np.float32))
    after = with_luminance(before, before.luminance + np.float32(0.1))
    np.testing.assert_allclose(after.luminance, before.luminance + 0.1, atol=1e-6)
    np.testing.assert_allclose(
        after.pixels - after.luminance[..., None], before.pixels - before.luminance[..., None], atol=1e-6
    )
    grey = with_luminance(Photo(before.pixels[:, :, :1]), np.full((4, 4), 1.5, dtype=np.float32))
    assert float(grey.pixels.min()) == 1.0


def _damaged(folder: Path) -> dict[str, tuple[Path, str]]:
    good = folder / "good.png"
    Image.fromarray(values(3)).save(good)
    (folder / "cut.png").write_bytes(good.read_bytes()[:70])
    (folder / "text.jpg").write_text("no image")
    (folder / "empty.png").write_bytes(b"")
    Image.fromarray(np.zeros((4, 4, 4), np.uint8), mode=None).convert("CMYK").save(folder / "ink.jpg")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(folder / "float.tif")
    pages = [Image.fromarray(values(1)), Image.fromarray(values(1, seed=1))]
    pages[0].save(folder / "pages.tif", save_all=True, append_images=pages[1:])
    header = struct.pack(">IIBBBBB", 3, 3, 8, 2, 0, 0, 0)
    (folder / "crc.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"no"))
    )
    (folder / "folder.png").mkdir()
    return {
        "cut": (folder / "cut.png", "cut.png cannot be read as an image"),
        "text": (folder / "text.jpg", "text.jpg cannot be read as PNG, JPEG, TIFF, BMP, WebP or GIF"),
        "empty": (folder / "empty.png", "cannot be read as PNG"),
        "ink": (folder / "ink.jpg", "of the kind CMYK, expected grey or RGB"),
        "float": (folder / "float.tif", "32 bits a channel, expected 8 or 16"),
        "pages": (folder / "pages.tif", "holds 2 images, expected one"),
        "crc": (folder / "crc.png", "cannot be read as"),
        "folder": (folder / "folder.png", "is a folder, expected an image"),
        "absent": (folder / "absent.png", "absent.png does not exist"),
    }


def test_what_is_no_photo_is_named(tmp_path: Path) -> None:
    for path, text in _damaged(tmp_path).values():
        with pytest.raises(UserError, match=text):
            read_volume(path)


def test_nothing_is_lost_silently_in_a_format_that_cannot_hold_it(tmp_path: Path) -> None:
    for name, one in {"a.jpg": photo(1, 16), "a.bmp": photo(3, alpha=True), "a.tif": photo(3, 16)}.items():
        with pytest.raises(UserError, match=r"cannot hold the (16 bits|transparency) of the input"):
            write_photo(tmp_path / name, one)
    assert not list(tmp_path.iterdir())
    write_photo(tmp_path / "b.tif", photo(1, 16))
    assert read_photo(tmp_path / "b.tif").bits == 16


def test_white_is_zero_is_turned_round(tmp_path: Path) -> None:
    raw = values(1, 16)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[262] = 0
    Image.fromarray(raw).save(tmp_path / "a.tif", tiffinfo=tags)
    with Image.open(tmp_path / "a.tif") as opened:
        kind = opened.tag_v2[262]
    expected = 65535 - raw if kind == 0 else raw
    np.testing.assert_array_equal(np.rint(read_photo(tmp_path / "a.tif").luminance.T * 65535), expected)
