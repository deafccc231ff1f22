from pathlib import Path

import pytest

from fake_cohort import blur, make_restorations
from taskgan.cohort.pairs import read_pairs
from taskgan.cohort.restorations import find_restorations
from taskgan.core.errors import UserError
from taskgan.core.files import checksum, write_json


def test_our_own_folder_says_what_it_is(fake_cohort: Path, tmp_path: Path) -> None:
    folder = make_restorations(tmp_path / "r", fake_cohort, "gan", blur(1), seed=3)
    found = find_restorations(folder, read_pairs(fake_cohort))
    assert (found.method, found.seed, found.fold) == ("gan", 3, 0)
    assert len(found.images) == 8
    assert found.images["sub-02"] == folder / "images/sub-02_restored.nii.gz"
    assert find_restorations(folder, read_pairs(fake_cohort), "other").method == "other"


def test_an_image_restored_from_another_cohort_is_refused(fake_cohort: Path, tmp_path: Path) -> None:
    folder = make_restorations(tmp_path / "r", fake_cohort, "gan", blur(1))
    pairs = read_pairs(fake_cohort)
    said = folder / "images/sub-02_restored.json"
    write_json(said, {"SourceChecksum": checksum(next(p for p in pairs if p.case == "sub-02").degraded)})
    assert "sub-02" in find_restorations(folder, pairs).images
    write_json(said, {"SourceChecksum": "0" * 64})
    with pytest.raises(UserError, match=r"sub-02_restored.nii.gz was restored from another image than .*sub-02"):
        find_restorations(folder, pairs)


def test_another_tools_folder_goes_by_the_case(fake_cohort: Path, tmp_path: Path) -> None:
    folder = make_restorations(tmp_path / "r", fake_cohort, "x", blur(1), described=False)
    found = find_restorations(folder, read_pairs(fake_cohort), "NLM")
    assert (found.method, found.seed, found.fold) == ("NLM", None, None)
    assert sorted(found.images) == [f"sub-{i:02d}" for i in range(1, 9)]


def test_a_name_shared_by_degraded_images_matches_nobody(fake_cohort: Path, tmp_path: Path) -> None:
    source = make_restorations(tmp_path / "r", fake_cohort, "x", blur(1), described=False)
    folder = tmp_path / "same"
    folder.mkdir()
    (source / "sub-01.nii.gz").rename(folder / "dose1.nii.gz")  # every degraded image is called that
    with pytest.raises(UserError, match=r"expected names such as sub-01\.nii\.gz"):
        find_restorations(folder, read_pairs(fake_cohort), "NLM")


@pytest.mark.parametrize(
    ("method", "message"), [(None, "--method"), ("clean", "cannot be called"), ("input", "cannot be called")]
)
def test_a_method_needs_a_name_of_its_own(fake_cohort: Path, tmp_path: Path, method: str | None, message: str) -> None:
    folder = make_restorations(tmp_path / "r", fake_cohort, "x", blur(1), described=False)
    with pytest.raises(UserError, match=message):
        find_restorations(folder, read_pairs(fake_cohort), method)


def test_missing_folders_and_images_are_named(fake_cohort: Path, tmp_path: Path) -> None:
    pairs = read_pairs(fake_cohort)
    with pytest.raises(UserError, match="does not exist"):
        find_restorations(tmp_path / "none", pairs, "x")
    folder = make_restorations(tmp_path / "r", fake_cohort, "gan", blur(1))
    (folder / "images/sub-03_restored.nii.gz").unlink()
    with pytest.raises(UserError, match=r"lists 1 images that do not exist.*sub-03"):
        find_restorations(folder, pairs)
    (folder / "restored.csv").write_text("name,file\na,b\n")
    with pytest.raises(UserError, match="lacks the columns case, restored"):
        find_restorations(folder, pairs)
    (folder / "restored.csv").write_text("case,restored\nsub-01\n")
    with pytest.raises(UserError, match=r"restored\.csv row 2 has fewer fields than the header"):
        find_restorations(folder, pairs)
    (folder / "restored.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"restored\.csv cannot be read as CSV"):
        find_restorations(folder, pairs)


def test_a_seed_is_a_number(fake_cohort: Path, tmp_path: Path) -> None:
    folder = make_restorations(tmp_path / "r", fake_cohort, "gan", blur(1))
    record = folder / "restored.yaml"
    record.write_text(record.read_text().replace("seed: 0", "seed: first"))
    with pytest.raises(
        UserError, match=r"restored\.yaml is not what taskgan writes: 1 problem\n  - seed: .*found 'first'"
    ):
        find_restorations(folder, read_pairs(fake_cohort))


def test_an_unfinished_restoration_is_not_judged(fake_cohort: Path, tmp_path: Path) -> None:
    folder = make_restorations(tmp_path / "r", fake_cohort, "gan", blur(1))
    record = folder / "restored.yaml"
    record.write_text(record.read_text() + "status: running\n")
    with pytest.raises(UserError, match="unfinished restoration"):
        find_restorations(folder, read_pairs(fake_cohort))
    record.write_text(record.read_text().replace("running", "complete"))
    assert find_restorations(folder, read_pairs(fake_cohort)).method == "gan"
