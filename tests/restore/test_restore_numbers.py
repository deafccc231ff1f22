"""A model that is told a number (the dose): from the table, the sidecar or the user, in training and restoring."""

import json
from pathlib import Path

import numpy as np
import pytest

from small_models import save, volume, write
from taskgan.cohort.check import check_cohort
from taskgan.cohort.conditions import number_of, told_code
from taskgan.cohort.dataset import Steps, TrainingSlices
from taskgan.cohort.pairs import Pairs, read_pairs, write_pairs
from taskgan.core.errors import Problems, UserError
from taskgan.images.volumes import read_sidecar, read_volume, sidecar
from taskgan.model.restorer import Restorer
from taskgan.recipe import Augment, Data, parse_recipe
from taskgan.restore.run import restore

DATA = Data(numeric="dose", augment=Augment(flip=True, shift=2))


@pytest.fixture
def table(tmp_path: Path) -> Pairs:
    rows = []
    for k, split in enumerate(("train", "train", "val", "test")):
        clean = save(tmp_path / f"clean{k}.nii.gz", volume((16, 16, 4), seed=k))
        for dose in (1, 10):
            low = save(tmp_path / f"low{k}-{dose}.nii.gz", volume((16, 16, 4), seed=10 * k + dose))
            row = {"case": f"s{k}_{dose}", "subject": f"s{k}", "split": split, "label": k % 2, "dose": dose}
            rows.append({**row, "degraded": low.name, "clean": clean.name})
    write_pairs(tmp_path / "pairs.csv", rows)
    return read_pairs(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "model", DATA)


def test_a_plane_of_its_logarithm_comes_before_the_conditions(table: Pairs) -> None:
    assert DATA.channels == 2
    both = DATA.model_copy(update={"condition": "contrast", "conditions": ("a", "b")})
    np.testing.assert_allclose(told_code("b", 100.0, both), [2, 0, 1])
    assert both.channels == 4
    slices = TrainingSlices(table.split("train"), DATA)
    inputs = Steps(slices, DATA, batch_size=8, steps=1, seed=0)[0].inputs.numpy()
    assert inputs.shape[1] == 2
    planes = inputs[:, 1]
    assert (planes == planes[:, :1, :1]).all()  # shifting an image does not shift what is told
    assert {float(p) for p in planes[:, 0, 0]} == {0.0, 1.0}


def test_rows_without_a_number_are_named(table: Pairs) -> None:
    text = table.source.read_text().replace(",1,low0", ",none,low0").replace(",10,low1", ",-3,low1")
    table.source.write_text(text)
    with pytest.raises(Problems) as caught:
        check_cohort(read_pairs(table.source), DATA, labels=True)
    assert "has dose 'none', expected a number above 0 (data.numeric)" in str(caught.value)
    assert "has dose '-3', expected a number above 0" in str(caught.value)
    assert number_of(table.rows[0], Data()) is None


def test_the_number_comes_from_the_user_the_table_or_the_sidecar(table: Pairs, model: Path, tmp_path: Path) -> None:
    restorer = Restorer.from_folder(model, precision="32")
    pair = table.split("test").rows[0]
    raw = read_volume(pair.degraded).data
    wanted = {dose: restorer.told(dose).restore_volume(raw).image for dose in (1.0, 10.0, 5.0)}
    assert not np.allclose(wanted[1.0], wanted[10.0])
    out = restore(model, [table.source], tmp_path / "out", split="test", precision="32")
    for dose in (1, 10):
        image = tmp_path / "out" / f"s3_{dose}.nii.gz"
        own = restorer.told(dose).restore_volume(read_volume(tmp_path / f"low3-{dose}.nii.gz").data).image
        np.testing.assert_array_equal(read_volume(image).data, own)
        assert read_sidecar(image)["GeneratedBy"][-1]["Settings"]["number"] == dose
    assert out == restore(model, [table.source], tmp_path / "out", split="test", precision="32")
    said = restore(model, [pair.degraded], tmp_path / "said", precision="32", dose=5.0)
    np.testing.assert_array_equal(read_volume(said / pair.degraded.name).data, wanted[5.0])
    sidecar(pair.degraded).write_text(json.dumps({"DosePercent": 10}))
    read = restore(model, [pair.degraded], tmp_path / "read", precision="32")
    np.testing.assert_array_equal(read_volume(read / pair.degraded.name).data, wanted[10.0])


def test_what_is_not_known_is_said(table: Pairs, model: Path, tmp_path: Path) -> None:
    image = table.rows[0].degraded
    with pytest.raises(UserError, match=r"has no dose \(asked of --dose, the table's column dose and the sidecar's"):
        restore(model, [image], tmp_path / "out")
    with pytest.raises(UserError, match="has 0.0 dose .*, expected a number above 0"):
        restore(model, [image], tmp_path / "out", dose=0.0)
    with pytest.raises(UserError, match="is told the dose of an image, and none is given"):
        Restorer.from_folder(model).restore_volume(volume())
    plain = write(tmp_path / "plain")
    with pytest.raises(UserError, match="5 is given as dose, but the model is told none"):
        restore(plain, [image], tmp_path / "out", dose=5.0)
    assert not (tmp_path / "out").exists()
    with pytest.raises(Problems, match="data.numeric is told with pairs"):
        parse_recipe({"objective": "cycle_gan", "data": {"numeric": "dose"}}, "test")
