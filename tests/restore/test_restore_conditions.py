"""One acquisition, several contrasts: a model is told which one, by a table's column or by name."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from small_models import AFFINE, GENERATOR, network_of, save, volume, write
from taskgan.cohort.pairs import Pair, read_pairs
from taskgan.cohort.slices import load_case
from taskgan.core.errors import Problems, UserError
from taskgan.images.intensity import Intensity
from taskgan.images.volumes import read_sidecar, read_volume, sidecar
from taskgan.model.folder import read_model
from taskgan.model.restorer import Restorer
from taskgan.recipe import Data, IntensityTransform
from taskgan.restore.record import source_checksums
from taskgan.restore.run import restore

KNOWN = ("T2w", "T1w", "PDw")
DATA = Data(
    inputs=("degraded", "imag"),
    condition="contrast",
    conditions=KNOWN,
    intensity=IntensityTransform(kind="percentile", shared=True),
)
SINGLE = DATA.model_copy(update={"inputs": ("degraded",)})


@pytest.fixture
def cohort(make_contrasts: Callable[..., Path], tmp_path: Path) -> Path:
    return make_contrasts(tmp_path / "cohort")


@pytest.fixture
def told(tmp_path: Path) -> Path:
    return write(tmp_path / "told", DATA)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "restored.csv").open() as handle:
        return list(csv.DictReader(handle))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.nii.gz"))


def test_a_tables_column_says_which_condition_a_row_is_about(cohort: Path, told: Path, tmp_path: Path) -> None:
    out = restore(told, [cohort], tmp_path / "out", split="test", precision="32")
    listed = rows(out)
    assert [row["condition"] for row in listed] == list(KNOWN)
    restorer = Restorer.from_folder(told, precision="32")
    for row, pair in zip(listed, read_pairs(cohort).split("test"), strict=True):
        assert row["case"] == pair.case
        case = load_case(pair, DATA)
        wanted = restorer.restore_inputs(case.inputs, case.intensity, condition=row["condition"]).image
        np.testing.assert_array_equal(read_volume(out / row["restored"]).data, wanted)
        done = read_sidecar(out / row["restored"])["GeneratedBy"][-1]["Settings"]
        assert done["condition"] == row["condition"]
    images = [read_volume(out / row["restored"]).data for row in listed]
    assert not np.array_equal(images[0], images[1])


def test_an_image_of_another_contrast_does_not_claim_the_acquisitions_sequence(
    cohort: Path, told: Path, tmp_path: Path
) -> None:
    pairs = read_pairs(cohort).split("test")
    kept, dropped = {"MagneticFieldStrength": 3}, {"EchoTime": 0.021, "InversionTime": 4.2, "FlipAngle": 90.0}
    for pair in pairs:
        sidecar(pair.degraded).write_text(json.dumps(kept | dropped))
    out = restore(told, [cohort], tmp_path / "out", split="test", precision="32")
    for row in rows(out):
        own = read_sidecar(out / row["restored"])
        assert own["MagneticFieldStrength"] == 3
        assert not dropped.keys() & own.keys()
        assert own["SequenceName"] == f"synthetic {row['condition']}"


def test_rows_of_one_acquisition_are_read_once(
    cohort: Path, told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import taskgan.cohort.slices as slices

    read: list[str] = []
    real = slices.read_volume
    monkeypatch.setattr(slices, "read_volume", lambda path, **which: (read.append(path.name), real(path, **which))[1])
    restore(told, [cohort], tmp_path / "out", split="val", precision="32")
    assert len(read) == 2 * 2 * 2  # two subjects, two inputs, once to check and once to restore


def test_named_conditions_pick_the_rows_about_them(cohort: Path, told: Path, tmp_path: Path) -> None:
    out = restore(told, [cohort], tmp_path / "out", split="test", conditions=["PDw"], precision="32")
    assert names(out) == ["sub-test0_PDw.nii.gz"]


def test_a_table_without_the_column_gets_all_conditions(cohort: Path, told: Path, tmp_path: Path) -> None:
    table = cohort / "mine.csv"
    table.write_text("case,degraded,imag\nme,sub-test0_real.nii,sub-test0_imag.nii\n")
    out = restore(told, [table], tmp_path / "out", precision="32")
    assert names(out) == ["me_PDw.nii.gz", "me_T1w.nii.gz", "me_T2w.nii.gz"]
    assert [(row["case"], row["condition"]) for row in rows(out)] == [(f"me_{name}", name) for name in KNOWN]
    by_row = restore(told, [cohort], tmp_path / "rows", split="test", precision="32")
    np.testing.assert_array_equal(
        read_volume(out / "me_T1w.nii.gz").data, read_volume(by_row / "sub-test0_T1w.nii.gz").data
    )
    some = restore(told, [table], tmp_path / "some", conditions=["T1w", "PDw"], precision="32")
    assert names(some) == ["me_PDw.nii.gz", "me_T1w.nii.gz"]


def test_files_get_all_conditions_or_the_one_that_is_asked_for(tmp_path: Path) -> None:
    model = write(tmp_path / "single", SINGLE)
    image = save(tmp_path / "in" / "scan.nii.gz", volume(), AFFINE)
    out = restore(model, [image], tmp_path / "out", precision="32")
    assert names(out) == ["scan_PDw.nii.gz", "scan_T1w.nii.gz", "scan_T2w.nii.gz"]
    one = tmp_path / "one.nii.gz"
    restore(model, [image], one, conditions=["T1w"], precision="32")
    np.testing.assert_array_equal(read_volume(one).data, read_volume(out / "scan_T1w.nii.gz").data)
    with pytest.raises(UserError, match=r"is one file, the model makes T2w, T1w, PDw; expected a folder"):
        restore(model, [image], tmp_path / "two.nii.gz", precision="32")
    assert not (tmp_path / "two.nii.gz").exists()


@pytest.mark.parametrize(
    ("old", "new", "error", "said"),
    [
        ("test,PDw", "test,STIR", Problems, r"contrast 'STIR', expected one of T2w, T1w, PDw"),
        ("test,PDw", "test,", Problems, "has no contrast, expected one of"),
        ("sub-test0_imag.nii,sub-test0_T1w", ",sub-test0_T1w", UserError, "names no image in the input column 'imag'"),
        ("degraded,imag", "degraded,imaginary", UserError, "lacks the input column imag "),
    ],
    ids=["unknown condition", "no condition", "no image", "no column"],
)
def test_what_a_model_cannot_make_is_refused_before_anything_is_written(
    cohort: Path, told: Path, tmp_path: Path, old: str, new: str, error: type[Exception], said: str
) -> None:
    table = cohort / "pairs.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new))
    with pytest.raises(error, match=said):
        restore(told, [cohort], tmp_path / "out", split="test", precision="32")
    assert not (tmp_path / "out").exists()


def test_a_file_that_several_contrasts_lack_is_named_once(cohort: Path, told: Path, tmp_path: Path) -> None:
    # Three rows name it; the other missing file is another problem.
    for name in ("sub-test0_imag.nii", "sub-val0_imag.nii"):
        (cohort / name).unlink()
    with pytest.raises(UserError, match=r"sub-test0_imag.nii does not exist") as one:
        restore(told, [cohort], tmp_path / "out", split="test", precision="32")
    assert "\n" not in str(one.value)
    with pytest.raises(Problems, match="6 of 18 images cannot be restored: 2 problems"):
        restore(told, [cohort], tmp_path / "out", precision="32")
    assert not (tmp_path / "out").exists()


def test_unknown_names_and_models_of_one_image_are_sentences(cohort: Path, told: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="contrast 'STIR' is asked for, the model knows T2w, T1w, PDw"):
        restore(told, [cohort], tmp_path / "out", conditions=["STIR"])
    plain = write(tmp_path / "plain")
    with pytest.raises(UserError, match="condition 'T1w' is asked for, the model knows no condition at all"):
        restore(plain, [cohort], tmp_path / "out", conditions=["T1w"])
    absent = cohort / "absent.csv"
    absent.write_text("case,degraded,imag,contrast\na,sub-test0_real.nii,sub-test0_imag.nii,T1w\n")
    with pytest.raises(UserError, match="contrast PDw: expected some of what its rows have, T1w"):
        restore(told, [absent], tmp_path / "out", conditions=["PDw"])
    one = save(tmp_path / "scan.nii.gz", volume(), AFFINE)
    with pytest.raises(UserError, match="is no table: the model takes degraded, imag"):
        restore(told, [one], tmp_path / "out")


def test_an_interrupted_restoration_does_not_keep_another_condition(
    cohort: Path, told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import taskgan.restore.run as files

    real, made = files._write_image, []

    def killed(job: Any, *rest: Any) -> None:
        if made:
            raise KeyboardInterrupt
        made.append(job.case)
        real(job, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_write_image", killed)
        with pytest.raises(KeyboardInterrupt):
            restore(told, [cohort], tmp_path / "out", split="test", precision="32")
    table = cohort / "pairs.csv"
    table.write_text(table.read_text().replace("test,T2w", "test,T1w"))  # the row is about another one now
    with pytest.raises(UserError, match="another, unfinished restoration"):
        restore(told, [cohort], tmp_path / "out", split="test", precision="32")


def test_a_restorer_needs_a_condition_it_knows_and_takes_it_everywhere() -> None:
    restorer = Restorer(network_of(DATA, GENERATOR), DATA)
    inputs = np.random.default_rng(0).random((2, 2, 12, 12)).astype(np.float32)
    with pytest.raises(UserError, match="no contrast is asked for"):
        restorer.restore_slices(inputs)
    first, other = (restorer.restore_slices(inputs, name) for name in ("T2w", "T1w"))
    assert np.abs(first - other).max() > 1e-4
    mean, _ = restorer.sample_slices(inputs, 2, 0, "T1w")
    again, _ = restorer.sample_slices(inputs, 2, 0, "T2w")
    assert np.abs(mean - again).max() > 1e-4
    with pytest.raises(UserError, match="'x' is asked for"):
        restorer.restore_inputs(inputs, Intensity(1.0), condition="x")


def test_restore_volume_shares_the_scale_and_keeps_units() -> None:
    restorer = Restorer(network_of(DATA, GENERATOR), DATA)
    degraded = volume((12, 12, 2)) + 0.1
    further = -degraded  # nothing above zero: it has no scale of its own
    one = restorer.restore_volume(degraded, [further], condition="T1w").image
    three = restorer.restore_volume(3 * degraded, [3 * further], condition="T1w").image
    np.testing.assert_allclose(three, 3 * one, rtol=1e-4)


def test_bfloat16_is_probed_on_the_condition_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskgan.model.engines.bf16_is_native", lambda: True)
    restorer = Restorer(network_of(DATA, GENERATOR), DATA, precision="auto")
    told: list[tuple[int, ...]] = []
    real = restorer._run

    def seen(network: Any, stack: Any, part: Any, z: Any = None) -> Any:
        told.append(tuple(stack.code.astype(int)))
        return real(network, stack, part, z)

    monkeypatch.setattr(restorer, "_run", seen)
    inputs = np.random.default_rng(0).random((2, 2, 12, 12)).astype(np.float32)
    restored = restorer.restore_inputs(inputs, Intensity(1.0), condition="PDw")
    assert restored.error is not None
    assert set(told) == {(0, 0, 1)}


@pytest.mark.parametrize("conditioning", ["planes", "film"])
def test_a_model_folder_remembers_its_conditions(tmp_path: Path, conditioning: str) -> None:
    generator = GENERATOR.model_copy(update={"conditioning": conditioning})
    folder = write(tmp_path / "model", DATA, generator)
    _, card = read_model(folder)
    assert card.data.conditions == KNOWN
    assert card.data.channels == 2 + 3
    restored = Restorer.from_folder(folder, precision="32").restore_slices(np.ones((1, 2, 9, 9), np.float32), "T1w")
    assert restored.shape == (1, 9, 9)


def test_a_corrected_further_input_is_noticed(tmp_path: Path) -> None:
    for name in ("real", "imag"):
        (tmp_path / name).write_text(name)
    columns = {"degraded": "real", "imag": "imag"}
    pair = Pair(2, "a", "a", "", tmp_path / "real", None, None, columns, tmp_path)
    before, alone = source_checksums(pair, DATA), source_checksums(pair, SINGLE)
    (tmp_path / "imag").write_text("corrected")
    after = source_checksums(pair, DATA)
    assert after != before
    assert after["SourceChecksum"] == before["SourceChecksum"]  # by which an evaluation knows the cohort
    assert source_checksums(pair, SINGLE) == alone
