import errno
import json
import os
import stat
from pathlib import Path

import pytest

from taskgan.core.errors import Problems, UserError, disk_error_text
from taskgan.core.files import (
    atomic,
    atomic_folder,
    check_writable,
    checksum,
    csv_cell,
    previous_folder,
    read_yaml,
    unescaped_cell,
    usable_cores,
    value_digest,
    versions,
    write_json,
    write_rows,
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
    assert value_digest({"a": 1, "b": 2}) == value_digest({"b": 2, "a": 1}) != value_digest({"a": 1, "b": 3})


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


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_is_respected(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        with atomic(tmp_path / "x.bin") as partial:
            partial.unlink()
            partial.touch(0o600)  # as safetensors does
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x.bin").stat().st_mode) == mode


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError("[enforce fail at inline_container.cc:672] . PytorchStreamWriter failed writing file"),
        ValueError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
    ids=["system", "torch", "safetensors"],
)
def test_a_full_disk_names_the_file_whoever_wrote_it(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(OSError, match="No space left") as caught, atomic(tmp_path / "last.ckpt"):
        raise error
    assert caught.value.filename == str(tmp_path / "last.ckpt")
    said = disk_error_text(caught.value)
    assert "last.ckpt cannot be written: No space left on device (" in said
    assert "GB are free there)" in said
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_whole_or_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for text in ("old", "new"):
        with atomic_folder(target) as partial:
            (partial / "w").write_text(text)
    with pytest.raises(RuntimeError), atomic_folder(target) as partial:
        (partial / "w").write_text("half")
        raise RuntimeError
    assert (target / "w").read_text() == "new"
    target.replace(previous_folder(target))  # killed between the two moves
    with pytest.raises(RuntimeError), atomic_folder(target):
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@sum", "\t=1", "'=1", "''=1", "'x", "a=b", ""])
def test_a_field_is_no_formula_and_comes_back(text: str) -> None:
    made = str(csv_cell(text))
    assert not made.startswith(("=", "+", "-", "@", "\t"))
    assert unescaped_cell(made) == text


def test_numbers_stay_and_control_characters_are_shown(tmp_path: Path) -> None:
    write_rows(tmp_path / "t.csv", ("a", "b"), [{"a": "-1.5e3", "b": -2}, {"a": "x\x1b[31m", "c": 1}])
    assert (tmp_path / "t.csv").read_text() == "a,b\n-1.5e3,-2\nx\\x1b[31m,\n"


def test_cores_are_counted_where_the_system_does_not_say_which_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # macOS, Windows
    assert usable_cores() == os.cpu_count()
