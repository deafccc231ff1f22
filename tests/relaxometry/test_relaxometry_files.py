"""The verb: what is written, what is kept, what is refused."""

import json
import shutil

import numpy as np
import pytest

from small_mr import read_table, write_cohort, write_table
from taskgan.cohort.pairs import read_pairs, subject_digest
from taskgan.cohort.restorations import find_restorations
from taskgan.core.artefact import verify
from taskgan.core.errors import Failed, Problems, UserError
from taskgan.core.files import read_yaml, write_yaml
from taskgan.images.volumes import read_sidecar, read_volume, sidecar, write_volume
from taskgan.recipe import parse_recipe
from taskgan.relaxometry import files, scans
from taskgan.relaxometry.acquisition import Relaxometry
from taskgan.relaxometry.files import restore_by_relaxometry
from taskgan.relaxometry.protocol import ProtocolFile, read_protocol
from taskgan.restore.record import RestorationRecord

RECIPE = parse_recipe(
    {"data": {"intensity": {"kind": "percentile"}}, "task": {"kind": "multi_class", "classes": 6}}, "test"
)
WHOLE = Relaxometry()
QUICK = Relaxometry(b1="nominal")  # a twentieth of the time, where no value is looked at


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("mr") / "cohort")


@pytest.fixture
def cohort(made, tmp_path):
    return shutil.copytree(made, tmp_path / "cohort")


def _restore(cohort, out, settings=QUICK, **options):
    return restore_by_relaxometry([cohort], out, recipe=RECIPE, settings=settings, **options)


@pytest.fixture(scope="module")
def restored(made):
    return _restore(made, made.parent / "restored", WHOLE, split="test", maps=True)


def test_it_leaves_what_a_model_leaves(made, restored):
    record = read_yaml(restored / "restored.yaml")
    assert (record["status"], record["method"], record["model"]) == ("complete", "relaxometry", "relaxometry")
    assert record["seed"] is None
    assert record["seen"] == {"subjects": 0}
    assert record["recipe"]["task"]["kind"] == "multi_class"
    assert record["protocol"] == {
        "input": "sidecars",
        "contrasts": {"T1w": "sidecar", "T2-FLAIR": "sidecar", "PDw": "sidecar"},
    }
    found = find_restorations(restored, read_pairs(made))
    assert (found.method, found.seed) == ("relaxometry", None)
    assert sorted(found.images) == ["sub-1_PDw", "sub-1_T1w", "sub-1_T2FLAIR"]


def test_images_are_near_the_true_ones_on_their_grid_and_in_their_units(made, restored):
    for pair in read_pairs(made).split("test"):
        image, true = read_volume(restored / f"{pair.case}.nii.gz"), read_volume(pair.clean)
        np.testing.assert_array_equal(image.affine, true.affine)
        inside = true.data > 0
        assert np.median(np.abs(image.data - true.data)[inside]) < 0.02 * true.data.max()
        assert image.data.min() >= 0


def test_the_sidecar_says_which_sequence_it_stands_for_and_how_it_was_made(made, restored):
    side = read_sidecar(restored / "sub-1_T2FLAIR.nii.gz")
    assert (side["RepetitionTime"], side["EchoTime"], side["InversionTime"]) == (9.5, 0.11, 2.4)
    assert side["InputProtocol"]["delays"] == [150.0, 600.0, 1950.0, 4200.0]
    assert "SaturationFlipAngle" not in side
    assert side["MagneticFieldStrength"] == 3
    done = side["GeneratedBy"][-1]
    assert done["Model"]["Objective"] == "relaxometry"
    assert done["Settings"]["condition"] == "T2-FLAIR"
    assert side["InputNoise"] == pytest.approx(0.004, rel=0.1)
    assert "InversionTime" not in read_sidecar(restored / "sub-1_T1w.nii.gz")


def test_maps_are_in_the_units_of_bids(restored):
    names = sorted(path.name for path in (restored / "maps").glob("*.nii.gz"))
    assert names == [f"sub-1_{suffix}.nii.gz" for suffix in ("PDmap", "T1map", "T2map", "TB1map")]
    t1, b1 = (read_volume(restored / "maps" / f"sub-1_{suffix}.nii.gz").data for suffix in ("T1map", "TB1map"))
    assert 0.3 < np.median(t1[t1 > 0]) < 2
    assert 75 < b1[b1 > 0].min() < b1.max() < 125
    assert read_sidecar(restored / "maps" / "sub-1_T1map.nii.gz")["Units"] == "s"


def test_a_subject_is_fitted_once_for_all_its_contrasts(made, tmp_path, monkeypatch):
    calls = []
    fit = scans.fit_maps
    monkeypatch.setattr(scans, "fit_maps", lambda *a, **k: calls.append(k["name"]) or fit(*a, **k))
    _restore(made, tmp_path / "out")
    assert calls == ["the input of sub-0", "the input of sub-1"]


def test_an_interrupted_call_goes_on_and_a_finished_one_is_kept(made, tmp_path, monkeypatch):
    out = tmp_path / "out"
    write = files._write

    def stop(job, *rest):
        if job.case == "sub-1_T2FLAIR":
            raise KeyboardInterrupt
        write(job, *rest)

    monkeypatch.setattr(files, "_write", stop)
    with pytest.raises(KeyboardInterrupt):
        _restore(made, out)
    before = {p.name: p.stat().st_mtime_ns for p in out.glob("*.nii.gz")}
    assert len(before) == 4
    with pytest.raises(UserError, match="unfinished"):
        find_restorations(out, read_pairs(made))
    monkeypatch.setattr(files, "_write", write)
    _restore(made, out)
    after = {p.name: p.stat().st_mtime_ns for p in out.glob("*.nii.gz")}
    assert len(after) == 6
    assert {name: after[name] for name in before} == before
    _restore(made, out)  # already done
    assert {p.name: p.stat().st_mtime_ns for p in out.glob("*.nii.gz")} == after
    with pytest.raises(UserError, match="holds a result of other inputs or settings"):
        _restore(made, out, conditions=["PDw"])
    _restore(made, out, overwrite=True, conditions=["PDw"])


@pytest.mark.parametrize("after", ["maps", "images"])
def test_a_killed_overwrite_keeps_no_maps_of_other_settings(made, restored, tmp_path, monkeypatch, after):
    """Killed before the maps, or with all images but none of the maps written anew."""
    out = shutil.copytree(restored, tmp_path / "out")
    write = files.write_maps

    def stop(*_, **__):
        raise KeyboardInterrupt

    if after == "maps":
        monkeypatch.setattr(files, "write_maps", stop)
    else:
        monkeypatch.setattr(files, "write_maps", lambda *_: None)
        monkeypatch.setattr(RestorationRecord, "close", stop)
    with pytest.raises(KeyboardInterrupt):
        _restore(made, out, split="test", maps=True, overwrite=True)
    monkeypatch.undo()
    assert files.write_maps is write
    _restore(made, out, split="test", maps=True)
    assert verify(out) == (1, [])
    wanted = read_yaml(out / "restored.yaml")["checksum"]
    for path in (out / "maps").glob("*.nii.gz"):
        assert read_sidecar(path)["GeneratedBy"][-1]["Model"]["Checksum"] == wanted


def test_a_table_without_contrasts_gives_all_six(cohort, tmp_path):
    rows = read_table(cohort)
    kept = [{k: v for k, v in row.items() if k not in ("contrast", "clean", "label")} for row in rows[::3]]
    write_table(cohort, [row | {"case": row["subject"]} for row in kept])
    out = _restore(cohort, tmp_path / "out", split="test")
    names = {path.name for path in out.glob("*.nii.gz")}
    assert names == {f"sub-1_{name}.nii.gz" for name in ("T1w", "T1-FLAIR", "T2w", "T2-FLAIR", "STIR", "PDw")}
    assert set(read_yaml(out / "restored.yaml")["protocol"]["contrasts"].values()) == {"default"}


def test_real_parts_alone_with_their_sign_are_enough_and_magnitudes_are_not(cohort, tmp_path):
    rows = read_table(cohort)
    write_table(cohort, [{k: v for k, v in row.items() if not k.endswith("_imag")} for row in rows])
    # The receive phase of the phantom is not 0, so that its real parts are the signal times a cosine.
    _restore(cohort, tmp_path / "out", split="test")
    for path in cohort.rglob("*part-real*.nii.gz"):
        volume = read_volume(path)
        write_volume(path, np.abs(volume.data), volume.affine)
    with pytest.raises(UserError, match="input of sub-1 is magnitude") as caught:
        _restore(cohort, tmp_path / "other", split="test")
    assert not (tmp_path / "other").exists()
    assert "\n" not in str(caught.value)


def test_a_protocol_file_goes_before_the_sidecars(cohort, tmp_path):
    write_yaml(tmp_path / "mine.yaml", {"targets": [{"name": "T1w", "tr": 500, "te": 12}]})
    given = read_protocol(tmp_path / "mine.yaml")
    out = _restore(cohort, tmp_path / "out", split="test", protocol_file=given)
    assert read_sidecar(out / "sub-1_T1w.nii.gz")["RepetitionTime"] == 0.5
    assert read_yaml(out / "restored.yaml")["protocol"]["contrasts"]["T1w"] == "file"
    write_yaml(tmp_path / "bad.yaml", {"targets": [{"name": "T1w", "te": 12}], "mdmee": {}})
    with pytest.raises(Problems, match="mean mdme"):
        read_protocol(tmp_path / "bad.yaml")


def _columns(rows, *names):
    return [{k: v for k, v in row.items() if k not in names} for row in rows]


def test_missing_columns_are_named(cohort, tmp_path):
    rows = read_table(cohort)
    write_table(cohort, _columns(rows, "delay2_echo1_imag"))
    with pytest.raises(UserError, match="lacks the column delay2_echo1_imag that relaxometry"):
        _restore(cohort, tmp_path / "out")
    write_table(cohort, _columns(rows, *(name for name in rows[0] if name.startswith("delay"))))
    with pytest.raises(UserError, match=r"lacks the columns .* and 12 more"):
        _restore(cohort, tmp_path / "out")
    with pytest.raises(UserError, match="is no table"):
        restore_by_relaxometry([next(cohort.rglob("*.nii.gz"))], tmp_path / "out", recipe=RECIPE)
    assert not (tmp_path / "out").exists()


def test_another_grid_is_refused_before_anything_is_written(cohort, tmp_path):
    path = next(cohort.glob("sub-1/anat/*delay0600_echo-2_part-imag*.nii.gz"))
    volume = read_volume(path)
    write_volume(path, volume.data[:-1], volume.affine)
    with pytest.raises(UserError, match=r"delay0600_echo-2_part-imag_MESE.nii.gz has shape 19×20×2, expected 20×20×2"):
        _restore(cohort, tmp_path / "out")
    write_volume(path, volume.data, volume.affine + np.eye(4) * [1, 1, 1, 0])
    with pytest.raises(UserError, match="has another affine"):
        _restore(cohort, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_subject_that_cannot_be_fitted_is_listed(cohort, tmp_path):
    for number in (0, 1):
        next(cohort.glob(f"sub-{number}/anat/*delay0150_echo-1_part-real*.nii.gz")).write_bytes(b"no image")
    with pytest.raises(Problems, match="2 of 2 acquisitions cannot be fitted") as caught:
        _restore(cohort, tmp_path / "out")
    assert len(caught.value.problems) == 2


def test_a_subject_whose_affine_cannot_be_written_or_who_cannot_be_fitted_is_left_out(cohort, tmp_path, monkeypatch):
    def refuse(path, volume):
        if "sub-0" in str(path):
            raise UserError(f"{path} has an affine that cannot be taken apart")

    fit = files.fit_scan

    def fail(scan, setup):
        if scan.name == "sub-1":
            raise UserError("the input of sub-1 has no signal")
        return fit(scan, setup)

    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("taskgan.restore.inputs.check_affine", refuse)
        with pytest.raises(Failed, match=r"(?s)3 of 6 images are left out: .*case .* cannot be taken apart$"):
            _restore(cohort, out)
    assert {path.name[:5] for path in out.glob("*.nii.gz")} == {"sub-1"}
    assert read_yaml(out / "restored.yaml")["status"] == "running"
    with monkeypatch.context() as patched:
        patched.setattr(files, "fit_scan", fail)
        with pytest.raises(Failed, match=r"(?s)3 of 6 images are left out: .*the input of sub-1 has no signal$"):
            _restore(cohort, tmp_path / "other")
    _restore(cohort, out)
    assert len(list(out.glob("*.nii.gz"))) == 6
    assert verify(out) == (1, [])


def test_an_existing_image_or_map_is_not_replaced(cohort, tmp_path):
    out = tmp_path / "out"
    (out / "maps").mkdir(parents=True)
    (out / "maps" / "sub-1_T1map.nii.gz").write_text("mine")
    with pytest.raises(UserError, match="sub-1_T1map.nii.gz exists"):
        _restore(cohort, out, split="test", maps=True)
    assert (out / "maps" / "sub-1_T1map.nii.gz").read_text() == "mine"
    assert not (out / "restored.yaml").exists()


def test_an_unknown_contrast_is_named(cohort, tmp_path):
    rows = read_table(cohort)
    for row in rows:
        row["contrast"] = row["contrast"].replace("PDw", "MT")
    write_table(cohort, rows)
    _restore(cohort, tmp_path / "by-sidecar", split="test")  # its sidecar says what it is
    for path in cohort.rglob("*PDw.nii.gz"):
        side = json.loads(sidecar(path).read_text())
        del side["EchoTime"]
        sidecar(path).write_text(json.dumps(side))
    with pytest.raises(UserError, match="the contrast 'MT' has no protocol"):
        _restore(cohort, tmp_path / "out", split="test")
    given = ProtocolFile.model_validate({"targets": [{"name": "MT", "tr": 2700, "te": 20}]})
    _restore(cohort, tmp_path / "out", split="test", protocol_file=given)


def test_factors_from_training_subjects_take_the_receivers_gain_into_account(cohort, tmp_path):
    for path in cohort.rglob("*PDw.nii.gz"):
        volume = read_volume(path)
        write_volume(path, volume.data * np.float32(7.0), volume.affine)
    plain = _restore(cohort, tmp_path / "plain", WHOLE, split="test")
    out = _restore(cohort, tmp_path / "out", WHOLE, split="test", calibration=3)
    record = read_yaml(out / "restored.yaml")
    assert record["settings"]["factors"] == pytest.approx({"PDw": 7.0, "T1w": 1.0, "T2-FLAIR": 1.0}, rel=0.02)
    assert record["seen"]["subjects"] == 1
    assert record["seen"]["people"] == [subject_digest("sub-0")]
    assert record["checksum"] != read_yaml(plain / "restored.yaml")["checksum"]
    for name in ("PDw", "T1w"):
        images = [read_volume(folder / f"sub-1_{name}.nii.gz").data for folder in (out, plain)]
        np.testing.assert_allclose(images[0], record["settings"]["factors"][name] * images[1], rtol=1e-5)


def test_factors_need_training_rows(cohort, tmp_path):
    write_table(cohort, [row for row in read_table(cohort) if row["split"] == "test"])
    with pytest.raises(UserError, match="no row of the split 'train'"):
        _restore(cohort, tmp_path / "out", calibration=3)
    assert not (tmp_path / "out").exists()


def _prepared(cohort):
    """Sidecars as ``prepare mr`` writes them: the inputs have one factor, each contrast its own."""
    for number, path in enumerate(sorted(cohort.rglob("*.json"))):
        side = json.loads(path.read_text())
        path.write_text(json.dumps(side | {"IntensityFactor": 50.0 if "MESE" in path.name else 7.0 + number}))
    return cohort


def test_contrasts_with_a_scale_of_their_own_are_warned_of_once(cohort, made, tmp_path, capsys):
    out = _restore(_prepared(cohort), tmp_path / "out", split="test", maps=True)
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning:")]
    assert "the true images of PDw, T1w, T2-FLAIR have a scale of their own" in line
    assert "--calibrate N" in line
    assert read_yaml(out / "restored.yaml")["warnings"] == [line.removeprefix("warning: ")]
    # What is synthesised is in the input's units, which its factor leads back to those of the export.
    assert read_sidecar(out / "sub-1_T1w.nii.gz")["IntensityFactor"] == 50.0
    assert read_sidecar(out / "maps" / "sub-1_PDmap.nii.gz")["IntensityFactor"] == 50.0
    assert "IntensityFactor" not in read_sidecar(out / "maps" / "sub-1_T1map.nii.gz")
    calibrated = _restore(cohort, tmp_path / "calibrated", split="test", calibration=1)
    assert "IntensityFactor" not in read_sidecar(calibrated / "sub-1_T1w.nii.gz")
    _restore(made, tmp_path / "simulated", split="test")
    assert "warning" not in capsys.readouterr().out
    for folder in (calibrated, tmp_path / "simulated"):
        assert "warnings" not in read_yaml(folder / "restored.yaml")


def test_a_finished_output_is_refused_before_anything_is_read_or_fitted(made, restored, tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("it was worked on")

    monkeypatch.setattr(scans, "fit_maps", never)
    monkeypatch.setattr(files, "find_scans", never)
    with pytest.raises(UserError, match="holds a result of other inputs or settings"):
        _restore(made, restored, split="test", calibration=1)
    taken = tmp_path / "taken" / "sub-1_T1w.nii.gz"
    taken.parent.mkdir()
    taken.touch()
    with pytest.raises(UserError, match=r"sub-1_T1w.nii.gz exists"):
        _restore(made, taken.parent, split="test", calibration=1)


def test_an_affine_that_cannot_be_written_is_found_before_anything_is(cohort, tmp_path, monkeypatch):
    def refuse(path, volume):
        raise UserError(f"{path} has an affine that cannot be taken apart")

    monkeypatch.setattr("taskgan.restore.inputs.check_affine", refuse)
    with pytest.raises(UserError, match="2 of 2 acquisitions cannot be fitted"):
        _restore(cohort, tmp_path / "out")
    assert not (tmp_path / "out").exists()
