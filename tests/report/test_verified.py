from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from made_faces import make_faces, write_pairs
from taskgan.core.errors import UserError
from taskgan.report.load import load_comparison
from taskgan.report.verified import BOTH, PROBE, read_verification_data

RUNS = (("gan", 0), ("gan", 1), ("task_gan", 0), ("task_gan", 1))


def drop(path: Path, wanted: Sequence[str], column: int) -> None:
    lines = path.read_text().splitlines()
    kept = [line for line in lines if not any(f"test,{name}" in line for name in wanted)]
    path.write_text("\n".join(kept) + "\n")
    assert len(kept) < len(lines) - column


def test_seeds_are_rows_and_pairs_are_in_one_order(tmp_path: Path) -> None:
    folders = make_faces(tmp_path, RUNS[::-1], people=8, size=16)
    found = read_verification_data(load_comparison(folders))
    assert found is not None
    assert found.methods == ("clean", "input", "gan", "task_gan")
    assert found.readers == ("task", "judge", "lbp", "eigenfaces")
    assert found.seeds == {"gan": (0.0, 1.0), "task_gan": (0.0, 1.0)}
    assert found.distances["judge", "gan", BOTH].shape == (2, 40)
    assert found.distances["judge", "input", PROBE].shape == (1, 40)
    assert int(found.pairs.same.sum()) == 8
    assert found.first_cases[0].startswith("Person_000")
    assert set(found.thresholds["judge"]) == {"train", "val"}
    assert found.notes == ()
    by_hand = (folders[0].parent / "gan-1" / "verification.csv").read_text().splitlines()
    column = by_hand[0].split(",").index("judge_restored")
    assert found.distances["judge", "gan", BOTH][1, 0] == float(by_hand[1].split(",")[column])


def test_pairs_that_a_method_lacks_are_left_out_and_said(tmp_path: Path) -> None:
    folders = make_faces(tmp_path, RUNS, people=8, size=16)
    drop(folders[3] / "verification.csv", ["Person_003_0001"], 0)
    found = read_verification_data(load_comparison(folders))
    assert found is not None
    assert not any(one.startswith("Person_003_0001") for one in found.first_cases)
    assert f"Verified are the {len(found.first_cases)} of 40 pairs whose images every method restored." in found.notes


def test_evaluations_without_verification_are_named_or_leave_none(tmp_path: Path) -> None:
    folders = make_faces(tmp_path, RUNS, people=8, size=16)
    (folders[0] / "verification.csv").unlink()
    (folders[1] / "verification.csv").unlink()
    found = read_verification_data(load_comparison(folders))
    assert found is not None
    assert found.methods == ("clean", "input", "task_gan")
    assert found.notes == ("2 of 4 evaluations (GAN) hold no verification; evaluate them again.",)
    for folder in folders[2:]:
        (folder / "verification.csv").unlink()
    assert read_verification_data(load_comparison(folders)) is None


def test_other_recognisers_are_refused(tmp_path: Path) -> None:
    folders = make_faces(tmp_path, RUNS[:1], people=8, size=16)
    other = make_faces(tmp_path, RUNS[2:3], people=8, size=16)
    path = other[0] / "verification.csv"
    lines = path.read_text().splitlines()
    column = lines[0].split(",").index("judge_clean")
    fields = lines[1].split(",")
    fields[column] = "0.123"
    path.write_text("\n".join([lines[0], ",".join(fields), *lines[2:]]) + "\n")
    with pytest.raises(UserError, match="judge finds pairs of clean images other distances apart"):
        read_verification_data(load_comparison([*folders, *other]))


def test_folds_of_a_seed_stand_together(tmp_path: Path) -> None:
    folders = make_faces(tmp_path, RUNS[2:3], people=8, size=16)
    whole = read_verification_data(load_comparison(folders))
    text = (folders[0] / "verification.csv").read_text().splitlines()
    half = tmp_path / "half"
    half.mkdir()
    for name in ("cases.csv", "evaluation.yaml"):
        (half / name).write_text((folders[0] / name).read_text().replace("seed: 0", "seed: 0\nfold: 1"))
    cases = (half / "cases.csv").read_text().splitlines()
    fold = cases[0].split(",").index("fold")
    rows = [cases[0]]
    for line in cases[1:]:
        fields = line.split(",")
        fields[fold] = "1"
        rows.append(",".join(fields))
    (half / "cases.csv").write_text("\n".join(rows) + "\n")
    test = [line for line in text[1:] if line.startswith("test")]
    rest = [line for line in text[1:] if not line.startswith("test")]
    (half / "verification.csv").write_text("\n".join([text[0], *test[::2], *rest]) + "\n")
    (folders[0] / "verification.csv").write_text("\n".join([text[0], *test[1::2], *rest]) + "\n")
    found = read_verification_data(load_comparison([folders[0], half]))
    assert found is not None
    assert whole is not None
    assert found.seeds == {"task_gan": (0.0,)}
    assert sorted(zip(found.first_cases, found.second_cases, strict=True)) == sorted(
        zip(whole.first_cases, whole.second_cases, strict=True)
    )
    assert np.sort(found.distances["lbp", "task_gan", BOTH][0]) == pytest.approx(
        np.sort(whole.distances["lbp", "task_gan", BOTH][0])
    )


def test_a_reader_that_could_not_compare_all_is_left_out(tmp_path: Path) -> None:
    folders = make_faces(tmp_path, RUNS[:1], people=8, size=16)
    path = folders[0] / "verification.csv"
    lines = path.read_text().splitlines()
    column = lines[0].split(",").index("lbp_restored")
    fields = lines[1].split(",")
    fields[column] = ""
    path.write_text("\n".join([lines[0], ",".join(fields), *lines[2:]]) + "\n")
    found = read_verification_data(load_comparison(folders))
    assert found is not None
    assert found.readers == ("task", "judge", "eigenfaces")
    assert "lbp did not compare all pairs, so it is left out of the verification." in found.notes
    write_pairs(path, "gan", 0, 8)
    assert len(getattr(read_verification_data(load_comparison(folders)), "readers", ())) == 4
