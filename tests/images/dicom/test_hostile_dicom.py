"""DICOM files whose headers lie: one sentence, and no memory for what they tell of."""

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_files import write_enhanced, write_series
from taskgan.core.errors import UserError
from taskgan.core.parse import MAX_VOXELS_VARIABLE
from taskgan.prepare.images import read_image

DEFLATED = "1.2.840.10008.1.2.1.99"
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def series(folder: Path, **header: object) -> Path:
    """Two slices of 4×4."""
    write_series(folder, np.arange(32, dtype=np.uint16).reshape(4, 4, 2), AFFINE, **header)
    return folder


def deflated(folder: Path, extra: bytes = b"") -> Path:
    """The same, deflated, with something behind the data set."""
    import pydicom

    series(folder)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = DEFLATED
        dataset.save_as(path, enforce_file_format=True)
        if extra:
            raw = path.read_bytes()
            start = 144 + int.from_bytes(raw[140:144], "little")
            pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
            body = zlib.decompress(raw[start:], -zlib.MAX_WBITS)
            path.write_bytes(raw[:start] + pack.compress(body + extra) + pack.flush())
    return folder


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"ImagePositionPatient": ["1", "2"]}, r"has ImagePositionPatient \[1\.0, 2\.0\], expected 3 finite numbers"),
        ({"ImageOrientationPatient": ["1", "0", "0"]}, "has ImageOrientationPatient .* expected 6 finite"),
        ({"PixelSpacing": "1"}, r"has PixelSpacing \[1\.0\], expected 2 finite numbers"),
        ({"Rows": 65535, "Columns": 65535}, f"set {MAX_VOXELS_VARIABLE}"),
    ],
)
def test_values_of_another_number_are_named(tmp_path: Path, header: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_image(series(tmp_path / "s", **header))


def test_numbers_that_are_none_do_not_reach_a_sidecar(tmp_path: Path) -> None:
    image = read_image(series(tmp_path / "s", EchoTime="20"))
    assert image.metadata["EchoTime"] == 0.02
    folder = series(tmp_path / "nan", EchoTime="20")
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"DS\x02\x0020", b"DS\x04\x00nan "))
    assert "EchoTime" not in read_image(folder).metadata


def test_an_unknown_type_is_a_sentence(tmp_path: Path) -> None:
    folder = series(tmp_path / "s")
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"\x28\x00\x02\x00US", b"\x28\x00\x02\x00ZZ"))
    with pytest.raises(UserError, match=r"\.dcm (has a header that cannot be understood|cannot be read)"):
        read_image(folder)


def test_frames_that_are_only_told_of_are_refused(tmp_path: Path) -> None:
    import pydicom

    path = tmp_path / "a.dcm"
    write_enhanced(path, [(np.arange(32, dtype=np.uint16).reshape(4, 4, 2), 1, 0, "MAGNITUDE", 100, 20)], AFFINE)
    dataset = pydicom.dcmread(path)
    for frames in (2_000_000_000, 3):
        dataset.NumberOfFrames = frames
        dataset.save_as(path, enforce_file_format=True)
        with pytest.raises(UserError, match=rf"tells of {frames} frames and describes 2"):
            read_image(path)


def test_deflated_files_are_read_and_bombs_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, packed = read_image(series(tmp_path / "plain")), read_image(deflated(tmp_path / "packed"))
    np.testing.assert_array_equal(plain.data, packed.data)
    monkeypatch.setenv(MAX_VOXELS_VARIABLE, "1000")
    bomb = deflated(tmp_path / "bomb", bytes(80 * 2**20))
    assert sum(path.stat().st_size for path in bomb.iterdir()) < 10**6
    with pytest.raises(
        UserError, match=rf"unpacks to more than \d+ bytes, expected an image; set {MAX_VOXELS_VARIABLE}"
    ):
        read_image(bomb)


def message_of(call: Callable[[], object]) -> str:
    """What a call has against its input; empty where nothing. Any other error is a failure."""
    try:
        call()
    except UserError as error:
        return str(error)
    return ""


@settings(max_examples=80, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_an_image_or_a_sentence(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "s"
    if not folder.exists():
        series(folder)
    path = sorted(folder.iterdir())[0]
    good = path.read_bytes()
    raw = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(132, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        path.write_bytes(raw[: data.draw(st.integers(133, len(raw)) | st.just(len(raw)))])
        message = message_of(lambda: read_image(folder))
    finally:
        path.write_bytes(good)
    assert not message or message.startswith(str(folder))
    assert "\n" not in message
