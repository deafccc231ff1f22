"""Job arrays: parts of a call prepare side by side what one call prepares."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from test_prepare_pet import export as export_pet

from exported import Export
from small_models import save, volume
from taskgan.core.artefact import verify
from taskgan.core.errors import LeftOut, Problems, UserError
from taskgan.core.files import previous_folder
from taskgan.core.lock import locked, locked_part
from taskgan.prepare import output
from taskgan.prepare.mr import cohort
from taskgan.prepare.mr.cohort import prepare_mr
from taskgan.prepare.pairs import prepare_pairs
from taskgan.prepare.pet.cohort import prepare_pet
from taskgan.prepare.pet.rows import PetPreparation

Prepare = Callable[..., Path]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def prepare_of(verb: str, root: Path, three: Export) -> Prepare:
    if verb == "mr":
        return partial(prepare_mr, three.table())
    if verb == "pet":  # noise of a lower dose is drawn by the scan's number
        table = export_pet(root / "scans", 5)
        table.write_text("subject,standard\n" + "".join(f"{k % 4},standard/{k:02d}.nii.gz\n" for k in range(4)))
        return partial(prepare_pet, table, settings=PetPreparation(simulate_dose=10))
    for k in range(5):
        for folder in ("low", "high"):
            save(root / folder / f"sub-{k % 4}_run-{k}.nii.gz", volume(seed=k))
    return partial(prepare_pairs, root / "low", root / "high")


@pytest.mark.parametrize("verb", ["pet", "pairs", "mr"])
def test_parts_write_the_bytes_of_one_call_and_go_on_after_a_kill(
    verb: str, three: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare = prepare_of(verb, tmp_path, three)
    whole = prepare(tmp_path / "whole")
    out = tmp_path / "parts"
    make = output._make
    calls: list[Any] = []

    def killed_at_the_second(item: Any, own: Path, folder: Path | None) -> dict[str, Any]:
        calls.append(item.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return make(item, own, folder)

    monkeypatch.setattr(output, "_make", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        prepare(out, part="1/2")
    monkeypatch.setattr(output, "_make", make)
    assert len(list(out.glob(".part-prepared/*/.made.json"))) == 1
    prepare(out, part="2/2")
    assert not [p for p in out.iterdir() if not p.name.startswith(".part-")]
    assert "part 2/2 is done, 1 not yet" in capsys.readouterr().out
    prepare(out, part="1/2")
    assert "all 2 parts are done" in capsys.readouterr().out
    assert contents(out) == contents(whole)
    assert verify(out) == (1, [])
    prepare(out, part="2/2")
    assert "already done" in capsys.readouterr().out
    assert contents(out) == contents(whole)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_a_last_call_joins_what_parts_have_kept_and_does_what_is_missing(
    three: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = prepare_of("mr", tmp_path, three)
    out = tmp_path / "out"
    prepare(out, part="1/2")
    made: list[str] = []
    load = cohort.load_subject
    monkeypatch.setattr(cohort, "load_subject", lambda one, *args: (made.append(one.name), load(one, *args))[1])
    prepare(out)
    assert made == ["sub-P1"]
    assert contents(out) == contents(prepare(tmp_path / "whole"))


def test_changed_files_and_settings_are_prepared_anew_and_an_old_cohort_stands_until_then(
    three: Export, tmp_path: Path
) -> None:
    prepare = prepare_of("pet", tmp_path, three)
    out = prepare(tmp_path / "out")
    before = contents(out)
    other = PetPreparation(simulate_dose=5)
    with pytest.raises(UserError, match="holds a result of other inputs or settings"):
        prepare(out, settings=other, part="1/2")
    prepare(out, settings=PetPreparation(simulate_dose=7), overwrite=True, part="2/2")
    prepare(out, settings=other, overwrite=True, part="1/2")  # the other part was of another call
    assert before.items() <= contents(out).items()
    prepare(out, settings=other, overwrite=True, part="2/2")
    assert contents(out) == contents(prepare(tmp_path / "whole", settings=other)) != before


def test_what_is_left_out_is_said_by_its_part_and_by_the_last(tmp_path: Path) -> None:
    table = export_pet(tmp_path, 8)
    (tmp_path / "low" / "03.nii.gz").write_bytes(b"no image")
    with pytest.raises(LeftOut, match=r"(?s)1 of 4 scans are left out; repair them.*03: "):
        prepare_pet(table, tmp_path / "out", part="2/2")
    with pytest.raises(LeftOut, match="1 of 8 scans"):
        prepare_pet(table, tmp_path / "out", part="1/2")
    with pytest.raises(LeftOut):
        prepare_pet(table, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_what_forbids_a_cohort_of_mr_is_said_by_its_part_or_by_the_last(three: Export, tmp_path: Path) -> None:
    out = tmp_path / "out"
    target = next(row for row in three.rows if row["subject"] == "P-2" and row["role"] == "target")
    first = next(row for row in three.rows if row["subject"] == "P-1" and row["role"] == "target")
    path = three.folder / target["path"]
    before = path.read_bytes()
    path.write_bytes(b"no image")
    with pytest.raises(Problems, match=r"(?s)cannot be prepared.*subject P-2"):
        prepare_mr(three.table(), out, part="1/2")
    path.write_bytes((three.folder / first["path"]).read_bytes())
    prepare_mr(three.table(), out, part="1/2")
    with pytest.raises(Problems, match="one image under two names"):
        prepare_mr(three.table(), out, part="2/2")
    path.write_bytes(before)
    for part in ("1/2", "2/2"):
        prepare_mr(three.table(), out, part=part)
    assert contents(out) == contents(prepare_mr(three.table(), tmp_path / "whole"))


def test_whole_calls_and_parts_exclude_each_other(three: Export, tmp_path: Path) -> None:
    out, table = tmp_path / "out", three.table()

    def called(*part: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "taskgan", "prepare", "mr", str(table), str(out), *part]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        return run.returncode, run.stderr

    with locked(out, beside=True):
        code, said = called("--part", "1/2")
        assert (code, "out is in use by process" in said) == (2, True)
    with locked_part(out, "the cohort", "1-of-2", beside=True):
        for part in ((), ("--part", "1/2")):
            code, said = called(*part)
            assert (code, "out is in use by process" in said) == (2, True)
        assert called("--part", "2/2")[0] == 0
    assert called("--part", "1/2")[0] == 0
    assert verify(out) == (1, [])


def test_a_part_puts_an_old_cohort_back_that_a_killed_call_left_aside(three: Export, tmp_path: Path) -> None:
    prepare = prepare_of("mr", tmp_path, three)
    out = prepare(tmp_path / "out")
    before = contents(out)
    out.replace(previous_folder(out))
    prepare(out, part="1/2")
    assert contents(out) == before
