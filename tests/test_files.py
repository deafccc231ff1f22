import json
from pathlib import Path

import pytest

from taskgan.core.errors import Problems, UserError
from taskgan.core.files import (
    atomic,
    check_writable,
    checksum,
    digest,
    read_yaml,
    versions,
    write_json,
    write_text,
    write_yaml,
)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "a" / "file.nii.gz"
    write_text(target, "old")
    with pytest.raises(RuntimeError, match="half way"), atomic(target) as partial:
        assert partial.name.endswith(".nii.gz")
        partial.write_text("new")
        raise RuntimeError("half way")
    assert target.read_text() == "old"
    assert [p.name for p in target.parent.iterdir()] == ["file.nii.gz"]


def test_yaml_and_json_round_trip_in_order(tmp_path: Path) -> None:
    value = {"b": 1, "a": [0.5, "µ"]}
    write_yaml(tmp_path / "v.yaml", value)
    write_json(tmp_path / "v.json", value)
    assert list(read_yaml(tmp_path / "v.yaml").items()) == list(value.items())
    assert json.loads((tmp_path / "v.json").read_text()) == value
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "nan.json", {"x": float("nan")})
    assert not (tmp_path / "nan.json").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a: [1", "not valid YAML at line"), ("- 1\n- 2\n", "expected a mapping"), (None, "does not exist")],
)
def test_unreadable_yaml_is_one_sentence(tmp_path: Path, text: str | None, expected: str) -> None:
    path = tmp_path / "bad.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=expected) as caught:
        read_yaml(path)
    assert "bad.yaml" in str(caught.value)


def test_digest_ignores_order_and_sees_values() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})


def test_checksum_is_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert checksum(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_versions_name_what_can_change_a_number() -> None:
    assert {"taskgan", "python", "torch", "numpy"} <= set(versions())


def test_problems_count_and_list() -> None:
    assert str(Problems("x.csv is bad", ["one"])) == "x.csv is bad: 1 problem\n  - one"
    assert "2 problems" in str(Problems("x.csv is bad", ["one", "two"]))


def test_a_place_that_cannot_hold_results_is_named_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for asked in (tmp_path / "file", tmp_path / "file" / "deep" / "run"):
        with pytest.raises(UserError, match="file is a file, expected a folder to write the run to"):
            check_writable(asked, "the run")
    monkeypatch.chdir(tmp_path)
    check_writable(Path("a b/new"), "the run")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    monkeypatch.setattr("taskgan.core.files.os.access", lambda *_: False)
    with pytest.raises(UserError, match="may not be written to; choose another folder for the run"):
        check_writable(tmp_path / "new", "the run")
