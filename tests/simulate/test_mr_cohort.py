import csv
import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from taskgan.cohort.check import check_cohort
from taskgan.cohort.folder import read_description
from taskgan.cohort.pairs import read_pairs
from taskgan.cohort.slices import load_case
from taskgan.core.errors import UserError
from taskgan.core.files import checksum
from taskgan.evaluate.cases import read_case_table
from taskgan.evaluate.run import evaluate
from taskgan.images.volumes import read_sidecar, read_volume, write_volume
from taskgan.info import describe
from taskgan.physics.sequences import TARGETS, Mdme
from taskgan.recipe import parse_recipe, read_recipe
from taskgan.simulate import workers as driver
from taskgan.simulate.mr.cohort import input_columns, simulate_mr
from taskgan.simulate.mr.settings import mr_simulation

VALIDATOR = Path(sys.executable).with_name("bids-validator-deno")
INPUTS = tuple(input_columns(Mdme()))
RECIPE = parse_recipe(
    {
        "data": {"inputs": INPUTS, "intensity": {"kind": "none", "output": "real"}},
        "task": {"kind": "multi_class", "classes": 6},
    },
    "test",
)


def _sums(folder):
    return {path.relative_to(folder).as_posix(): checksum(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _settings(onion, **changes):
    values = {"subjects": 9, "patients": 0.67, "tumours": 0.5, "seed": 3, "pixels": 48, "slices": 6}
    return mr_simulation(anatomy=onion, **{**values, **changes})


@pytest.fixture(scope="module")
def made(tmp_path_factory, onion):
    return simulate_mr(tmp_path_factory.mktemp("mr") / "cohort", _settings(onion), workers=1)


def test_one_row_a_subject_and_contrast(made):
    pairs = read_pairs(made)
    assert len(pairs) == 54
    assert pairs.rows[3].case == "sub-001_T2FLAIR"
    assert len(INPUTS) == 16
    assert INPUTS[0] == "degraded"
    names = [target.name for target in TARGETS]
    kinds: dict[str, set[str]] = {}
    for pair in pairs:
        assert names[int(pair.label)] == pair.columns["contrast"]
        kinds.setdefault(pair.split, set()).add(pair.columns["pathology"])
        assert int(pair.columns["patient"]) == (pair.columns["pathology"] != "control")
    assert kinds == {split: {"control", "lesions", "tumour"} for split in ("train", "val", "test")}


def test_images_of_a_subject_share_one_grid_and_masks_say_what_is_there(made):
    for pair in list(read_pairs(made))[::6]:
        paths = [pair.degraded, pair.clean, *(pair.path(name) for name in INPUTS[1:])]
        assert len(set(paths)) == 17
        volumes = [read_volume(path) for path in paths]
        for volume in volumes:
            assert volume.data.shape == (48, 48, 6)
            np.testing.assert_array_equal(volume.affine, volumes[0].affine)
        assert volumes[0].voxel_size == pytest.approx((4.8, 4.8, 5.0))
        mask = {
            name: read_volume(pair.path(name)).data > 0
            for name in ("mask", "brain", "lesions", "tumour", "white", "grey", "csf")
        }
        assert mask["lesions"].any() == (pair.columns["pathology"] != "control")
        assert mask["tumour"].any() == (pair.columns["pathology"] == "tumour")
        assert all(mask[name].any() for name in ("white", "grey", "csf"))
        shortest = read_volume(pair.path("delay1_echo1_real")).data
        assert (shortest[mask["brain"]] < 0).mean() > 0.95
        assert (volumes[0].data[mask["brain"]] > 0).all()


def test_contrasts_look_like_theirs(made):
    pairs = {p.case: p for p in read_pairs(made)}
    for subject in {p.subject for p in pairs.values()}:
        first = pairs[f"{subject}_T1w"]
        mask = {name: read_volume(first.path(name)).data > 0 for name in ("white", "grey", "csf", "lesions")}

        def mean(contrast, tissue, subject=subject, mask=mask):
            image = read_volume(pairs[f"{subject}_{contrast}"].clean).data
            return image[mask[tissue]].mean()

        for contrast in ("T1w", "T1FLAIR"):
            assert mean(contrast, "white") > mean(contrast, "grey")
        assert mean("T2w", "csf") > mean("T2w", "grey") > mean("T2w", "white")
        assert mean("T2FLAIR", "csf") < 0.6 * mean("T2FLAIR", "white")
        if mask["lesions"].any():
            assert mean("T2FLAIR", "lesions") > 1.2 * mean("T2FLAIR", "white")


def test_the_cohort_can_be_checked_loaded_and_described(made):
    pairs = read_pairs(made)
    assert read_description(made)["inputs"] == list(INPUTS)
    check_cohort(pairs, RECIPE.data, labels=True, target=RECIPE.task.target)
    lesions, contrast = read_recipe("mr-lesions-demo").tasks
    check_cohort(pairs, RECIPE.data, labels=True, target=lesions.target, further=[contrast.target])
    case = load_case(pairs.rows[0], RECIPE.data)
    assert case.inputs.shape == (6, 16, 48, 48)
    assert case.inputs.min() < 0
    assert case.clean.min() >= 0
    text = describe(made)
    assert "kind mr" in text
    assert "3 subjects, 18 pairs (3 × label 0, 3 × label 1" in text
    assert "9 × T2-FLAIR" in text


def test_evaluate_judges_such_a_cohort(made, tmp_path):
    pairs = read_pairs(made)
    for pair in pairs.split("test"):
        clean = read_volume(pair.clean)
        write_volume(tmp_path / "restored" / f"{pair.case}.nii.gz", clean.data * 1.01, clean.affine)
    out = evaluate(tmp_path / "restored", made, tmp_path / "out", recipe=RECIPE, method="nearly", readers={})
    cases = read_case_table(out)
    assert len(cases[cases.method == "nearly"]) == 18
    assert (cases[cases.method == "nearly"].psnr > 30).all()


def test_sidecars_are_in_seconds_and_participants_tell_who_is_ill(made):
    short = read_sidecar(made / "sub-001/anat/sub-001_acq-delay0150_echo-2_part-imag_MESE.nii.gz")
    assert (short["InversionTime"], short["EchoTime"], short["RepetitionTime"]) == (0.15, 0.095, 4.35)
    flair = read_sidecar(made / "sub-001/anat/sub-001_FLAIR.nii.gz")
    assert (flair["InversionTime"], flair["EchoTime"], flair["RepetitionTime"]) == (2.4, 0.11, 9.5)
    assert "InversionTime" not in read_sidecar(made / "sub-001/anat/sub-001_T2w.nii.gz")
    with (made / "participants.tsv").open() as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    assert sum(int(r["patient"]) for r in rows) == 6
    for row in rows:
        assert (float(row["lesion_ml"]) > 0) == (row["pathology"] != "control")
        figures = f"derivatives/truth/{row['participant_id']}/{row['participant_id']}_desc-truth_figures.json"
        record = json.loads((made / figures).read_text())
        assert record["kind"] == row["pathology"]
        assert set(record["targets"]) == {target.name for target in TARGETS}
        assert 0.02 < np.linalg.norm(record["targets"]["STIR"]["shift_mm"]) < 2


@pytest.mark.skipif(not VALIDATOR.exists(), reason="bids-validator-deno is not installed")
def test_official_validator_finds_no_error(made):
    done = subprocess.run([VALIDATOR, made], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[ERROR]" not in done.stdout


def test_same_bytes_after_an_interruption_and_other_settings_are_refused(made, onion, tmp_path, monkeypatch, capsys):
    out, settings = tmp_path / "again", _settings(onion)

    def stop_after_two(*args):
        for count, record in enumerate(module_run(*args), start=1):
            yield record
            if count == 2:
                raise KeyboardInterrupt

    module_run = driver.simulate_subjects
    monkeypatch.setattr(driver, "simulate_subjects", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        simulate_mr(out, settings, workers=1)
    assert not (out / "pairs.csv").exists()
    assert read_description(out)["complete"] is False
    monkeypatch.setattr(driver, "simulate_subjects", module_run)
    simulate_mr(out, settings, workers=2)
    assert _sums(out) == _sums(made)
    capsys.readouterr()
    simulate_mr(out, settings)
    assert "is complete: 9 subjects" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"was begun with seed = 3, now asked for seed = 4"):
        simulate_mr(out, settings.model_copy(update={"seed": 4}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("not yours")
    with pytest.raises(UserError, match="is not empty and was not begun by simulate mr"):
        simulate_mr(tmp_path / "mine", settings)


def test_a_head_without_white_matter_is_a_sentence(onion, tmp_path):
    image = nib.load(onion)
    labels = np.asarray(image.dataobj)
    nib.save(nib.Nifti1Image(np.where(labels == 3, 2, labels).astype(np.uint8), image.affine), tmp_path / "grey.nii")
    with pytest.raises(UserError, match="has no white matter in the scanner's view"):
        simulate_mr(tmp_path / "out", _settings(tmp_path / "grey.nii", pixels=24, slices=3), workers=1)


def test_without_movement_and_difference_a_target_is_its_equation(onion, tmp_path):
    """Of pure tissue the T1w image is the equation of the record's own T1, T2 and density."""
    still = _settings(onion, pixels=32, slices=3, motion_mm=0, motion_deg=0, difference=0, noise=0, texture=0, gain=0)
    out = simulate_mr(tmp_path / "cohort", still, workers=1)
    pair = next(p for p in read_pairs(out) if p.columns["pathology"] == "lesions")
    record = json.loads((out / f"derivatives/truth/{pair.subject}/{pair.subject}_desc-truth_figures.json").read_text())
    assert record["targets"]["T1w"]["shift_mm"] == [0, 0, 0]
    assert record["targets"]["T1w"]["tissues"] == record["tissues"]
    t1, t2, pd = record["tissues"]["white"]
    expected = pd * np.exp(-15 / t2) * (1 - np.exp(-600 / t1))
    white = read_volume(pair.path("white")).data > 0
    image = read_volume(pair.clean).data[white]
    assert np.median(image) == pytest.approx(expected, rel=0.02)
