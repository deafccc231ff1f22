"""Images whose headers lie: refused in one sentence, before memory is taken for what they tell of."""

import gzip
import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from taskgan.core.errors import UserError
from taskgan.core.parse import MAX_VOXELS_VARIABLE
from taskgan.images.photos import read_photo
from taskgan.images.volumes import check_affine, read_shape, read_sidecar, read_volume, sidecar_and_notes, write_volume

_SPARE = 300 * 2**20  # bytes beyond what Python and its libraries take


def nifti(shape: tuple[int, ...], voxels: bytes = b"", kind: Any = np.uint8) -> bytes:
    """A NIfTI file of a header and whatever voxels."""
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(kind)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    return bytes(header.binaryblock) + b"\0" * 4 + voxels


def png(width: int, height: int, bits: int = 8, colour: int = 0) -> bytes:
    """A PNG without a pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def said_within_memory(path: Path) -> str:
    """What reading a file ends in, in a process that may take 300 MB more than its libraries."""
    code = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from taskgan.images.volumes import read_volume\nfrom taskgan.images.photos import read_photo\n"
        "from taskgan.core.errors import UserError\nimport PIL.Image, nibabel\nPIL.Image.init()\n"
        "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (now + {_SPARE},) * 2)\n"
        "try:\n    read_volume(Path(sys.argv[1]))\nexcept UserError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def bombs() -> dict[str, tuple[str, bytes]]:
    """By what they are: name and content."""
    tiff = io.BytesIO()
    Image.new("L", (8, 8)).save(tiff, "TIFF")
    large = tiff.getvalue().replace(struct.pack("<HHIHH", 256, 4, 1, 8, 0), struct.pack("<HHII", 256, 4, 1, 60000))
    large = large.replace(struct.pack("<HHIHH", 257, 4, 1, 8, 0), struct.pack("<HHII", 257, 4, 1, 60000))
    assert large != tiff.getvalue()
    return {
        "1100³ in a few bytes": ("a.nii.gz", gzip.compress(nifti((1100, 1100, 1100)))),
        "600³ in a few bytes": ("a.nii.gz", gzip.compress(nifti((600, 600, 600)))),
        "a plain file that ends": ("a.nii", nifti((600, 600, 600))),
        "seven axes": ("a.nii.gz", gzip.compress(nifti((32767,) * 7))),
        "PNG 13300² RGBA16": ("a.png", png(13300, 13300, 16, 6)),
        "PNG that ends": ("a.png", png(16, 2097172, 8, 6)),
        "PNG 2³¹": ("a.png", png(2**31 - 1, 2**31 - 1)),
        "TIFF 60000²": ("a.tif", large),
        "BMP 60000²": (
            "a.bmp",
            b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0),
        ),
    }


@pytest.mark.parametrize("kind", bombs())
def test_a_bomb_is_refused_before_memory_is_taken(tmp_path: Path, kind: str) -> None:
    name, content = bombs()[kind]
    path = tmp_path / name
    path.write_bytes(content)
    said = said_within_memory(path)
    assert said.startswith(str(path))
    assert said.count("\n") == 1
    assert MAX_VOXELS_VARIABLE in said or "ends early" in said


def test_the_limit_is_that_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(nifti((4, 4, 4), bytes(64)))
    monkeypatch.setenv(MAX_VOXELS_VARIABLE, "64")
    assert read_volume(path).data.shape == (4, 4, 4)
    monkeypatch.setenv(MAX_VOXELS_VARIABLE, "63")
    for read in (read_volume, read_shape):
        with pytest.raises(UserError, match=r"4×4×4 voxels .* at most 63; set TASKGAN_MAX_VOXELS to 64"):
            read(path)
    monkeypatch.setenv(MAX_VOXELS_VARIABLE, "many")
    with pytest.raises(UserError, match="TASKGAN_MAX_VOXELS is 'many'"):
        read_volume(path)


@pytest.mark.parametrize("shape", [(0, 4, 4), (4, 0, 4), (4, 4, 0)])
def test_an_image_without_voxels_is_no_image(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(nifti(shape, bytes(64)))
    with pytest.raises(UserError, match=rf"a\.nii cannot be read: it has {'×'.join(map(str, shape))} voxels"):
        read_volume(path)


def test_the_default_takes_a_whole_body() -> None:
    from taskgan.core.parse import check_voxels

    check_voxels(Path("pet.nii.gz"), (512, 512, 1024))
    check_voxels(Path("photo.jpg"), (8192, 8192), photo=True)


def test_an_extension_longer_than_its_place_is_refused(tmp_path: Path) -> None:
    start, path = nifti((2, 2, 2)), tmp_path / "a.nii.gz"
    for offset, length in ((352 + 32, 2**31 - 1), (352 + 32, 0), (0, 2**31 - 1)):
        header = nib.Nifti1Header(start[:348])
        header["vox_offset"] = offset
        block = bytes(header.binaryblock) + b"\1\0\0\0" + struct.pack("<ii", length, 6) + bytes(2**21)
        path.write_bytes(gzip.compress(block))
        with pytest.raises(UserError, match=r"a\.nii\.gz has an extension"):
            read_volume(path)


def test_an_extension_that_fits_is_kept(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.ones((2, 2, 2), np.float32), np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"hello"))
    nib.save(image, tmp_path / "a.nii.gz")
    assert len(read_volume(tmp_path / "a.nii.gz").header.extensions) == 1


def awkward(folder: Path, second: bool, fields: dict[str, Any]) -> Path:
    """A NIfTI file with some fields of its header set to anything."""
    kind = nib.Nifti2Image if second else nib.Nifti1Image
    header = kind(np.ones((4, 4, 4), np.float32), np.eye(4)).header
    for name, value in fields.items():
        header[name] = value
    header["vox_offset"] = 544 if second else 352
    path = folder / "awkward.nii"
    path.write_bytes(bytes(header.binaryblock) + bytes(4) + np.ones(64, np.float32).tobytes())
    return path


def test_an_affine_that_could_not_be_written_is_seen_before_work(tmp_path: Path) -> None:
    refused = 0
    for second in (False, True):
        for value in (0.0, 1e-320, 1e-30, 1.0, 1e18, 1e30, 3e38, 1e200):
            with np.errstate(over="ignore"):
                rows = {f"srow_{axis}": np.array([value, k, value, -value]) for k, axis in enumerate("xyz")}
                path = awkward(tmp_path, second, {**rows, "sform_code": 1, "qform_code": 0})
            try:
                volume = read_volume(path)
                check_affine(path, volume)
            except UserError as error:
                assert str(error).startswith(f"{path} has an affine")  # noqa: PT017
                refused += 1
                continue
            write_volume(tmp_path / "out.nii.gz", volume.data, volume.affine, like=volume.header)
            read_volume(tmp_path / "out.nii.gz")
    assert refused


def test_an_affine_without_a_direction_is_refused(tmp_path: Path) -> None:
    """Of a voxel without a length no filter in mm can be made."""
    write_volume(tmp_path / "a.nii", np.ones((3, 3, 3), np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    struct.pack_into("<2h12f", raw, 252, 0, 1, *[0.0] * 12)
    struct.pack_into("<12f", raw, 280, *[0.0] * 12)
    (tmp_path / "a.nii").write_bytes(raw)
    with pytest.raises(UserError, match="three directions with a length"):
        check_affine(tmp_path / "a.nii", read_volume(tmp_path / "a.nii"))


SIDECARS: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "whole": (b'{"a": 1}', {"a": 1}, ""),
    "byte order mark": (b'\xef\xbb\xbf{"a": 1}', {"a": 1}, ""),
    "NaN": (b'{"a": NaN, "b": [1, Infinity], "c": 2}', {"b": [1, None], "c": 2}, "2 numbers that are NaN or infinite"),
    "3000 deep": (b'{"a": ' + b"[" * 3000 + b"]" * 3000 + b"}", {}, "nests more than 100"),
    "trailing comma": (b'{"a": 1,}', {}, "not valid JSON"),
    "latin-1": (b'{"a": "caf\xe9"}', {}, "cannot be read"),
    "a list": (b"[1]", {}, "holds a list"),
    "4301 digits": (b'{"a": ' + b"9" * 4301 + b"}", {}, "not valid JSON"),
    "empty": (b"", {}, "not valid JSON"),
}


@pytest.mark.parametrize("kind", SIDECARS)
def test_what_is_wrong_with_a_sidecar_is_a_note(tmp_path: Path, kind: str) -> None:
    raw, expected, note = SIDECARS[kind]
    (tmp_path / "a.json").write_bytes(raw)
    found, notes = sidecar_and_notes(tmp_path / "a.nii.gz")
    assert found == read_sidecar(tmp_path / "a.nii.gz") == expected
    json.dumps(found, allow_nan=False)
    assert [note in n for n in notes] == [True] * bool(note)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photos() -> dict[str, tuple[bytes, str]]:
    """By what they are: content and what is said of it; nothing where it is read."""
    grey = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    deep = Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    return {
        "palette": (_saved(noise.quantize(), "PNG"), ""),
        "palette with transparency": (_saved(noise.quantize(), "PNG", transparency=0), ""),
        "16 bits": (_saved(deep, "PNG"), ""),
        "CMYK": (_saved(noise.convert("CMYK"), "JPEG"), "kind CMYK"),
        "CMYK TIFF": (_saved(noise.convert("CMYK"), "TIFF"), "kind CMYK"),
        "animated PNG": (
            _saved(noise, "PNG", save_all=True, append_images=[noise.rotate(90)]),
            "",  # its first image
        ),
        "pages": (_saved(grey, "TIFF", save_all=True, append_images=[grey]), "holds 2 images"),
        "animated GIF": (_saved(grey, "GIF", save_all=True, append_images=[noise.convert("L")]), ""),
        "truncated PNG": (_saved(noise, "PNG")[:4000], "cannot be read as an image"),
        "truncated JPEG": (_saved(noise, "JPEG")[:900], "cannot be read as an image"),
        "truncated TIFF": (_saved(noise, "TIFF")[:4000], "cannot be read as an image"),
        "empty": (b"", "cannot be read as PNG"),
    }


@pytest.mark.parametrize("kind", photos())
def test_a_photo_gives_right_values_or_a_sentence(tmp_path: Path, kind: str) -> None:
    content, expected = photos()[kind]
    path = tmp_path / "a.png"
    path.write_bytes(content)
    if expected:
        with pytest.raises(UserError, match=expected) as caught:
            read_photo(path)
        assert "\n" not in str(caught.value)
        return
    photo = read_photo(path)
    with Image.open(path) as image:
        wanted = np.asarray(
            image if photo.bits == 16 or photo.pixels.shape[2] == 1 else image.convert("RGB"), dtype=np.float32
        )
    wanted = np.moveaxis(wanted[:, :, None] if wanted.ndim == 2 else wanted, 0, 1) / (2**photo.bits - 1)
    np.testing.assert_array_equal(photo.pixels, wanted)


def message_of(call: Callable[[], object]) -> str:
    """What a call has against its input; empty where nothing. Any other error is a failure."""
    try:
        call()
    except UserError as error:
        return str(error)
    return ""


_FIELDS = ("dim", "pixdim", "datatype", "bitpix", "vox_offset", "scl_slope", "scl_inter", "magic", "sizeof_hdr")


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_header_gives_values_or_a_sentence(tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(nifti((4, 5, 6), bytes(120)))
    places = {name: nib.Nifti1Header.template_dtype.fields[name] for name in _FIELDS}
    for name in data.draw(st.lists(st.sampled_from(_FIELDS), max_size=3)):
        kind, at = places[name][:2]
        raw[at : at + kind.itemsize] = data.draw(st.binary(min_size=kind.itemsize, max_size=kind.itemsize))
    raw = raw[: data.draw(st.integers(0, len(raw)) | st.just(len(raw)))]
    packed = data.draw(st.booleans())
    path = tmp_path / ("a.nii.gz" if packed else "a.nii")
    path.write_bytes(gzip.compress(raw) if packed else raw)
    said = message_of(lambda: check_affine(path, read_volume(path)))
    assert not said or said.startswith(str(path))
    assert "\n" not in said
    assert len(said) < len(str(path)) + 500


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["PNG", "JPEG", "TIFF", "BMP"]), data=st.data())
def test_a_damaged_photo_gives_values_or_a_sentence(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    raw = bytearray(_saved(noise, kind))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.png"
    path.write_bytes(raw[: data.draw(st.integers(1, len(raw)) | st.just(len(raw)))])
    said = message_of(lambda: read_photo(path))
    assert not said or said.startswith(str(path))
    assert "\n" not in said
