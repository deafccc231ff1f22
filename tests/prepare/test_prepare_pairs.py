"""Two folders, paired by name: photos and volumes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from small_models import save, volume
from taskgan.cohort.pairs import read_pairs
from taskgan.core.errors import Failed, Problems, UserError
from taskgan.prepare.pairs import prepare_pairs


def photo(path: Path, seed: int, size: int = 24) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 255, (size, size), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


def folders(root: Path, count: int = 4) -> tuple[Path, Path]:
    for k in range(count):
        photo(root / "low" / "a" / f"{k}.png", k)
        photo(root / "high" / "a" / f"{k}.jpg", k)
    return root / "low", root / "high"


def test_photos_are_paired_by_name_and_stay_where_they_are(tmp_path: Path) -> None:
    pairs = read_pairs(prepare_pairs(*folders(tmp_path), tmp_path / "cohort"), ())
    assert [pair.case for pair in pairs] == ["a_0", "a_1", "a_2", "a_3"]
    assert {pair.split for pair in pairs} == {"train", "val", "test"}
    assert all(p.degraded.is_file() and p.clean is not None and p.clean.is_file() for p in pairs)


def test_volumes_and_a_table(tmp_path: Path) -> None:
    for k in range(3):
        for folder in ("low", "high"):
            save(tmp_path / folder / f"sub-{k}_pet.nii.gz", volume(seed=k))
    table = tmp_path / "t.csv"
    table.write_text("case,label,age\n" + "".join(f"sub-{k}_pet,1,7{k}\n" for k in range(3)))
    pairs = read_pairs(prepare_pairs(tmp_path / "low", tmp_path / "high", tmp_path / "cohort", table=table))
    assert [(p.subject, p.label, p.columns["age"]) for p in pairs][:2] == [("sub-0", 1, "70"), ("sub-1", 1, "71")]
    table.write_text("case\nsub-9_pet\n")
    with pytest.raises(Problems, match="case sub-9_pet, which no pair"):
        prepare_pairs(tmp_path / "low", tmp_path / "high", tmp_path / "other", table=table)


def test_a_broken_photo_and_one_of_another_size_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    low, high = folders(tmp_path, 6)
    (low / "a" / "1.png").write_bytes(b"broken")
    photo(low / "a" / "2.png", 2, size=12)
    photo(high / "alone.png", 9)
    with pytest.raises(Failed, match=r"(?s)2 of 6 pairs are left out: 2 problems.*a.1.*a.2") as first:
        prepare_pairs(low, high, tmp_path / "cohort")
    with pytest.raises(Failed, match=r"(?s)was made without 2 of its inputs.*a.1.*a.2"):
        prepare_pairs(low, high, tmp_path / "cohort")
    said = capsys.readouterr().out + str(first.value)
    assert "the degraded image" in said
    assert "enlarge it first" in said
    assert "no counterpart of alone.png" in said
    assert len(read_pairs(tmp_path / "cohort", ())) == 4


def test_folders_without_a_common_name(tmp_path: Path) -> None:
    photo(tmp_path / "low" / "a.png", 0)
    photo(tmp_path / "high" / "b.png", 0)
    with pytest.raises(UserError, match="no image called like one of"):
        prepare_pairs(tmp_path / "low", tmp_path / "high", tmp_path / "cohort")


def test_files_that_the_table_names_are_seen_from_the_cohort(tmp_path: Path) -> None:
    low, high = folders(tmp_path, 4)
    photo(tmp_path / "masks" / "m.png", 3)
    names = sorted(pair.case for pair in read_pairs(prepare_pairs(low, high, tmp_path / "plain"), ()))
    rows = "".join(f"{name},masks/m.png,left\n" for name in names)
    (tmp_path / "table.csv").write_text(f"case,mask,side\n{rows}")
    pairs = read_pairs(prepare_pairs(low, high, tmp_path / "deep" / "cohort", table=tmp_path / "table.csv"), ())
    for pair in pairs:
        path = pair.path("mask")
        assert path is not None
        assert path.is_file()
        assert pair.columns["side"] == "left"


def test_one_folder_is_not_two(tmp_path: Path) -> None:
    low, _ = folders(tmp_path, 3)
    with pytest.raises(UserError, match="for both the degraded and the clean images"):
        prepare_pairs(low, low.parent / "high" / ".." / low.name, tmp_path / "cohort")
