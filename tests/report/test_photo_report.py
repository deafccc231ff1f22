import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from made_faces import face, few_draws, make_faces
from taskgan.core.files import read_yaml, write_yaml
from taskgan.report import paper
from taskgan.report.images import SelectedCase, choose_cases, selection_rule
from taskgan.report.load import load_comparison
from taskgan.report.photo_figures import grid_cases, photo_figure, photo_grid, photo_paths, read_photos
from taskgan.report.run import compare

RUNS = (("gan", 0), ("task_gan", 0), ("gan", 1), ("task_gan", 1))


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with few_draws():
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_faces(tmp_path_factory.mktemp("photos"), RUNS, people=12, size=24)


def test_pictures_are_upright_and_white_is_one(folders: list[Path]) -> None:
    comparison = load_comparison(folders)
    assert comparison.photos
    paths = photo_paths(comparison, "Person_003_0002")
    assert list(paths) == ["input", "gan", "task_gan", "clean"]
    assert paths["gan"].parent.parent.name == "gan-0"  # the lowest seed
    pictures = read_photos(paths)
    assert pictures is not None
    assert pictures["clean"] == pytest.approx(face(3, 2, 24), abs=1 / 254)
    paths["input"] = paths["input"].with_name("gone.png")
    assert read_photos(paths) is None


def test_colour_only_where_all_are_in_colour(tmp_path: Path) -> None:
    colours = make_faces(tmp_path, RUNS[:1], people=3, size=16, colour=True)
    paths = photo_paths(load_comparison(colours), "Person_001_0001")
    pictures = read_photos(paths)
    assert pictures is not None
    assert {picture.shape for picture in pictures.values()} == {(16, 16, 3)}
    with Image.open(paths["gan"]) as image:
        image.convert("L").save(paths["gan"])
    pictures = read_photos(paths)
    assert pictures is not None
    assert {picture.shape for picture in pictures.values()} == {(16, 16)}


def test_rows_are_quantiles_of_the_difference(folders: list[Path]) -> None:
    comparison = load_comparison(folders)
    rows = grid_cases(comparison)
    assert len(rows) == 7
    assert rows.is_monotonic_increasing
    assert [chosen.criterion for chosen in choose_cases(comparison)] == ["median case", "worst case"]
    assert "slice" not in selection_rule(comparison).lower()


def test_photos_are_drawn_in_normal_grey(folders: list[Path], tmp_path: Path) -> None:
    comparison = load_comparison(folders)
    drawn = photo_grid(comparison, tmp_path / "grid.png")
    one = photo_figure(comparison, SelectedCase("Person_001_0001", "median", 1.0), tmp_path / "one.png")
    assert drawn is not None
    assert one is not None
    with Image.open(drawn) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(pixels - pixels.mean(axis=2, keepdims=True)).max() <= 1  # no colour in it
    # The last column of the first row is a clean photo: dark hair above, as in the file.
    comparison.frame["restored"] = str(tmp_path / "gone.png")
    assert photo_grid(comparison, tmp_path / "none.png") is None
    assert photo_figure(comparison, SelectedCase("Person_001_0001", "median", 1.0), tmp_path / "none.png") is None


def test_the_page_of_photos_has_verification_and_nothing_of_volumes(folders: list[Path], tmp_path: Path) -> None:
    page = compare(folders, tmp_path / "report")
    text = re.sub(r"data:image/png;base64,[^\"]*", "", page.read_text(encoding="utf-8"))
    own = text.split("<h3>Made again by</h3>")[0].split("</style>")[1].lower()
    for word in ("suvr", "uptake", "head mask", "radiological", "patient", "inverse grey", "slice", "volume"):
        assert word not in own, word
    for words in (
        "Is the person kept?",
        'id="verification-section"',
        'id="verification-probe"',
        "Figure 2 (a). ROC curves",
        "Figure 2 (c). Photos",
        "22.52 / 0.679 / 0.168",
        "paper +0.57",
        "paper &gt; +1 %",
        "Back-projection",
        "<h3>Readers</h3>",
        "AUC on clean test pairs",
        "<td><code>1111111111111111</code></td><td>0.910</td>",
        ">Local binary patterns</td><td>none</td><td><code>2222222222222222</code></td><td>0.800</td>",
        "White is 1",
    ):
        assert words in text
    quality = (tmp_path / "report" / "tables" / "table2-quality-frame.csv").read_text().splitlines()
    assert "back_projection,back_projection_low,back_projection_high" in quality[0]
    assert quality[-1].startswith("Clean,")
    assert "0.0012" in quality[-1]
    figures = {path.stem for path in (tmp_path / "report" / "figures").glob("*.png")}
    assert {"roc", "grid"} <= figures
    assert "suvr-scatter" not in figures


def test_photos_without_verification_or_identity_have_no_figures_of_the_papers(tmp_path: Path) -> None:
    folders = make_faces(tmp_path / "runs", RUNS[:2], people=7, size=16, verification=False)
    for folder in folders:
        record = (folder / "evaluation.yaml").read_text().replace("kind: embedding", "kind: binary")
        (folder / "evaluation.yaml").write_text(record)
    (tmp_path / "report" / "figures").mkdir(parents=True)
    (tmp_path / "report" / "figures" / "roc.png").touch()  # of a report that this one replaces
    page = compare(folders, tmp_path / "report")
    text = page.read_text(encoding="utf-8")
    assert "Is the property kept?" in text
    assert "verification" not in re.sub(r"base64,[^\"]*", "", text)
    assert "paper +" not in text
    assert ">Paper<" not in text
    assert not (tmp_path / "report" / "figures" / "roc.png").exists()


def test_figures_of_the_paper_stand_beside_its_own_experiment_alone(folders: list[Path]) -> None:
    comparison = load_comparison(folders)
    assert comparison.experiment == paper.LFW
    comparison.evaluations[0].record["cohort_kind"] = "photos"
    assert comparison.experiment == paper.NONE


def test_photos_without_a_property_are_reported_without_readers(tmp_path: Path) -> None:
    """No section on reading, verification or mapping, and no word of the paper."""
    folders = make_faces(tmp_path, RUNS[:2], people=6, size=16, verification=False)
    for folder in folders:
        table = pd.read_csv(folder / "cases.csv")
        table.loc[:, [c for c in table if c.startswith(("task_", "judge_"))]] = float("nan")
        table.to_csv(folder / "cases.csv", index=False)
        (folder / "features.safetensors").unlink(missing_ok=True)
        record = read_yaml(folder / "evaluation.yaml")
        record |= {"cohort_kind": "photos", "property": {"kind": "binary"}, "readers": {}}
        write_yaml(folder / "evaluation.yaml", record)
    text = compare(folders, tmp_path / "report").read_text(encoding="utf-8").split("</style>")[1]
    assert "How good are the photos?" in text
    for part in ('id="reading"', "Table 3", "geometry-section", "verification-section", "22.52", "diagnosis"):
        assert part not in text, part
