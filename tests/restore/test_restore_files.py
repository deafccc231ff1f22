"""The verb: files in, files out; what is kept, what is warned of, what is refused."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from small_models import AFFINE, save, volume, write
from taskgan.cohort.pairs import read_pairs
from taskgan.cohort.restorations import find_restorations
from taskgan.core.artefact import verify
from taskgan.core.errors import Failed, Problems, UserError
from taskgan.core.files import checksum, read_yaml, write_yaml
from taskgan.core.tables import csv_rows
from taskgan.images.volumes import read_sidecar, read_volume, sidecar
from taskgan.model.folder import read_model, write_model
from taskgan.model.restorer import Restorer
from taskgan.recipe import Data, Recipe
from taskgan.restore import run as files
from taskgan.restore.run import restore


def table(folder: Path, rows: int = 3, **columns: list[str]) -> Path:
    """A cohort of a user's own."""
    names = [f"c{i}" for i in range(rows)]
    for index, name in enumerate(names):
        save(folder / f"low_{name}.nii.gz", volume(seed=index))
        save(folder / f"full_{name}.nii.gz", volume(seed=100 + index))
    values = {
        "case": names,
        "subject": names,
        "split": ["train", *["test"] * (rows - 1)],
        "degraded": [f"low_{n}.nii.gz" for n in names],
        "clean": [f"full_{n}.nii.gz" for n in names],
        "label": ["0"] * rows,
    } | columns
    with (folder / "pairs.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(values)
        writer.writerows(zip(*values.values(), strict=True))
    return folder / "pairs.csv"


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()
    }


def test_a_file_keeps_grid_header_units_and_scale(model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "pet.nii.gz", volume())
    (tmp_path / "pet.json").write_text(json.dumps({"Units": "Bq/mL", "GeneratedBy": [{"Name": "recon"}]}))
    out = tmp_path / "restored.nii.gz"
    assert restore(model, [source], out) == out
    before, after = nib.load(source), nib.load(out)
    assert after.get_data_dtype() == np.float32
    assert after.shape == before.shape
    assert np.array_equal(after.affine, before.affine)
    for field in ("pixdim", "xyzt_units", "descrip", "qform_code", "sform_code", "srow_x"):
        assert np.array_equal(after.header[field], before.header[field]), field
    wanted = Restorer.from_folder(model).restore_volume(volume()).image
    np.testing.assert_array_equal(read_volume(out).data, wanted)


def test_the_sidecar_says_what_was_done_by_which_model(model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "pet.nii", volume())
    (tmp_path / "pet.json").write_text(
        json.dumps({"Units": "Bq/mL", "TracerName": "FBB", "GeneratedBy": [{"Name": "recon"}]})
    )
    restore(model, [source], tmp_path / "out", precision="32")
    side = read_sidecar(tmp_path / "out" / "pet.nii.gz")
    card = read_model(model)[1]
    assert (side["Units"], side["TracerName"]) == ("Bq/mL", "FBB")
    assert side["SourceChecksum"] == checksum(source)
    assert [step["Name"] for step in side["GeneratedBy"]] == ["recon", "taskgan"]
    done = side["GeneratedBy"][-1]
    assert done["Model"]["Name"] == card.name
    assert done["Model"]["Checksum"] == card.checksum
    assert done["Settings"]["precision_used"] == "32"
    assert side["Warnings"] == []
    assert str(tmp_path) not in json.dumps(side), "no path of this machine"


def test_the_same_call_writes_the_same_bytes(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("taskgan.core.tensors.bf16_is_native", lambda: False)
    source = save(tmp_path / "pet.nii.gz", volume())
    for batch_size, name in ((1, "a"), (4, "b")):
        restore(model, [source], tmp_path / name, batch_size=batch_size, precision="bf16")
        assert capsys.readouterr().out.count("which this CPU emulates") == 1
    first, second = (snapshot(tmp_path / name) for name in ("a", "b"))
    assert {k: v[1] for k, v in first.items()} == {k: v[1] for k, v in second.items()}


def test_scaled_integer_files_come_back_in_their_units(model: Path, tmp_path: Path) -> None:
    image = nib.Nifti1Image(volume(), AFFINE)
    image.header.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "pet.nii.gz")
    restore(model, [tmp_path / "pet.nii.gz"], tmp_path / "out")
    assert nib.load(tmp_path / "pet.nii.gz").dataobj.slope not in (0, 1)
    wanted = Restorer.from_folder(model).restore_volume(volume()).image
    found = nib.load(tmp_path / "out" / "pet.nii.gz")
    np.testing.assert_allclose(np.asarray(found.dataobj), wanted, atol=0.02 * wanted.max())
    assert found.get_data_dtype() == np.float32


def test_three_times_the_file_is_three_times_the_result(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "in" / "one.nii.gz", volume())
    save(tmp_path / "in" / "three.nii.gz", 3 * volume())
    restore(model, [tmp_path / "in"], tmp_path / "out", precision="32")
    one, three = (read_volume(tmp_path / "out" / f"{n}.nii.gz").data for n in ("one", "three"))
    assert np.abs(three - 3 * one).max() <= 1e-5 * three.max()
    printed = capsys.readouterr().out
    assert printed.count("warning: ") == 1
    assert "three.nii.gz has an intensity (mean_nonzero) of" in printed


def test_foreign_voxels_are_warned_of_once_and_recorded(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    affine = AFFINE.copy()
    affine[2, 2] = 6.0
    save(tmp_path / "thick.nii.gz", 50 * volume(), affine)
    restore(model, [tmp_path / "thick.nii.gz"], tmp_path / "out")
    (line,) = [t for t in capsys.readouterr().out.splitlines() if t.startswith("warning: ")]
    voxels, scale = read_sidecar(tmp_path / "out" / "thick.nii.gz")["Warnings"]
    assert voxels == "voxels of 6 mm along z, the model saw 2 to 3 mm"
    assert scale.startswith("an intensity (mean_nonzero) of")
    assert line == f"warning: {tmp_path / 'thick.nii.gz'} has {voxels}; and {scale}"


def test_a_folder_keeps_its_tree(model: Path, tmp_path: Path) -> None:
    for name in ("sub-1/pet.nii.gz", "sub-2/pet.nii", "other.nii.gz"):
        save(tmp_path / "in" / name, volume())
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    restore(model, [tmp_path / "in"], tmp_path / "out")
    found = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.nii*"))
    assert found == ["other.nii.gz", "sub-1/pet.nii.gz", "sub-2/pet.nii.gz"]
    record = read_yaml(tmp_path / "out" / "restored.yaml")
    assert record["status"] == "complete"
    assert not (tmp_path / "out" / "restored.csv").exists()


def test_a_table_gives_what_evaluate_reads(model: Path, tmp_path: Path) -> None:
    pairs = table(tmp_path / "cohort")
    restore(model.parent, [tmp_path / "cohort"], tmp_path / "out", split="test")
    with (tmp_path / "out" / "restored.csv").open(newline="") as handle:
        assert list(csv.DictReader(handle)) == [
            {"case": "c1", "restored": "c1.nii.gz"},
            {"case": "c2", "restored": "c2.nii.gz"},
        ]
    found = find_restorations(tmp_path / "out", read_pairs(pairs))
    assert (found.method, found.seed, found.fold) == ("gan", 3, 1)
    assert sorted(found.images) == ["c1", "c2"]
    recipe = read_yaml(tmp_path / "out" / "restored.yaml")["recipe"]
    assert Data.model_validate(recipe["data"]) == Recipe().data
    assert sorted(recipe) == ["data", "judge", "task"]


def test_the_models_selection_holds_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    model = write(tmp_path / "model", Data(select={"dose": 1}))
    table(tmp_path / "cohort", dose=["1", "5", "1.0"])

    def cases(name: str, **how: dict[str, str]) -> list[str]:
        restore(model, [tmp_path / "cohort" / "pairs.csv"], tmp_path / name, **how)  # type: ignore[arg-type]
        return sorted(p.name for p in (tmp_path / name).glob("*.nii.gz"))

    assert cases("own") == ["c0.nii.gz", "c2.nii.gz"]
    assert cases("asked", select={"dose": "5"}) == ["c1.nii.gz"]


def test_a_table_to_restore_needs_neither_clean_nor_label(model: Path, tmp_path: Path) -> None:
    save(tmp_path / "in" / "x.nii.gz", volume())
    (tmp_path / "in" / "mine.csv").write_text("case,degraded\np7,x.nii.gz\n")
    restore(model, [tmp_path / "in" / "mine.csv"], tmp_path / "out")
    assert (tmp_path / "out" / "p7.nii.gz").is_file()


def test_extra_channels_come_from_the_table(tmp_path: Path) -> None:
    model = write(tmp_path / "model", Data(inputs=("degraded", "mr")))
    with_mr = table(tmp_path / "a", mr=["mr.nii.gz"] * 3)
    save(tmp_path / "a" / "mr.nii.gz", volume(seed=5))
    restore(model, [with_mr], tmp_path / "out")
    wanted = Restorer.from_folder(model).restore_volume(volume(seed=1), [volume(seed=5)]).image
    np.testing.assert_array_equal(read_volume(tmp_path / "out" / "c1.nii.gz").data, wanted)
    with pytest.raises(UserError, match=r"pairs\.csv lacks the input column mr that the model takes"):
        restore(model, [table(tmp_path / "b")], tmp_path / "no")
    with pytest.raises(UserError, match="is no table: the model takes degraded, mr"):
        restore(model, [tmp_path / "a" / "mr.nii.gz"], tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_samples_write_mean_and_sd(model: Path, tmp_path: Path) -> None:
    restore(model, [table(tmp_path / "cohort")], tmp_path / "out", samples=3, seed=4, split="test")
    wanted = Restorer.from_folder(model).restore_volume(volume(seed=1), samples=3, seed=4)
    np.testing.assert_array_equal(read_volume(tmp_path / "out" / "c1.nii.gz").data, wanted.image)
    np.testing.assert_array_equal(read_volume(tmp_path / "out" / "c1_sd.nii.gz").data, wanted.sd)
    with (tmp_path / "out" / "restored.csv").open(newline="") as handle:
        assert next(csv.DictReader(handle)) == {"case": "c1", "restored": "c1.nii.gz", "sd": "c1_sd.nii.gz"}
    assert read_yaml(tmp_path / "out" / "restored.yaml")["settings"]["sample_seed"] == 4
    with pytest.raises(UserError, match="samples is 1, expected at least 2"):
        restore(model, [tmp_path / "cohort"], tmp_path / "one", samples=1)


def test_existing_output_is_kept_unless_asked(model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "pet.nii.gz", volume())
    restore(model, [source], tmp_path / "out")
    restore(model, [source], tmp_path / "one.nii.gz")
    before = snapshot(tmp_path)
    restore(model, [source], tmp_path / "out")  # already done
    restore(model, [source], tmp_path / "one.nii.gz")
    assert snapshot(tmp_path) == before
    other = write(tmp_path / "other", seed=1)
    with pytest.raises(UserError, match="holds a finished restoration by gan-seed3-fold1; .*--overwrite"):
        restore(other, [source], tmp_path / "out")
    with pytest.raises(UserError, match=r"one\.nii\.gz exists; .*--overwrite"):
        restore(other, [source], tmp_path / "one.nii.gz")
    assert {name: held for name, held in snapshot(tmp_path).items() if "other" not in name} == before
    restore(other, [source], tmp_path / "out", overwrite=True)
    restore(other, [source], tmp_path / "one.nii.gz", overwrite=True)
    after = snapshot(tmp_path)
    for name in ("out/pet.nii.gz", "one.nii.gz"):
        assert after[name][1] != before[name][1]
    assert read_yaml(tmp_path / "out" / "restored.yaml")["checksum"] == read_model(other)[1].checksum


def test_images_of_others_are_not_replaced(model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "in" / "pet.nii.gz", volume())
    save(tmp_path / "out" / "pet.nii.gz", volume(seed=9))
    with pytest.raises(UserError, match=r"pet\.nii\.gz exists"):
        restore(model, [source], tmp_path / "out")
    np.testing.assert_array_equal(read_volume(tmp_path / "out" / "pet.nii.gz").data, volume(seed=9))


def test_an_interrupted_call_goes_on(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = table(tmp_path / "cohort", rows=4)
    restore(model, [pairs], tmp_path / "whole")
    real, calls = files.write_volume, []

    def dies_at_third(path: Path, *rest: object, **named: object) -> None:
        calls.append(path.name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(path, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "write_volume", dies_at_third)
    with pytest.raises(KeyboardInterrupt):
        restore(model, [pairs], tmp_path / "out")
    assert read_yaml(tmp_path / "out" / "restored.yaml")["status"] == "running"
    with pytest.raises(UserError, match="holds another, unfinished restoration"):
        restore(write(tmp_path / "other", seed=1), [pairs], tmp_path / "out")
    save(tmp_path / "cohort" / "low_c1.nii.gz", volume(seed=77))  # changed since: its restoration is stale
    restore(model, [pairs], tmp_path / "out")
    assert calls == ["c0.nii.gz", "c1.nii.gz", "c2.nii.gz", "c1.nii.gz", "c2.nii.gz", "c3.nii.gz"]
    whole, gone_on = snapshot(tmp_path / "whole"), snapshot(tmp_path / "out")
    same = [name for name in whole if whole[name][1] == gone_on[name][1]]
    assert set(whole) - set(same) == {"c1.nii.gz", "c1.json", "restored.yaml"}


def test_a_killed_overwrite_never_passes_another_models_image_for_its_own(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before and after every file of it, and called again with and without ``--overwrite``."""
    pairs, other = table(tmp_path / "cohort", rows=2), write(tmp_path / "other", seed=1)
    restore(other, [pairs], tmp_path / "whole")
    names = {name for name in snapshot(tmp_path / "whole") if name.endswith((".nii.gz", ".json"))}
    real, moments = Path.replace, []

    def dies(partial: Path, target: Path) -> Path:
        moments.append(target.name)
        if len(moments) == moment + 1:
            raise KeyboardInterrupt
        return real(partial, target)

    restore(model, [pairs], tmp_path / "old")
    for moment in range(7):
        out, again = tmp_path / f"out{moment}", moment % 2 == 0
        shutil.copytree(tmp_path / "old", out)
        moments.clear()
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, "replace", dies)
            restore(other, [pairs], out, overwrite=True)
        if moment:  # before the first write it is still the old one
            assert read_yaml(out / "restored.yaml")["status"] == "running"
        restore(other, [pairs], out, overwrite=again or not moment)
        whole, found = snapshot(tmp_path / "whole"), snapshot(out)
        assert all(whole[name][1] == found[name][1] for name in names), f"killed at {moments[-1]}"
        assert verify(out) == (1, [])


def test_a_restored_image_that_was_changed_is_neither_kept_nor_called_done(model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "pet.nii.gz", volume())
    restore(model, [source], tmp_path / "out")
    save(tmp_path / "out" / "pet.nii.gz", volume(seed=9))
    assert verify(tmp_path / "out")[1] == [f"{tmp_path / 'out' / 'pet.nii.gz'} was changed"]
    with pytest.raises(UserError, match=r"pet\.nii\.gz was changed since it was restored; pass --overwrite"):
        restore(model, [source], tmp_path / "out")


def test_a_model_with_nan_writes_nothing(model: Path, tmp_path: Path) -> None:
    source, broken = save(tmp_path / "pet.nii.gz", volume()), tmp_path / "broken"
    state, card = read_model(model)
    name = next(name for name, value in state.items() if value.is_floating_point())
    write_model(broken, {**state, name: torch.full_like(state[name], torch.nan, dtype=torch.float32)}, card)
    with pytest.raises(Failed, match=f"broken are NaN or infinite in {name}; it restores nothing"):
        restore(broken, [source], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_case_of_which_the_model_makes_nan_is_left_out(model: Path, tmp_path: Path) -> None:
    """Finite weights may still overflow: the case is named, the others are restored, the call fails."""
    state, card = read_model(model)
    huge = {k: v * 1e30 if v.is_floating_point() else v for k, v in state.items()}
    write_model(tmp_path / "huge", huge, card)
    pairs = table(tmp_path / "cohort", rows=2)
    with np.errstate(all="ignore"), pytest.raises(Failed, match="(?s)2 of 2 images are left out: .* makes NaN"):
        restore(tmp_path / "huge", [pairs], tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.nii.gz"))
    assert read_yaml(tmp_path / "out" / "restored.yaml")["status"] == "running"


def test_bad_images_are_all_named_and_nothing_is_written(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    save(folder / "good.nii.gz", volume())
    nan = volume()
    nan[5, 5, 1] = np.nan
    save(folder / "nan.nii.gz", nan)
    save(folder / "flat.nii.gz", volume((9, 9)))
    save(folder / "series.nii.gz", volume((5, 5, 3, 2)))
    save(folder / "empty.nii.gz", np.zeros((6, 6, 2), np.float32))
    (folder / "text.nii").write_text("not an image")
    with pytest.raises(Problems, match="5 of 6 images cannot be restored: 5 problems") as caught:
        restore(model, [folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    message = str(caught.value)
    for sentence in (
        "nan.nii.gz holds 1 NaN",
        "flat.nii.gz has dimensions 9×9, expected a 3D volume",
        "series.nii.gz has dimensions 5×5×3×2, expected a 3D volume",
        "empty.nii.gz has no positive values",
        "text.nii cannot be read as NIfTI",
    ):
        assert sentence in message


def test_what_cannot_be_meant_is_refused_in_a_sentence(model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "in" / "pet.nii.gz", volume())
    save(tmp_path / "in" / "two.nii.gz", volume())
    pairs = table(tmp_path / "cohort")
    (tmp_path / "void").mkdir()
    (tmp_path / "file.txt").write_text("kept")
    cases = [
        ([], tmp_path / "o", "nothing to restore"),
        ([tmp_path / "nowhere.nii.gz"], tmp_path / "o", "nowhere.nii.gz does not exist"),
        ([tmp_path / "void"], tmp_path / "o", "void holds no NIfTI image, no DICOM series, no photo and no"),
        ([tmp_path / "file.txt"], tmp_path / "o", "file.txt is not a NIfTI image"),
        (
            [tmp_path / "file.txt"],
            tmp_path / "o.nii.gz",
            "file.txt is no image by its name; expected one that ends in .nii",
        ),
        ([tmp_path / "in"], tmp_path / "o.nii.gz", "is one file, the input is 2 images"),
        ([pairs], tmp_path / "o.nii.gz", "is one file, the input is 3 images"),
        ([source], source, "would be restored onto"),
        ([tmp_path / "in"], tmp_path / "in", "would be restored onto"),
        ([source, source], tmp_path / "o", "so would another input"),
        ([source], tmp_path / "file.txt", "file.txt is a file; expected a folder"),
    ]
    before = snapshot(tmp_path)
    for inputs, out, sentence in cases:
        with pytest.raises(UserError) as caught:
            restore(model, inputs, out, overwrite=True)
        assert sentence in str(caught.value)
    for how, sentence in (
        ({"split": "val"}, "has no row of the split 'val'; its splits are test, train"),
        ({"select": {"dose": "1"}}, "has no column 'dose'"),
        ({"precision": "8"}, "expected auto, 32 or bf16"),
    ):
        with pytest.raises(UserError) as caught:
            restore(model, [pairs], tmp_path / "o", **how)  # type: ignore[arg-type]
        assert sentence in str(caught.value)
    with pytest.raises(UserError, match="split and select need a pairs.csv"):
        restore(model, [source], tmp_path / "o", split="test")
    assert snapshot(tmp_path) == before


def test_a_cohorts_clean_images_cannot_be_replaced(model: Path, tmp_path: Path) -> None:
    pairs = table(tmp_path / "cohort")
    save(tmp_path / "cohort" / "c1.nii.gz", volume(seed=101))
    text = pairs.read_text().replace("full_c1.nii.gz", "c1.nii.gz")
    pairs.write_text(text)
    with pytest.raises(Problems, match=r"c1\.nii\.gz, an image of the input"):
        restore(model, [pairs], tmp_path / "cohort", overwrite=True)
    np.testing.assert_array_equal(read_volume(tmp_path / "cohort" / "c1.nii.gz").data, volume(seed=101))


def test_a_linked_input_is_not_replaced(model: Path, tmp_path: Path) -> None:
    save(tmp_path / "store" / "object.nii.gz", volume())
    link = tmp_path / "pet.nii.gz"
    link.symlink_to(tmp_path / "store" / "object.nii.gz")
    with pytest.raises(Problems, match="would be restored onto"):
        restore(model, [link], link, overwrite=True)
    assert link.is_symlink()


def test_the_inputs_sidecar_is_not_replaced(model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "pet.nii", volume())
    (tmp_path / "pet.json").write_text('{"Units": "Bq/mL"}')
    with pytest.raises(Problems, match=r"shares its sidecar with the input .*pet\.nii$"):
        restore(model, [source], tmp_path / "pet.nii.gz")
    assert (tmp_path / "pet.json").read_text() == '{"Units": "Bq/mL"}'


@pytest.mark.parametrize("case", ["../up", "a/b", ".hidden"])
def test_case_names_stay_in_the_folder(model: Path, tmp_path: Path, case: str) -> None:
    save(tmp_path / "in" / "x.nii.gz", volume())
    (tmp_path / "in" / "mine.csv").write_text(f"case,degraded\n{case},x.nii.gz\n")
    with pytest.raises(Problems, match="expected one that can be a file's name"):
        restore(model, [tmp_path / "in" / "mine.csv"], tmp_path / "out")


@given(shape=st.tuples(st.integers(1, 21), st.integers(1, 21), st.integers(1, 4)), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_grid_comes_back(
    model: Path, tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int, int], seed: int
) -> None:
    tmp_path = tmp_path_factory.mktemp("grid")
    image = volume(shape, seed=seed) + np.float32(0.1)
    affine = np.diag([*np.random.default_rng(seed).uniform(0.5, 4, 3), 1.0])
    restore(model, [save(tmp_path / "x.nii.gz", image, affine)], tmp_path / "out")
    found = read_volume(tmp_path / "out" / "x.nii.gz")
    assert found.data.shape == shape
    assert np.array_equal(found.affine, read_volume(tmp_path / "x.nii.gz").affine)


def test_a_singleton_time_axis_is_dropped(model: Path, tmp_path: Path) -> None:
    save(tmp_path / "x.nii.gz", volume()[..., None])
    restore(model, [tmp_path / "x.nii.gz"], tmp_path / "out")
    assert nib.load(tmp_path / "out" / "x.nii.gz").shape == volume().shape


def test_a_damaged_record_is_named(model: Path, tmp_path: Path) -> None:
    write_yaml(tmp_path / "out" / "restored.yaml", {"status": "running"})
    source = save(tmp_path / "pet.nii.gz", volume())
    with pytest.raises(UserError, match="another, unfinished restoration"):
        restore(model, [source], tmp_path / "out")


def test_an_output_below_the_inputs_is_not_restored_again(model: Path, tmp_path: Path) -> None:
    save(tmp_path / "in" / "pet.nii.gz", volume())
    (tmp_path / "in" / "._pet.nii.gz").write_bytes(b"of macOS")
    for _ in range(2):
        restore(model, [tmp_path / "in"], tmp_path / "in" / "restored", overwrite=True)
    assert [p.name for p in (tmp_path / "in").rglob("*.nii.gz")].count("pet.nii.gz") == 2
    restore(model, [tmp_path / "in"], tmp_path, overwrite=True)  # above the inputs: nothing is left out
    assert (tmp_path / "pet.nii.gz").is_file()


def test_what_a_killed_call_had_begun_is_cleared(model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "pet.nii.gz", volume())
    restore(model, [source], tmp_path / "out")
    (tmp_path / "out" / ".partial-x.nii.gz").write_bytes(b"half")
    restore(model, [source], tmp_path / "out", overwrite=True)
    assert not list((tmp_path / "out").glob(".partial-*"))


def test_a_sidecar_of_somebody_else_is_not_replaced(model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "pet.nii.gz", volume())
    (tmp_path / "out.json").write_text("{}")
    with pytest.raises(UserError, match=r"out.json exists"):
        restore(model, [source], tmp_path / "out.nii.gz")
    assert (tmp_path / "out.json").read_text() == "{}"


def test_a_further_input_on_another_grid_is_refused(tmp_path: Path) -> None:
    data = Data(inputs=("degraded", "mr"))
    made = write(tmp_path / "two", data)
    names = [f"mr{k}.nii.gz" for k in range(3)]
    source = table(tmp_path / "cohort", mr=names)
    for k, name in enumerate(names):
        moved = AFFINE.copy()
        moved[0, 3] += 5.0 if k == 1 else 0.0
        save(tmp_path / "cohort" / name, volume(seed=50 + k), moved)
    with pytest.raises(UserError, match=r"mr1.nii.gz has another affine than low_c1.nii.gz"):
        restore(made, [source], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_case_whose_metadata_cannot_be_written_is_left_out(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = table(tmp_path / "cohort")
    first, second = read_pairs(pairs).rows[:2]
    sidecar(first.degraded).write_text('{"a": ' + "[" * 3000 + "]" * 3000 + "}")
    sidecar(second.degraded).write_text('{"DecayFactor": [1.5, NaN], "Units": "Bq/mL", "Dose": Infinity}')
    with pytest.raises(Failed, match=rf"(?s)1 of 3 images are left out: .*case {first.case}: .* nests more than 100"):
        restore(model, [pairs], tmp_path / "out")
    assert "2 numbers that are NaN or infinite and are left out" in capsys.readouterr().out
    assert not (tmp_path / "out" / f"{first.case}.nii.gz").exists()
    assert [row["case"] for _, row in csv_rows(tmp_path / "out" / "restored.csv", ["case"])] == ["c1", "c2"]
    side = read_sidecar(tmp_path / "out" / f"{second.case}.nii.gz")
    assert side["Units"] == "Bq/mL"
    assert side["DecayFactor"] == [1.5, None]
    assert "Dose" not in side


def test_an_affine_that_could_not_be_written_is_named_before_the_work(model: Path, tmp_path: Path) -> None:
    image = nib.Nifti2Image(volume(), np.eye(4))
    for row, name in zip(np.full((3, 4), 1e200), ("srow_x", "srow_y", "srow_z"), strict=True):
        image.header[name] = row
    image.header["sform_code"], image.header["qform_code"], image.header["vox_offset"] = 1, 0, 544
    raw = bytes(image.header.binaryblock) + bytes(4) + volume().tobytes(order="F")
    save(tmp_path / "in" / "good.nii", volume())
    (tmp_path / "in" / "bad.nii").write_bytes(raw)
    with pytest.raises(Failed, match=r"(?s)1 of 2 images are left out: .*bad\.nii has an affine that cannot be"):
        restore(model, [tmp_path / "in"], tmp_path / "out")
    assert (tmp_path / "out" / "good.nii.gz").is_file()


def test_a_folder_that_is_in_use_is_left_alone(model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "pet.nii.gz", volume())
    code = (
        "import sys; from pathlib import Path; from taskgan.core.lock import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "out")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"out is in use by process {other.pid} on"):
            restore(model, [source], tmp_path / "out")
        other.communicate()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".partial-pet.nii.gz").touch()  # all that a killed call left
    restore(model, [source], tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"pet.nii.gz", "pet.json", "restored.yaml"}
