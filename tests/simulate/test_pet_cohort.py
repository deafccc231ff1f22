import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from taskgan.cohort.folder import read_description
from taskgan.cohort.pairs import read_pairs
from taskgan.cohort.targets import Targets, invalid_labels
from taskgan.core.errors import UserError
from taskgan.core.files import checksum
from taskgan.images.volumes import read_sidecar, read_volume
from taskgan.recipe import read_recipe, shipped_recipes
from taskgan.recipe.task import KINDS
from taskgan.simulate import workers as driver
from taskgan.simulate.pet.cohort import simulate_pet
from taskgan.simulate.pet.settings import pet_simulation

pytest.importorskip("nilearn", reason="the MNI anatomy comes with nilearn")
VALIDATOR = Path(sys.executable).with_name("bids-validator-deno")
SETTINGS = pet_simulation(subjects=6, positive=0.5, doses=(5.0, 1.0), seed=3, iterations=1)


def _sums(folder):
    return {path.relative_to(folder).as_posix(): checksum(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return simulate_pet(tmp_path_factory.mktemp("pet") / "cohort", SETTINGS, workers=1)


def test_table_and_images_belong_together(made):
    pairs = read_pairs(made)
    assert len(pairs) == 12
    assert pairs.rows[0].case == "sub-001_dose-01"
    subjects: dict[str, set[str]] = {}
    anatomies: dict[str, set[str]] = {}
    for pair in pairs:
        subjects.setdefault(pair.subject, set()).add(pair.split)
        anatomies.setdefault(pair.columns["anatomy"], set()).add(pair.split)
        clean, degraded = read_volume(pair.clean), read_volume(pair.degraded)
        assert clean.data.shape == degraded.data.shape == (112, 112, 28)
        assert clean.voxel_size == pytest.approx((2.0, 2.0, 5.2))
        np.testing.assert_array_equal(clean.affine, degraded.affine)
        assert clean.data.min() >= 0
        for column in ("mask", "brain", "cortex", "reference", "truth"):
            assert read_volume(pair.path(column)).data.max() > 0
    assert all(len(splits) == 1 for splits in (*subjects.values(), *anatomies.values()))
    assert {p.split for p in pairs} == {"train", "val", "test"}


def test_label_is_the_cut_of_the_true_uptake_as_anyone_can_measure_it(made):
    for pair in read_pairs(made):
        truth, cortex, reference = (read_volume(pair.path(name)).data for name in ("truth", "cortex", "reference"))
        composite = truth[cortex > 0].mean(dtype=float) / truth[reference > 0].mean(dtype=float)
        assert composite == pytest.approx(float(pair.columns["composite_suvr"]), abs=1e-5)
        assert pair.label == float(composite > SETTINGS.cut)


def test_every_demo_recipe_finds_its_property(made):
    pairs = read_pairs(made)
    recipes = [read_recipe(name) for name in shipped_recipes() if name.startswith("pet-demo")]
    assert {recipe.task.kind for recipe in recipes} == set(KINDS)
    for recipe in recipes:
        targets = Targets.for_table(recipe.task.target, pairs)
        assert invalid_labels(pairs, targets) == []


def test_regions_and_grades_go_with_the_composite(made):
    for pair in read_pairs(made):
        composite = float(pair.columns["composite_suvr"])
        assert int(pair.columns["amyloid_grade"]) == (composite >= 1.25) + (composite > 1.40)
        positive = [int(v) for name, v in pair.columns.items() if name.startswith("positive_")]
        assert len(positive) == 6
        assert composite < 1.5 or sum(positive) >= 4
        assert composite > 1.2 or sum(positive) <= 2


def test_doses_are_in_the_same_units_and_noise_falls_with_dose(made):
    for pair in read_pairs(made):
        clean, degraded = read_volume(pair.clean).data, read_volume(pair.degraded).data
        assert degraded.sum() == pytest.approx(clean.sum(), rel=0.05)
    measured = read_description(made)["measured"]
    assert measured["dose05"]["relative_rmse"]["mean"] < 0.6 * measured["dose01"]["relative_rmse"]["mean"]
    assert measured["dose05"]["psnr_db"]["mean"] > measured["dose01"]["psnr_db"]["mean"] + 4


def test_measured_figures_are_those_of_the_files(made):
    rows = [p for p in read_pairs(made) if p.columns["dose"] == "1"]
    relative, psnr = [], []
    for pair in rows:
        clean, degraded = (read_volume(p).data.astype(float) for p in (pair.clean, pair.degraded))
        error = np.sqrt(np.mean((degraded - clean) ** 2))
        relative.append(error / np.sqrt(np.mean(clean**2)))
        psnr.append(20 * np.log10(clean.max() / error))
    measured = read_description(made)["measured"]["dose01"]
    assert measured["relative_rmse"]["mean"] == pytest.approx(np.mean(relative), abs=1e-3)
    assert measured["psnr_db"]["mean"] == pytest.approx(np.mean(psnr), abs=1e-2)


def test_sidecars_and_participants(made):
    side = read_sidecar(made / "sub-001/pet/sub-001_trc-FBB_rec-dose01_pet.nii.gz")
    assert side["Units"] == "Bq/mL"
    assert side["DosePercent"] == 1
    with (made / "participants.tsv").open() as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    assert [r["participant_id"] for r in rows] == [f"sub-{n:03d}" for n in range(1, 7)]
    assert {r["participant_id"]: float(r["amyloid"]) for r in rows} == {p.subject: p.label for p in read_pairs(made)}


@pytest.mark.skipif(not VALIDATOR.exists(), reason="bids-validator-deno is not installed")
def test_official_validator_finds_no_error(made):
    done = subprocess.run([VALIDATOR, made], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[ERROR]" not in done.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_stops_at_once_and_in_words(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """A terminal sends Ctrl-C to the workers too; a batch system sends SIGTERM to the first process alone."""
    words = [sys.executable, "-m", "taskgan", "simulate", "pet", str(tmp_path / "c"), "--workers", "2"]
    process = subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )
    while process.poll() is None and not list(tmp_path.glob("c/sub-*")):
        time.sleep(0.05)
    began = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == code, said
    assert time.monotonic() - began < 15  # a subject takes longer; idle it is under 3
    assert "nothing half-written is left, call it again to go on" in said
    assert "Traceback" not in said


def test_same_bytes_in_parts_with_two_workers_and_after_an_interruption(made, tmp_path, monkeypatch, capsys):
    out = tmp_path / "again"

    def stop_after_two(*args):
        for count, record in enumerate(module_run(*args), start=1):
            yield record
            if count == 2:
                raise KeyboardInterrupt

    module_run = driver.simulate_subjects
    monkeypatch.setattr(driver, "simulate_subjects", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        simulate_pet(out, SETTINGS, workers=1)
    assert not (out / "pairs.csv").exists()
    assert read_description(out)["complete"] is False
    first = (out / "sub-001/pet/sub-001_trc-FBB_rec-standard_pet.nii.gz").stat().st_mtime_ns
    (out / "sub-003/pet").mkdir(parents=True, exist_ok=True)
    (out / "sub-003/pet/.partial-killed.nii.gz").write_bytes(b"half a file")
    monkeypatch.setattr(driver, "simulate_subjects", module_run)
    simulate_pet(out, SETTINGS, workers=2, part="2/2")
    assert "part 2/2 is done, 1 not yet" in capsys.readouterr().out
    assert not (out / "pairs.csv").exists()
    simulate_pet(out, SETTINGS, workers=2, part="1/2")
    assert (out / "sub-001/pet/sub-001_trc-FBB_rec-standard_pet.nii.gz").stat().st_mtime_ns == first
    assert _sums(out) == _sums(made)
    capsys.readouterr()
    simulate_pet(out, SETTINGS)
    simulate_pet(out, SETTINGS, part="1/2")  # of a job that was put in the queue twice
    assert _sums(out) == _sums(made)
    assert "is complete: 6 subjects" in capsys.readouterr().out


def test_other_settings_and_other_folders_are_refused(made, tmp_path):
    with pytest.raises(UserError, match=r"was begun with seed = 3, now asked for seed = 4"):
        simulate_pet(made, SETTINGS.model_copy(update={"seed": 4}))
    (tmp_path / "mine.txt").write_text("not yours")
    with pytest.raises(UserError, match="is not empty and was not begun by simulate pet"):
        simulate_pet(tmp_path, SETTINGS)
    with pytest.raises(UserError, match="is a file"):
        simulate_pet(tmp_path / "mine.txt", SETTINGS)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_default_counts_are_calibrated_to_the_paper(tmp_path):
    """Table 2's input: relative RMSE .304 and PSNR 22.41 dB, here over 24 subjects of the default setting."""
    out = simulate_pet(tmp_path / "cohort", pet_simulation(subjects=24, seed=1))
    measured = read_description(out)["measured"]["dose01"]
    assert measured["relative_rmse"]["mean"] == pytest.approx(0.30, abs=0.03)
    assert measured["psnr_db"]["mean"] == pytest.approx(22.4, abs=1.5)


def test_one_file_is_a_template_and_two_heads_are_too_few(tmp_path, monkeypatch):
    class Planned(Exception):
        pass

    def stop(*_):
        raise Planned

    monkeypatch.setattr(driver, "simulate_subjects", stop)
    for name in ("a_tissue.nii", "b_tissue.nii"):
        (tmp_path / "heads").mkdir(exist_ok=True)
        (tmp_path / "heads" / name).touch()
    file = pet_simulation(subjects=6, positive=0.5, anatomy=tmp_path / "heads" / "a_tissue.nii")
    with pytest.raises(Planned):
        simulate_pet(tmp_path / "one", file, workers=1)
    assert "one template (a_tissue.nii) deformed per subject" in read_description(tmp_path / "one")["anatomies"]
    folder = pet_simulation(subjects=6, positive=0.5, anatomy=tmp_path / "heads")
    with pytest.raises(UserError, match="2 BrainWeb anatomies were found, expected at least 3"):
        simulate_pet(tmp_path / "two", folder, workers=1)
    assert not (tmp_path / "two").exists()
