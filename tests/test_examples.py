"""The examples run, and what they make is what the reader takes."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="pydicom (extra dicom) is not installed")

from taskgan.core.files import read_yaml
from taskgan.images.dicom.series import SeriesFilter, find_series
from taskgan.images.dicom.suv import suv_factor
from taskgan.images.volumes import read_volume
from taskgan.node.settings import NodeSettings

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_made_up_series_is_whole_and_has_an_suv(tmp_path: Path) -> None:
    command = [sys.executable, EXAMPLES / "dicom_series.py", tmp_path, "--size", "24", "--slices", "6"]
    subprocess.run(command, check=True, capture_output=True)
    volume = read_volume(tmp_path / "pet")
    assert volume.data.shape == (24, 24, 6)
    assert volume.voxel_size == pytest.approx((2, 2, 4))
    assert 1 < volume.data.max() * suv_factor(find_series(tmp_path / "pet", SeriesFilter())) < 50


def test_the_example_of_a_node_knows_every_key_that_it_names() -> None:
    values = read_yaml(EXAMPLES / "node.yaml")
    assert values.keys() <= NodeSettings.model_fields.keys()
    assert values["routes"][0]["to"] in values["peers"]
