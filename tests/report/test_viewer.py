"""The viewer of the page: what is in its sheets, and in a browser that all images move together."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from browser import needs_chromium
from driven_browser import DrivenBrowser
from taskgan.report import viewer as module
from taskgan.report.images import Panels, load_panels
from taskgan.report.load import load_comparison
from taskgan.report.run import compare
from taskgan.report.viewer import Viewer, sprite_strip


def pixels(case: dict[str, Any], number: int) -> np.ndarray:
    """(Z, H, W) of an image of a case."""
    packed = case["images"][number]["strip"].removeprefix("data:image/png;base64,")
    with Image.open(io.BytesIO(base64.b64decode(packed))) as image:
        assert image.mode == "L"
        return np.asarray(image).reshape(-1, *case["size"])


def panels_of(shape: tuple[int, int, int], z: int) -> Panels:
    """Noise, of which the clean image is 1 in the middle of the slice of the figure, and twice the input."""
    noise = np.random.default_rng(0).uniform(0.2, 0.9, shape).astype(np.float32)
    noise[shape[0] // 2, shape[1] // 2, z] = 1.0
    volumes = {"input": noise / 2, "gan": 0.9 * noise, "clean": noise}
    return Panels(volumes, z, (slice(None), slice(None)), 1.5, "SUVR")


def test_a_voxel_of_the_volume_is_that_pixel_of_its_slice() -> None:
    panels = panels_of((20, 30, 8), z=5)
    shown = Viewer()
    shown.add("A", panels)
    (case,) = shown.cases
    assert (case["size"], case["aspect"], case["unit"], case["clean"]) == ([20, 30], 1.5, "SUVR", 2)
    assert case["slices"] == {"count": 8, "first": 0, "step": 1, "all": 8, "shown": 5}
    assert case["most"] == pytest.approx(panels.top)
    assert [image["name"] for image in case["images"]] == ["Input", "GAN", "Clean"]
    for number, volume in enumerate(panels.volumes.values()):
        assert pixels(case, number)[5, 10, 15] == round(255 * float(volume[10, 15, 5]) / panels.top)
        expected = np.rint(255 * np.moveaxis(volume, 2, 0) / panels.top)
        np.testing.assert_array_equal(pixels(case, number), expected)


def test_large_volumes_are_means_of_pixels_and_every_nth_slice_with_that_of_the_figure() -> None:
    panels = panels_of((260, 150, 130), z=70)
    shown = Viewer()
    shown.add("A", panels)
    (case,) = shown.cases
    assert case["size"] == [87, 50]
    assert case["slices"] == {"count": 43, "first": 1, "step": 3, "all": 130, "shown": 23}
    assert 1 + 3 * 23 == 70
    mean = panels.volumes["clean"][99:102, 60:63, 70].mean()
    assert pixels(case, 2)[23, 33, 20] == pytest.approx(255 * mean / case["most"], abs=0.51)


def test_edges_that_do_not_divide_are_repeated() -> None:
    volume = np.arange(1, 6, dtype=np.float32).reshape(1, 5, 1) * np.ones((3, 1, 1), np.float32)
    np.testing.assert_array_equal(sprite_strip(volume, 2, 255.0), [[2, 4, 5], [2, 4, 5]])  # 1.5, 3.5: to even


def test_cases_without_room_are_named_and_a_first_one_that_is_too_large_is_coarser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = panels_of((64, 64, 16), z=3)
    fine = Viewer()
    fine.add("A", one)
    size = sum(len(image["strip"]) for image in fine.cases[0]["images"])
    monkeypatch.setattr(module, "ROOM", size + 1)
    two = Viewer()
    two.add("A", one)
    two.add("B", one)
    assert (len(two.cases), two.left_out) == (1, ["B"])
    large = panels_of((128, 128, 64), z=3)  # 16 times as many voxels
    for room, sizes in ((12, [128, 128, 32]), (3, [64, 64, 32])):
        monkeypatch.setattr(module, "ROOM", room * size)
        coarse = Viewer()
        coarse.add("A", large)
        assert [*coarse.cases[0]["size"], coarse.cases[0]["slices"]["count"]] == sizes
    monkeypatch.setattr(module, "ROOM", size)
    none = Viewer()
    none.add("A", large)
    assert (none.cases, none.left_out) == ([], ["A"])


@pytest.fixture(scope="module")
def page(fake_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = ("task_gan-0", "l1-0", "gan-0", "gan-1")
    return compare([fake_runs / n / "evaluation" for n in runs], tmp_path_factory.mktemp("viewed") / "report")


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'id="viewer-data">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert found
    return dict(json.loads(found[1]))


def test_the_page_has_the_cases_of_the_figure_in_its_orientation_and_range(page: Path, evaluations: list[Path]) -> None:
    data = data_of(page)
    figures = re.findall(r"<figure><h3>([A-D]\. .*?)</h3>", page.read_text(encoding="utf-8"))
    assert [case["title"] for case in data["cases"]] == figures
    assert (data["colours"][0], data["colours"][255]) == (0xFFFFFFFF, 0xFF000000)  # inverse grey
    case = data["cases"][0]
    panels = load_panels(load_comparison(evaluations), case["title"].split()[1].rstrip(","))
    assert panels is not None
    assert [image["name"] for image in case["images"]] == ["Input", "L1 only", "GAN", "Task-GAN", "Clean"]
    for number, image in enumerate(panels.images.values()):
        shown = pixels(case, number)[case["slices"]["shown"]]
        wanted = np.rint(255 * np.clip(image / case["most"], 0, 1))
        # The viewer's box, of all slices, holds that of the figure.
        views = np.lib.stride_tricks.sliding_window_view(shown, wanted.shape)
        assert any((views[i, j] == wanted).all() for i in range(views.shape[0]) for j in range(views.shape[1]))


_SEEN = """[...document.querySelectorAll("#viewer-images canvas")].map(c =>
    [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data].filter((_, k) => k % 4 === 0))"""


@needs_chromium
def test_all_images_move_together(page: Path, tmp_path: Path) -> None:
    data = data_of(page)
    case, other = data["cases"][:2]
    greys, reds = (np.array(data[name]) & 255 for name in ("colours", "errors"))
    strips = [pixels(case, k) for k in range(5)]
    start, all_, most = case["slices"]["shown"], case["slices"]["all"], case["most"]
    high = round(255 * case["top"] / most)

    def wanted(number: int, z: int, low: int, high: int) -> np.ndarray:
        share = (strips[number][z].astype(float) - low) / (high - low)
        return np.asarray(greys[np.clip(np.floor(256 * share), 0, 255).astype(int).ravel()])

    with DrivenBrowser(tmp_path / "profile") as browser:
        browser.open(page.as_uri())
        at = "document.getElementById('viewer-{}')".format
        browser.until(f"{at('slice-is')} && {at('slice-is')}.textContent")

        def is_at(z: int, low: int = 0, high: int = high) -> None:
            browser.until(f"{at('slice-is')}.textContent === '{z + 1} of {all_}'")
            for number, seen in enumerate(browser.value(_SEEN)):
                np.testing.assert_array_equal(seen, wanted(number, z, low, high))

        def put(name: str, value: int) -> None:
            browser.value(f"{at(name)}.value = {value}; {at(name)}.dispatchEvent(new Event('input'))")

        is_at(start)
        shape = browser.value("(c => [c.clientHeight, c.clientWidth])(document.querySelector('#viewer canvas'))")
        assert shape[0] / shape[1] == pytest.approx(case["aspect"] * case["size"][0] / case["size"][1], abs=0.02)
        put("slice", start - 2)
        is_at(start - 2)
        browser.value(f"{at('images')}.focus()")
        browser.press("ArrowUp")
        is_at(start - 1)
        browser.value(f"{at('images')}.dispatchEvent(new WheelEvent('wheel', {{deltaY: 100, cancelable: true}}))")
        is_at(start - 2)
        put("lower", 40)
        put("upper", 120)
        is_at(start - 2, 40, 120)
        put("lower", 200)  # takes the upper end with it
        is_at(start - 2, 200, 201)
        browser.click("#viewer-difference")
        seen = browser.value(_SEEN)
        np.testing.assert_array_equal(seen[4], wanted(4, start - 2, 200, 201))
        error = (strips[1][start - 2].astype(float) - strips[4][start - 2]).ravel()
        place = np.clip(np.floor(256 * (0.5 + error * most / 255 / (2 * case["worst"]))), 0, 255).astype(int)
        np.testing.assert_array_equal(seen[1], reds[place])
        browser.click("#viewer-difference")
        browser.value(f"{at('case')}.value = 1; {at('case')}.dispatchEvent(new Event('change'))")
        strips = [pixels(other, k) for k in range(5)]
        most = other["most"]
        browser.until(f"{at('images')}.querySelector('[aria-label]')")
        is_at(other["slices"]["shown"], 0, round(255 * other["top"] / most))
