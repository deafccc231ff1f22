"""A model that is told the dose: by --set for a file, by its column for a table."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from small_models import network_of, save, volume, write
from taskgan.cohort.pairs import write_pairs
from taskgan.core.errors import UserError
from taskgan.images.volumes import read_sidecar, read_volume
from taskgan.model.restorer import Restorer
from taskgan.recipe import Data, Generator
from taskgan.recipe.data import NumericScale
from taskgan.release.export import channel_names
from taskgan.restore.run import restore

DATA = Data(numeric=("dose",), numeric_scales={"dose": NumericScale(log=True, low=1, high=25)})
FILM = Generator(width=4, max_width=16, depth=3, dropout_layers=2, conditioning="film")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "model", DATA)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return save(tmp_path / "pet.nii.gz", volume())


def test_a_file_is_restored_for_the_dose_that_is_said(model: Path, source: Path, tmp_path: Path) -> None:
    images = []
    for dose in ("5", "25"):
        out = restore(model, [source], tmp_path / f"dose{dose}.nii.gz", numbers={"dose": dose}, precision="32")
        told = Restorer.from_folder(model, precision="32").with_numbers({"dose": float(dose)})
        images.append(read_volume(out).data)
        np.testing.assert_array_equal(images[-1], told.restore_volume(volume()).image)
        side = read_sidecar(out)
        assert side["GeneratedBy"][-1]["Settings"]["numeric"] == {"dose": float(dose)}
        assert not any("dose" in text for text in side["Warnings"])
    assert not np.array_equal(*images)


def test_the_sidecar_says_the_dose_unless_the_user_does(model: Path, source: Path, tmp_path: Path) -> None:
    (tmp_path / "pet.json").write_text('{"DosePercent": 5.0}')
    for numbers, dose in ({}, 5.0), ({"dose": "10"}, 10.0):
        out = restore(model, [source], tmp_path / f"dose{dose}.nii.gz", numbers=numbers, precision="32")
        assert read_sidecar(out)["GeneratedBy"][-1]["Settings"]["numeric"] == {"dose": dose}


def test_the_other_dose_is_another_restoration(model: Path, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    restore(model, [source], out, numbers={"dose": "5"}, precision="32")
    before = (out / "pet.nii.gz").stat().st_mtime_ns
    restore(model, [source], out, numbers={"dose": "5"}, precision="32")
    assert (out / "pet.nii.gz").stat().st_mtime_ns == before
    with pytest.raises(UserError):
        restore(model, [source], out, numbers={"dose": "10"}, precision="32")


def test_a_tables_column_says_it(model: Path, source: Path, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"case": f"d{dose}", "subject": "s", "split": "test", "degraded": source.name, "dose": dose} for dose in (1, 60)
    ]
    write_pairs(tmp_path / "pairs.csv", rows)
    out = restore(model, [tmp_path / "pairs.csv"], tmp_path / "out", precision="32")
    restorer = Restorer.from_folder(model, precision="32")
    for row in rows:
        wanted = restorer.with_numbers({"dose": row["dose"]}).restore_volume(volume()).image
        np.testing.assert_array_equal(read_volume(out / f"{row['case']}.nii.gz").data, wanted)
    assert "dose 60, the model saw 1 to 25" in read_sidecar(out / "d60.nii.gz")["Warnings"]
    assert not any("dose" in text for text in read_sidecar(out / "d1.nii.gz")["Warnings"])
    with pytest.raises(UserError, match="--set dose=5: the table says the dose of case d1 itself"):
        restore(model, [tmp_path / "pairs.csv"], tmp_path / "other", numbers={"dose": "5"})


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ({}, r"pet.nii.gz has no dose, expected a number \(--set dose=VALUE\)"),
        ({"dose": "low"}, "has dose 'low', expected a number"),
        ({"dose": "0"}, "dose is 0, expected a number above 0"),
        ({"dose": "5", "age": "70"}, "--set age=70: the model is told dose"),
    ],
)
def test_what_is_not_said_right_is_a_sentence(
    numbers: dict[str, str], sentence: str, model: Path, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        restore(model, [source], tmp_path / "out", numbers=numbers)
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_told_nothing_refuses_numbers(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--set dose=5: the model is told no number"):
        restore(write(tmp_path / "plain"), [source], tmp_path / "out", numbers={"dose": "5"})


def test_film_is_told_numbers_too() -> None:
    network = network_of(DATA, FILM)
    for layer in network.up_film:  # which is 0 before training
        torch.nn.init.constant_(layer.weight, 0.5)
    restorer = Restorer(network, DATA)
    weak, strong = (restorer.with_numbers({"dose": dose}).restore_volume(volume()).image for dose in (1.0, 25.0))
    assert not np.array_equal(weak, strong)


def test_the_channels_of_an_export_name_the_number() -> None:
    assert channel_names(DATA)[-1] == "log dose, a constant plane: -1 at 1, 1 at 25"
