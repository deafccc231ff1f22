"""What a marker vouches for, and when a verb has nothing to do."""

from pathlib import Path

import pytest

from taskgan.core.artefact import commit, is_done, read_record, request_digest, verify
from taskgan.core.errors import Problems, UserError
from taskgan.core.files import write_text
from taskgan.judges.lesions import FOLDER as OBSERVERS


def test_a_marker_vouches_for_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="nothing to verify"):
        verify(tmp_path)
    out = tmp_path / "out"
    write_text(out / "tables" / "a.csv", "1")
    write_text(out / "b.csv", "2")
    marker = out / "evaluation.yaml"
    request = request_digest(out, recipe={"a": 1}, source=out / "b.csv")
    assert not is_done(marker, request)
    commit(marker, {"request": request}, [out / "tables" / "a.csv", out / "b.csv"])
    assert verify(tmp_path) == (1, [])
    assert is_done(marker, request)
    assert "out: already done" in capsys.readouterr().out
    with pytest.raises(UserError, match="result of other inputs or settings; say --overwrite"):
        is_done(marker, request_digest(out, recipe={"a": 2}, source=out / "b.csv"))
    write_text(out / "b.csv", "3")
    (out / "tables" / "a.csv").unlink()
    assert verify(out)[1] == [f"{out / 'b.csv'} was changed", f"{out / 'tables' / 'a.csv'} is missing"]
    with pytest.raises(UserError, match=r"b\.csv was changed since evaluation\.yaml was written"):
        is_done(marker, request)


def test_an_input_folder_that_changed_is_another_request(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "in" / "evaluation"
    write_text(source / "pairs.csv", "case\n")
    write_text(source / "sub-1" / "x.nii.gz", "x")
    first = request_digest(out, cohort=source)
    write_text(out / "cases.csv", "own output")
    for kept in ("recognisers", OBSERVERS):  # by verbs, evaluate among them: the same call again is the same request
        write_text(source / "derivatives" / kept / "judge" / "w", "learnt")
    assert request_digest(out, cohort=source) == first
    write_text(source / "sub-1" / "x.nii.gz", "other")
    assert request_digest(out, cohort=source) != first


@pytest.mark.parametrize(
    "text", ["settings: 5", "settings: {suvr_cut: x}", "recipe: []", "notes: one", "method: {a: 1}"]
)
def test_a_record_whose_values_have_other_types_is_a_sentence(text: str, tmp_path: Path) -> None:
    marker = tmp_path / "evaluation.yaml"
    marker.write_text(text)
    with pytest.raises(Problems, match=r"evaluation.yaml is not what taskgan writes"):
        read_record(marker)
    marker.write_text("settings: {suvr_cut: 1, slices: 40}\nmethod: gan\nseed:\n")
    assert read_record(marker)["settings"] == {"suvr_cut": 1, "slices": 40}
    assert read_record(tmp_path / "none.yaml") == {}
