import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exported import AFFINE, SHAPE, save
from taskgan.cohort.check import check_cohort
from taskgan.cohort.folder import read_description
from taskgan.cohort.pairs import read_pairs
from taskgan.core.artefact import verify
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import checksum
from taskgan.core.settings import validated
from taskgan.images.volumes import read_sidecar, read_volume
from taskgan.info import describe
from taskgan.physics.sequences import CONTRASTS, TARGETS, input_columns
from taskgan.prepare.mr.cohort import prepare_mr
from taskgan.prepare.mr.plan import MrPreparation
from taskgan.recipe import parse_recipe, read_recipe

VALIDATOR = Path(sys.executable).with_name("bids-validator-deno")
INPUTS = tuple(input_columns(2, 2))


def prepared(export, out, *further, overwrite=False, **changes):
    return prepare_mr(export.table(*further), out, MrPreparation(**changes), overwrite=overwrite)


def problems(export, out, *further, **changes):
    with pytest.raises(Problems) as caught:
        prepared(export, out, *further, **changes)
    assert not out.exists()
    assert not list(out.parent.glob(".partial-*"))
    return caught.value.problems


def sums(folder):
    return {p.relative_to(folder).as_posix(): checksum(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_labels_are_the_simulators():
    assert tuple(target.name for target in TARGETS) == CONTRASTS


def test_exports_become_a_cohort_that_can_be_checked_and_described(three, tmp_path):
    out = prepared(three, tmp_path / "cohort", normalise=False)
    pairs = read_pairs(out)
    assert len(pairs) == 6
    assert {p.case for p in pairs} >= {"sub-P0_T1w", "sub-P2_T2FLAIR"}
    assert {p.split for p in pairs} == {"train", "val", "test"}
    columns = ("degraded", *(c for c in INPUTS if c != "degraded"))
    for pair in pairs:
        name = pair.subject.replace("sub-P", "P-")
        for column, (delay, echo, part) in input_columns(2, 2).items():
            path = pair.degraded if column == "degraded" else pair.path(column)
            expected = three.inputs[name, (150, 4200)[delay - 1], echo]
            np.testing.assert_allclose(read_volume(path).data, getattr(expected, part), rtol=1e-5, atol=2e-4)
        np.testing.assert_array_equal(read_volume(pair.clean).data, three.targets[name, pair.columns["contrast"]])
        assert CONTRASTS[int(pair.label)] == pair.columns["contrast"]
    recipe = parse_recipe({"data": {"inputs": columns, "intensity": {"kind": "none"}}}, "test")
    check_cohort(pairs, recipe.data, labels=False)
    text = describe(out)
    assert "taskgan prepare mr (kind mr)" in text
    assert "3 × T1w, 3 × T2-FLAIR" in text
    assert read_description(out)["contrasts"] == {"0": "T1w", "3": "T2-FLAIR"}


def test_fewer_contrasts_than_six_are_numbered_so_that_they_can_be_learnt(three, tmp_path, capsys):
    out = prepared(three, tmp_path / "cohort")
    pairs = read_pairs(out)
    assert {p.columns["contrast_number"] + p.columns["contrast"] for p in pairs} == {"0T1w", "1T2-FLAIR"}
    [note] = [line for line in capsys.readouterr().out.splitlines() if "2 of the 6 contrasts" in line]
    words = note.partition(" says ")[2].split()
    changes = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    recipe = read_recipe("mr-demo", changes)
    data = recipe.data.model_copy(update={"inputs": INPUTS, "conditions": ("T1w", "T2-FLAIR")})
    check_cohort(pairs, data, labels=True, target=recipe.task.target)
    with pytest.raises(Problems, match="no training row has label 1, 2, 4, 5"):
        check_cohort(pairs, data, labels=True, target=read_recipe("mr-demo", []).task.target)
    for number, contrast in enumerate(CONTRASTS):
        if contrast not in ("T1w", "T2-FLAIR"):
            file = three.folder / f"{number}.nii.gz"
            save(file, np.random.default_rng(number).uniform(1, 9, SHAPE).astype(np.float32))
            three.add("P-0", file.name, "target", name=contrast)
    assert "contrast_number" not in read_pairs(prepared(three, tmp_path / "six")).columns


def test_one_factor_for_all_inputs_and_one_for_each_target(three, tmp_path):
    for row in three.rows:
        row["te_ms"] = {1: 21, 2: 95}.get(row.get("echo"), "")
    out = prepared(three, tmp_path / "cohort", "te_ms")
    factors = set()
    for pair in read_pairs(out).select({"subject": "sub-P0"}):
        head = np.abs(three.inputs["P-0", 4200, 1]) > 60
        first = read_volume(pair.degraded).data + 1j * read_volume(pair.path("delay2_echo1_imag")).data
        assert np.percentile(np.abs(first)[head], 99.5) == pytest.approx(1, rel=1e-5)
        for column, (delay, echo, part) in input_columns(2, 2).items():
            path = pair.degraded if column == "degraded" else pair.path(column)
            side = read_sidecar(path)
            factors.add(side["IntensityFactor"])
            expected = getattr(three.inputs["P-0", (150, 4200)[delay - 1], echo], part)
            np.testing.assert_allclose(read_volume(path).data * side["IntensityFactor"], expected, rtol=1e-5, atol=2e-4)
            assert side["InversionTime"] == (0.15, 4.2)[delay - 1]
            assert side["EchoTime"] == (0.021, 0.095)[echo - 1]
        clean, side = read_volume(pair.clean).data, read_sidecar(pair.clean)
        assert 0.98 < np.percentile(clean[head], 99.5) < 1.02
        np.testing.assert_allclose(
            clean * side["IntensityFactor"], three.targets["P-0", pair.columns["contrast"]], rtol=1e-6
        )
    assert len(factors) == 1


def test_same_files_same_bytes_wherever_they_lie_and_an_existing_cohort_is_kept(three, tmp_path):
    out = prepared(three, tmp_path / "cohort")
    shutil.copytree(three.folder, tmp_path / "moved")
    again = prepare_mr(tmp_path / "moved" / "table.csv", tmp_path / "again", MrPreparation())
    before = sums(out)
    assert sums(again) == before
    prepared(three, out)  # already done
    assert sums(out) == before
    assert verify(out) == (1, [])
    with pytest.raises(UserError, match="holds a result of other inputs or settings; say --overwrite"):
        prepared(three, out, normalise=False)
    prepared(three, out, normalise=False, overwrite=True)
    assert sums(out) != before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("not yours")
    with pytest.raises(UserError, match="is not empty and was not made by prepare mr"):
        prepared(three, tmp_path / "mine", overwrite=True)
    assert not list(tmp_path.glob(".partial-*"))


def test_an_interruption_leaves_nothing_and_the_old_cohort(three, tmp_path, monkeypatch):
    from taskgan.prepare.mr import cohort as module

    out = prepared(three, tmp_path / "cohort")
    before = sums(out)

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_tables", stop)
    with pytest.raises(KeyboardInterrupt):
        prepared(three, out, overwrite=True)
    with pytest.raises(KeyboardInterrupt):
        prepared(three, tmp_path / "new")
    assert sums(out) == before
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".partial-*"))


def test_masks_and_further_columns_go_with_the_subject(three, tmp_path):
    mask = np.zeros((9, 11, 4), dtype=np.uint8)
    mask[2:7, 2:9] = 255
    save(three.folder / "P-0" / "head.nii.gz", mask)
    three.add("P-0", "P-0/head.nii.gz", "mask", name="head")
    for row in three.rows:
        row["patient"] = int(row["subject"] == "P-0")
    out = prepared(three, tmp_path / "cohort", "patient")
    pairs = read_pairs(out)
    assert {p.subject: p.columns["patient"] for p in pairs} == {"sub-P0": "1", "sub-P1": "0", "sub-P2": "0"}
    first = pairs.rows[0]
    np.testing.assert_array_equal(read_volume(first.path("mask")).data, mask > 0)
    assert pairs.rows[-1].path("mask") is None
    with (out / "participants.tsv").open() as handle:
        people = list(csv.DictReader(handle, delimiter="\t"))
    assert [p["patient"] for p in people] == ["1", "0", "0"]
    assert "patient" in json.loads((out / "participants.json").read_text())


def test_splits_are_kept_or_dealt_by_subject_and_seed(export, tmp_path):
    for number in range(12):
        export.subject(f"P{number}", number, targets=("T1w",))
        for row in export.rows:
            row["patient"] = int(str(row["subject"])[1:]) % 2
    dealt = {}
    for seed in (0, 0, 1):
        out = prepared(
            export, tmp_path / f"c{len(dealt)}{seed}", "patient", seed=seed, stratify="patient", overwrite=True
        )
        own = {p.subject: p.split for p in read_pairs(out)}
        assert dealt.setdefault(seed, own) == own
        for label in ("0", "1"):
            assert {p.split for p in read_pairs(out).select({"patient": label})} == {"train", "val", "test"}
    assert dealt[0] != dealt[1]


def test_given_splits_are_checked(three, tmp_path):
    for row in three.rows:
        row["split"] = {"P-0": "train", "P-1": "Val"}.get(row["subject"], "")
    assert problems(three, tmp_path / "c") == ("subject P-2 has no split while others have one",)
    for row in three.rows:
        row["split"] = row["split"] or "holdout"
    three.rows[1]["split"] = "test"
    found = problems(three, tmp_path / "c")
    assert "subject P-0 is in the splits train and test: a subject belongs to one split" in found
    assert any("P-2 has split 'holdout', expected train, val, test" in text for text in found)


def test_without_contrasts_the_rows_can_be_restored(export, tmp_path):
    export.subject("A", 1, targets=())
    export.subject("B", 2, targets=())
    out = prepared(export, tmp_path / "cohort")
    pairs = read_pairs(out)
    assert [(p.case, p.split, p.clean, p.label) for p in pairs] == [
        ("sub-A", "test", None, None),
        ("sub-B", "test", None, None),
    ]
    assert "contrast" not in pairs.columns
    assert set(INPUTS) <= set(pairs.columns)
    describe(out)


def test_a_subject_without_contrasts_among_others_has_a_row_for_each_of_theirs(three, tmp_path):
    three.subject("new", 9, targets=())
    pairs = read_pairs(prepared(three, tmp_path / "cohort"))
    rows = [p for p in pairs if p.subject == "sub-new"]
    assert [(p.columns["contrast"], p.label, p.clean, p.split) for p in rows] == [
        ("T1w", 0, None, "test"),
        ("T2-FLAIR", 3, None, "test"),
    ]
    assert {p.split for p in pairs if p.subject != "sub-new"} == {"train", "val", "test"}


def test_everything_wrong_with_a_table_is_said_at_once(three, tmp_path):
    three.rows[0]["part"] = "mag"
    three.rows[1]["delay_ms"] = ""
    three.rows[2]["echo"] = "21"
    three.rows[3]["role"] = "output"
    three.rows[8]["name"] = "FLAIR"
    three.rows[9]["path"] = "P-0/nowhere.nii.gz"
    three.rows[12]["echo"] = 1.5
    three.rows.append({**three.rows[-1]})
    three.rows.append({**three.rows[-1], "name": "PDw"})
    found = problems(three, tmp_path / "c")
    expected = (
        "row 2 has part 'mag', expected real, imag, magnitude or phase",
        "row 3 is an input without delay_ms, expected the nominal delay in ms",
        "row 5 has role 'output', expected input, target or mask",
        "row 10 is a target named 'FLAIR', expected T1w, T1-FLAIR, T2w, T2-FLAIR, STIR or PDw",
        "nowhere.nii.gz does not exist",
        "row 14 has echo '1.5', expected its number: 1 for the shortest, 2, …",
        "gives subject P-2 the T2-FLAIR (T2-FLAIR.nii.gz), row 31 did before",
        "which row 31 names as the T2-FLAIR; a file is one image",
    )
    for text in expected:
        assert any(text in one for one in found), (text, found)
    assert len(found) == len(expected)


def test_missing_echoes_and_parts_are_named(three, tmp_path):
    three.rows = [r for r in three.rows if not (r["subject"] == "P-0" and r.get("part") == "phase" and r["echo"] == 2)]
    three.rows = [r for r in three.rows if not (r["subject"] == "P-2" and r.get("delay_ms") == 150)]
    found = problems(three, tmp_path / "c")
    assert "subject P-0 has magnitude but no phase at delay 150 ms, echo 2" in found
    assert any(
        "subject P-2 has no image at delay 150 ms, echo 1; delay 150 ms, echo 2: all subjects together have 2 delays"
        in text
        for text in found
    )
    assert len(found) == 3


def test_contrasts_alone_are_refused(export, tmp_path):
    export.subject("A", 1)
    export.rows = [row for row in export.rows if row["role"] == "target"]
    (text,) = problems(export, tmp_path / "c")
    assert text == (
        "subject A has no input (it has T1w, T2-FLAIR): expected the delays and echoes of a multi-delay multi-echo "
        "acquisition, each as real and imag or as magnitude and phase"
    )


def test_grids_must_agree_and_the_pair_is_named(three, tmp_path):
    shifted = AFFINE.copy()
    shifted[0, 3] += 3
    save(three.folder / "P-0/T1w.nii.gz", three.targets["P-0", "T1w"], shifted)
    save(three.folder / "P-1/T1w.nii.gz", three.targets["P-1", "T1w"][:, :, 1:])
    phase = np.angle(three.inputs["P-2", 150, 2]).astype(np.float32)
    save(three.folder / "P-2/d150_e2_phase.nii.gz", phase, shifted)
    found = problems(three, tmp_path / "c")
    assert len(found) == 3
    assert "T1w.nii.gz has another affine (they differ by up to 3 mm), expected the same like" in found[0]
    assert "d4200_e1_magnitude.nii.gz (row 6)" in found[0]
    assert "or take --resample if they are registered to each other" in found[0]
    assert "T1w.nii.gz has shape 9×11×3, expected 9×11×4" in found[1]
    assert "d150_e2_phase.nii.gz" in found[2]
    assert "(row 24), the magnitude of the same image" in found[2]


def test_resampled_images_lie_on_the_first_inputs_grid(three, tmp_path, capsys):
    fine = AFFINE.copy()
    fine[:3, :3] /= 2
    index = np.stack(np.meshgrid(*(np.arange(2 * n) for n in (9, 11, 4)), indexing="ij"), axis=-1)
    world = index @ fine[:3, :3].T + fine[:3, 3]
    ramp = (100 + world @ [1.0, 2.0, 3.0]).astype(np.float32)
    save(three.folder / "P-0/T1w.nii.gz", ramp, fine)
    save(three.folder / "P-0/lesions.nii.gz", (ramp > 100).astype(np.uint8), fine)
    three.add("P-0", "P-0/lesions.nii.gz", "mask", name="lesions")
    out = prepared(three, tmp_path / "cohort", resample=True, normalise=False)
    pair = next(p for p in read_pairs(out) if p.case == "sub-P0_T1w")
    index = np.stack(np.meshgrid(*(np.arange(n) for n in (9, 11, 4)), indexing="ij"), axis=-1)
    expected = 100 + (index @ AFFINE[:3, :3].T + AFFINE[:3, 3]) @ [1.0, 2.0, 3.0]
    image = read_volume(pair.clean)
    np.testing.assert_allclose(image.data, expected, rtol=1e-4)
    np.testing.assert_allclose(image.affine, AFFINE)
    assert read_sidecar(pair.clean)["Resampled"] == "linear, from 18×22×8 at 1×1×2.5 mm"
    lesions = read_volume(pair.path("lesions"))
    assert set(np.unique(lesions.data)) == {0, 1}
    np.testing.assert_array_equal(lesions.data > 0, expected > 100)
    assert "2 images were resampled" in capsys.readouterr().out
    onto = prepared(three, tmp_path / "fine", resample=True, normalise=False, grid="T2-FLAIR")
    assert read_volume(read_pairs(onto).rows[0].degraded).data.shape == (9, 11, 4)
    text = problems(three, tmp_path / "none", resample=True, grid="STIR")
    assert text[0] == "subject P-0: it has no STIR, whose grid was asked for"


def test_impossible_values_are_refused(three, tmp_path):
    save(three.folder / "P-0/d150_e1_magnitude.nii.gz", three.inputs["P-0", 150, 1].real)
    save(three.folder / "P-0/T1w.nii.gz", np.full(SHAPE, 3.0, dtype=np.float32))
    for delay in (150, 4200):
        for echo in (1, 2):
            for part in ("real", "imag"):
                image = np.abs(getattr(three.inputs["P-1", delay, echo], part))
                save(three.folder / f"P-1/d{delay}_e{echo}_{part}.nii.gz", image)
    save(three.folder / "P-2/T1w.nii.gz", three.targets["P-0", "T2-FLAIR"])
    save(three.folder / "P-2/brain.nii.gz", np.linspace(0, 1, 396).reshape(SHAPE))
    three.add("P-2", "P-2/brain.nii.gz", "mask", name="brain")
    found = problems(three, tmp_path / "c")
    assert "expected a magnitude, which is not negative" in found[0]
    assert "T1w.nii.gz is 3 everywhere, expected an image" in found[1]
    assert "its real and imaginary parts have no value below 0" in found[2]
    assert "holds 396 values from 0 to 1, expected a mask of 0 and one other" in found[3]
    assert len(found) == 4


def test_echo_times_agree_with_the_numbers_of_the_echoes(three, tmp_path):
    for row in three.rows:
        row["te_ms"] = {1: 95, 2: 21}.get(row.get("echo"), "") if row["subject"] == "P-0" else ""
        if row["subject"] == "P-1" and row.get("echo") == 1:
            row["te_ms"] = 20 if row["delay_ms"] == 150 else 25
    assert problems(three, tmp_path / "c", "te_ms") == (
        "subject P-0: its echo 2 has the echo time 21 ms, expected more than 95 ms",
        "subject P-1: its echo 1 has the echo times 20, 25 ms, expected one at all delays",
    )


def test_one_file_for_two_parts(three, tmp_path):
    three.rows[1]["path"] = three.rows[0]["path"]
    (text,) = problems(three, tmp_path / "c")
    assert text.startswith("row 3 (subject P-0) names")
    assert text.endswith("which row 2 names as the magnitude at delay 150 ms, echo 1; a file is one image")


def test_one_image_under_two_names_is_found_across_subjects(three, tmp_path):
    save(three.folder / "P-2/T1w.nii.gz", three.targets["P-0", "T1w"])
    (text,) = problems(three, tmp_path / "c")
    assert text == ("row 30 (subject P-2) holds the same values as row 10 (subject P-0): one image under two names")


def test_a_phase_that_is_not_corrected_is_noted(export, tmp_path, capsys):
    export.subject("A", 1, polar=False, targets=())
    image = export.inputs["A", 4200, 1]
    save(export.folder / "A/d4200_e1_real.nii.gz", -image.real)
    prepared(export, tmp_path / "c")
    assert "its phase is not corrected for coils and field" in capsys.readouterr().out


def test_names_that_bids_cannot_tell_apart_and_reserved_columns(three, tmp_path):
    for row in three.rows:
        if row["subject"] == "P-1":
            row["subject"] = "P0"
    found = problems(three, tmp_path / "c", "mask")
    assert found[0] == "the column 'mask' is one that pairs.csv has by itself, expected another name"
    assert found[1] == "subjects 'P-0' and 'P0' would both be called sub-P0"


def test_settings_are_checked():
    with pytest.raises(Problems, match="grid names whose grid"):
        validated(MrPreparation, {"grid": "T1w"}, "prepare mr cannot start")
    with pytest.raises(Problems, match="splits are three shares above 0"):
        validated(MrPreparation, {"splits": (1, 0, 1)}, "prepare mr cannot start")


@pytest.mark.skipif(not VALIDATOR.exists(), reason="bids-validator-deno is not installed")
def test_official_validator_finds_no_error(three, tmp_path):
    for row in three.rows:
        row["te_ms"] = {1: 21, 2: 95}.get(row.get("echo"), "")
    out = prepared(three, tmp_path / "cohort", "te_ms")
    done = subprocess.run([VALIDATOR, out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[ERROR]" not in done.stdout
