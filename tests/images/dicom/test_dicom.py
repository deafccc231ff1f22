from pathlib import Path

import numpy as np
import pytest

from dicom_files import write_enhanced, write_series
from taskgan.core.errors import UserError
from taskgan.images.dicom.series import SeriesFilter, read_series
from taskgan.prepare.images import read_image

REAL = Path(__file__).parents[4] / "shared" / "data" / "dicom"
SHAPE = (8, 10, 5)


def oblique() -> np.ndarray:
    a, b = np.radians(12), np.radians(-7)
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    # Columns run to the left and rows to the back, as scanners write axial slices.
    affine[:3, :3] = (x @ z) @ np.diag([-0.9, -1.1, 5.5])
    affine[:3, 3] = (31, 42, -17)
    return affine


def stored(seed: int = 0, kind: str = "uint16") -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4096, SHAPE).astype(kind)


def at(image, world) -> float:
    index = np.round(np.linalg.inv(image.affine) @ [*world, 1])[:3].astype(int)
    return float(image.data[tuple(index)])


def test_slices_are_sorted_by_position_and_every_voxel_keeps_its_place(tmp_path):
    data, affine = stored(), oblique()
    write_series(tmp_path / "s", data, affine, EchoTime="21", RepetitionTime="4350", InversionTime="150")
    image = read_image(tmp_path / "s")
    assert image.data.dtype == np.float32
    assert (np.diag(image.affine)[:3] > 0).all()  # nearest to RAS
    for index in [(0, 0, 0), (7, 0, 2), (3, 9, 4), (5, 5, 1)]:
        world = (affine @ [*index, 1])[:3]
        assert at(image, world) == data[index]
    assert dict(image.metadata) == {
        "RepetitionTime": 4.35, "EchoTime": 0.021, "InversionTime": 0.15, "SliceThickness": pytest.approx(5.5)
    }  # fmt: skip
    assert image.reference.endswith(".99")


def test_sagittal_slices_end_up_axial(tmp_path):
    affine = np.array([[0, 0, 4.0, -9], [1.5, 0, 0, -8], [0, -1.5, 0, 20], [0, 0, 0, 1]])
    data = stored()
    write_series(tmp_path / "s", data, affine)
    image = read_image(tmp_path / "s")
    np.testing.assert_allclose(image.affine[:3, :3], np.diag([4, 1.5, 1.5]), atol=1e-5)
    assert image.data.shape == (5, 8, 10)
    assert at(image, (affine @ [2, 3, 1, 1])[:3]) == data[2, 3, 1]


def test_rescale_and_philips_private_scale(tmp_path):
    data = stored()
    header = {"RescaleSlope": "2.5", "RescaleIntercept": "-10", "Manufacturer": "Philips Medical Systems"}
    scale = ((0x2005, 0x0010, "LO", "Philips MR Imaging DD 001"), (0x2005, 0x100E, "FL", 0.04))
    cases = {
        "other": ({**header, "Manufacturer": "SIEMENS"}, scale, data * 2.5 - 10),
        "plain": (header, (), data * 2.5 - 10),
        "philips": (header, scale, (data * 2.5 - 10) / (2.5 * 0.04)),
        "phase": ({**header, "ImageType": ["ORIGINAL", "PRIMARY", "P_SE", "P", "SE"]}, scale, data * 2.5 - 10),
    }  # fmt: skip
    for name, (fields, private, expected) in cases.items():
        write_series(tmp_path / name, data, np.diag([2.0, 2, 5, 1]), private=private, **fields)
        values, _, _ = read_series(tmp_path / name, SeriesFilter())
        np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize(
    ("image_type", "private", "expected"),
    [
        (["ORIGINAL", "PRIMARY", "M", "ND"], (), "magnitude"),
        (["ORIGINAL", "PRIMARY", "P", "ND"], (), "phase"),
        (["ORIGINAL", "PRIMARY", "R_IR", "R", "IR"], (), "real"),
        (["ORIGINAL", "PRIMARY", "IMAGINARY"], (), "imag"),
        (["ORIGINAL", "PRIMARY", "OTHER"], ((0x0043, 0x102F, "SS", 2),), "real"),
        (["ORIGINAL", "PRIMARY", "OTHER"], (), ""),
        ("ORIGINAL", (), ""),
    ],
)
def test_the_part_is_read_from_the_header(tmp_path, image_type, private, expected):
    write_series(tmp_path, stored(), np.diag([2.0, 2, 5, 1]), ImageType=image_type, private=private)
    assert read_series(tmp_path, SeriesFilter())[2].first.part == expected
    if expected:
        other = "imag" if expected != "imag" else "real"
        with pytest.raises(UserError, match=f"holds {expected} by its DICOM header, expected {other}"):
            read_series(tmp_path, SeriesFilter(part=other))


def test_several_series_are_named_unless_one_is_picked(tmp_path):
    first, second, affine = stored(1), stored(2), np.diag([2.0, 2, 5, 1])
    write_series(tmp_path, first, affine, series=301)
    write_series(tmp_path, second, affine, series=401)
    with pytest.raises(UserError, match=r"holds 2 series: 301 'series 301' \(5 images\), 401 'series 401'"):
        read_series(tmp_path, SeriesFilter())
    for wanted in ("401", "Series 401"):
        np.testing.assert_array_equal(read_series(tmp_path, SeriesFilter(series=wanted))[0], second)
    with pytest.raises(UserError, match="holds no series '7'; it holds 301"):
        read_series(tmp_path, SeriesFilter(series="7"))


def test_one_series_with_all_delays_and_echoes_is_told_apart(tmp_path):
    affine = np.diag([2.0, 2, 5, 1])
    images = {}
    for number, (delay, echo, part) in enumerate((d, e, p) for d in (150, 600) for e in (21, 95) for p in ("M", "P")):
        images[delay, echo, part] = stored(number)
        write_series(tmp_path / "new", images[delay, echo, part], affine, InversionTime=str(delay),
                     EchoTime=str(echo), ImageType=["ORIGINAL", "PRIMARY", part])  # fmt: skip
        for file in (tmp_path / "new").iterdir():
            file.rename(tmp_path / f"{number}_{file.name}")
    (tmp_path / "new").rmdir()
    values, _, found = read_series(tmp_path, SeriesFilter(part="phase", delay_ms=600, echo=2))
    np.testing.assert_array_equal(values, images[600, 95, "P"])
    assert (found.first.part, found.first.delay_ms, found.first.echo_ms) == ("phase", 600, 95)
    with pytest.raises(UserError, match=r"holds 8 images in one series .*none of them is the one"):
        read_series(tmp_path, SeriesFilter(part="phase", delay_ms=1950, echo=2))
    with pytest.raises(UserError, match="more than one is the one"):
        read_series(tmp_path, SeriesFilter(part="magnitude", delay_ms=150))


def test_enhanced_multi_frame(tmp_path):
    affine = oblique()
    images = [
        (stored(1), 0.5, 0.0, "MAGNITUDE", 150, 21),
        (stored(2), 1.5339807, -3141.5926, "PHASE", 150, 21),
        (stored(3), 0.5, 0.0, "MAGNITUDE", 600, 21),
    ]
    file = tmp_path / "all.dcm"
    write_enhanced(file, images, affine)
    for data, slope, intercept, component, delay, _ in images:
        part = component.lower()
        values, turned, found = read_series(file, SeriesFilter(part=part, delay_ms=delay, echo=1))
        np.testing.assert_allclose(values, data * slope + intercept, rtol=1e-5, atol=1e-2)
        np.testing.assert_allclose(turned, affine, atol=1e-4)
        assert found.first.metadata["RepetitionTime"] == 4.35
        assert found.first.metadata["EchoTime"] == 0.021
    assert read_image(tmp_path, SeriesFilter(part="phase")).data.shape == SHAPE


def test_a_screen_shot_beside_the_slices_is_left_out_but_not_one_among_them(tmp_path):
    data, affine = stored(), np.diag([2.0, 2, 5, 1])
    write_series(tmp_path / "shot", data[:, :, :1], affine, series=9, SamplesPerPixel=3)
    (shot,) = (tmp_path / "shot").iterdir()
    with pytest.raises(UserError, match="is a colour image"):
        read_series(tmp_path / "shot", SeriesFilter())
    write_series(tmp_path / "s", data, affine)
    shot.rename(tmp_path / "s" / "shot.dcm")
    np.testing.assert_array_equal(read_series(tmp_path / "s", SeriesFilter())[0], data)
    write_series(tmp_path / "shot", data[:, :, :1], affine, series=1, ImagePositionPatient=None)
    (shot,) = (tmp_path / "shot").iterdir()
    shot.rename(tmp_path / "s" / "nowhere.dcm")
    with pytest.raises(UserError, match="nowhere.dcm does not say where its image lies"):
        read_series(tmp_path / "s", SeriesFilter())


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    affine, data = np.diag([2.0, 2, 5, 1]), stored()
    with pytest.raises(UserError, match="does not exist"):
        read_series(tmp_path / "nowhere", SeriesFilter())
    (tmp_path / "exam" / "series1").mkdir(parents=True)
    (tmp_path / "exam" / "readme.txt").write_text("x" * 200)
    with pytest.raises(UserError, match=r"exam holds no DICOM file; it has the folders series1"):
        read_series(tmp_path / "exam", SeriesFilter())
    with pytest.raises(UserError, match=r"readme.txt is neither NIfTI .* nor DICOM"):
        read_series(tmp_path / "exam" / "readme.txt", SeriesFilter())

    def broken(name, change):
        write_series(tmp_path / name, data, affine)
        files = sorted((tmp_path / name).iterdir(), key=lambda p: p.stem.rsplit("_", 1)[1])
        change(files)
        return tmp_path / name

    cases = {
        "garbage": (lambda f: f[1].write_bytes(b"not a DICOM file" * 40), "cannot be read as DICOM"),
        "cut": (lambda f: f[4].write_bytes(f[4].read_bytes()[:500]), "ends before its image|lies, expected"),
        "truncated": (lambda f: f[2].write_bytes(f[2].read_bytes()[:-50]), "its pixels cannot be read"),
        "gap": (lambda f: f[2].unlink(), "10 mm apart, other slices 5 mm; expected even distances"),
        "double": (lambda f: (f[0].parent / "x.dcm").write_bytes(f[0].read_bytes()[:-1] + b"!"), "two images at one"),
    }  # fmt: skip
    for name, (change, text) in cases.items():
        with pytest.raises(UserError, match=text):
            read_series(broken(name, change), SeriesFilter())
    write_series(tmp_path / "mixed", data, affine)
    write_series(tmp_path / "other", np.swapaxes(data, 0, 1), affine)
    for number, file in enumerate((tmp_path / "other").iterdir()):
        file.rename(tmp_path / "mixed" / f"y{number}.dcm")
    with pytest.raises(UserError, match="has another image size than"):
        read_series(tmp_path / "mixed", SeriesFilter())


@pytest.mark.skipif(not REAL.is_dir(), reason="the two real series are not here (shared/data/dicom)")
def test_two_real_series_of_one_patient():
    t1, flair = (read_image(REAL / f"brainix_{name}") for name in ("t1", "flair"))
    assert t1.data.shape == (512, 512, 22)
    assert flair.data.shape == (288, 288, 22)
    assert t1.reference == flair.reference != ""
    assert flair.metadata["InversionTime"] > 1
    for image in (t1, flair):
        assert (np.diag(image.affine)[:3] > 0).all()
        assert image.data.min() >= 0
