import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from taskgan.core.files import read_yaml, write_yaml
from taskgan.evaluate.features import FILE, read_features
from taskgan.page.style import axes_figure, draw_mapping
from taskgan.report.geometry import (
    geometry_figure,
    geometry_paired,
    geometry_table,
    mapping_geometry,
    principal_directions,
)
from taskgan.report.load import load_comparison
from taskgan.report.run import compare
from taskgan.stats import Interval


@pytest.fixture
def old(evaluations: list[Path], tmp_path: Path) -> list[Path]:
    """The same evaluations as an earlier version left them."""
    copies = []
    for k, folder in enumerate(evaluations):
        copies.append(tmp_path / f"old-{k}")
        shutil.copytree(folder, copies[-1])
        (copies[-1] / FILE).unlink()
        record = read_yaml(copies[-1] / "evaluation.yaml")
        del record["files"][FILE]
        write_yaml(copies[-1] / "evaluation.yaml", record)
    return copies


def test_every_method_is_measured_with_all_its_seeds(evaluations: list[Path]) -> None:
    found = mapping_geometry(load_comparison(evaluations))
    assert found.methods == ("input", "l1", "gan", "task_gan")
    assert {m: len(found.mappings(m)) for m in found.methods} == {"input": 1, "l1": 1, "gan": 2, "task_gan": 1}
    for method in found.methods:
        assert set(found.measures[method]) == {"shrinkage", "slope", "rank_correlation", "retrieval", "flips"}
    # The fake GAN pulls the cortex together by 0.6, the fake Task-GAN by 0.9.
    slopes = [found.measures[m]["slope"].estimate for m in ("gan", "task_gan")]
    assert slopes == pytest.approx([0.6, 0.9], abs=0.08)
    ratios = []
    for folder in evaluations[2:]:  # the two seeds of GAN
        held = read_features(folder)
        assert held is not None
        told = held.images["clean"].std(axis=0) > 1e-5  # one feature is constant
        clean, restored = (
            held.images[k][:, told] / held.images["clean"][:, told].std(axis=0) for k in ("clean", "restored")
        )
        ratios.append(pdist(restored).mean() / pdist(clean).mean())
    assert found.measures["gan"]["shrinkage"].estimate == pytest.approx(np.mean(ratios), rel=1e-4)
    assert found.notes == ()


def test_the_tables_hold_what_was_measured(evaluations: list[Path]) -> None:
    comparison = load_comparison(evaluations)
    found = mapping_geometry(comparison)
    table = geometry_table(comparison, found)
    assert [row[0].text for row in table.rows] == ["Input", "L1 only", "GAN", "Task-GAN"]
    assert "0.12 by chance" in table.columns[5].meaning  # one of eight subjects
    gan = dict(zip((c.key for c in table.columns), table.rows[2], strict=True))
    assert gan["runs"].text == "2"
    assert gan["slope"].value == found.measures["gan"]["slope"]
    assert gan["slope"].tone == "worse"
    paired = geometry_paired(comparison, found)
    assert [row[0].text for row in paired.rows][:2] == ["L1 only − GAN", "Task-GAN − GAN"]
    gap = paired.rows[1][1].value
    assert isinstance(gap, Interval)
    expected = [found.measures[m]["shrinkage"].estimate for m in ("task_gan", "gan")]
    assert gap.estimate == pytest.approx(expected[0] - expected[1])


def test_earlier_evaluations_still_compare_and_a_note_says_what_is_missing(
    old: list[Path], evaluations: list[Path], tmp_path: Path
) -> None:
    out = compare(old, tmp_path / "report").parent
    with (out / "tables" / "geometry.csv").open() as handle:
        rows = {row["method"]: row for row in csv.DictReader(handle)}
    assert rows["GAN"]["slope"] != "" == rows["GAN"]["shrinkage"]
    text = (out / "report.html").read_text()
    assert "4 of 4 evaluations (Task-GAN, L1 only, GAN) hold no features of a judge" in text
    assert (out / "figures" / "geometry.png").is_file()
    found = mapping_geometry(load_comparison([evaluations[0], old[1]]))
    assert "1 of 2 evaluations (L1 only)" in found.notes[0]
    assert found.mappings("task_gan")
    assert not found.mappings("l1")


def test_the_figure_is_drawn_the_same_every_time(evaluations: list[Path], tmp_path: Path) -> None:
    comparison = load_comparison(evaluations)
    found = mapping_geometry(comparison)
    first = geometry_figure(comparison, found, tmp_path / "a.png")
    second = geometry_figure(comparison, found, tmp_path / "b.png")
    assert first is not None
    assert second is not None
    assert first.read_bytes() == second.read_bytes()


def test_principal_directions_are_those_of_the_largest_spread() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 4)) * [0.1, 3.0, 0.1, 1.0] + 5
    directions = principal_directions(values)
    assert np.abs(directions).argmax(axis=0).tolist() == [1, 3]
    assert (directions[[1, 3], [0, 1]] > 0.9).all()
    assert directions.T @ directions == pytest.approx(np.eye(2), abs=1e-9)
    # One feature alone has no second direction.
    assert principal_directions(values[:, :1]).tolist() == [[1.0, 0.0]]


def test_a_line_joins_each_image_with_its_own_clean_one() -> None:
    clean = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    labels = np.array([0.0, 1.0, np.nan])
    with axes_figure(1, 1, (3, 3)) as (_, axes):
        draw_mapping(axes[0, 0], clean, clean + np.array([0, 1]), labels)
        lines = axes[0, 0].get_lines()
    drawn = [line.get_xydata()[:2].tolist() for line in lines[::3]]
    assert drawn == [[[k, 0.0], [k, 1.0]] for k in (0.0, 1.0, 2.0)]
    names = [line.get_label() for line in lines if not line.get_label().startswith("_")]
    assert names[::2] == ["label 0, clean", "label 1, clean", "no label, clean"]
