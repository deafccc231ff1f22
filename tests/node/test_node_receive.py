"""Who may send what, and when a series is whole: aborted, killed, late, doubled, on a full disk."""

import errno
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from dicom_files import write_series
from made_up_pacs import ECHO, Pacs, associate, files_of, send
from taskgan.core.artefact import verify
from taskgan.node import queue as queue_module

CT = "1.2.840.10008.5.1.4.1.1.2"
Start = Callable[..., Any]


def settle(bench: Any, images: int) -> str:
    """The key of the one series, when its images are there and its associations have ended."""
    bench.rest()
    (key,) = bench.queue.keys("receiving")
    assert len(bench.queue.images("receiving", key)) == images
    return str(key)


def test_a_whole_series_is_restored_sent_and_deleted_once_confirmed(start: Start, pet: Path, pacs: Pacs) -> None:
    bench = start(wait_s=60)
    assert associate(bench.port).send_c_echo().Status == 0
    assert send(bench.port, files_of(pet)) == [0] * 9
    settle(bench, 9)
    bench.work()
    assert bench.states() == {"receiving": 1}  # not before the time of quiet is over
    bench = start(wait_s=0.0)
    bench.work()
    assert bench.states() == {"done": 1}
    (key,) = bench.queue.keys("done")
    assert not bench.queue.images("done", key)
    assert verify(bench.queue.folder)[1] == []  # nothing vouches for what was deleted
    assert len(bench.queue.images("done", key, "out")) == 9
    assert len(pacs.derived()) == len(pacs.held) == 9
    assert {d.StudyInstanceUID for d in pacs.held.values()} == {pydicom.dcmread(files_of(pet)[0]).StudyInstanceUID}
    send(bench.port, files_of(pet))  # the same again, much later
    bench.rest()
    bench.work()
    assert (bench.states(), pacs.stores, bench.node.restored) == ({"done": 1}, 9, 1)


def test_who_is_unknown_or_means_another_is_rejected_and_logged(
    start: Start, pet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = start()
    for names in ({"caller": "STRANGER"}, {"called": "OTHER"}):
        assert associate(bench.port, **names).is_rejected
    bench.rest()
    assert bench.states() == {}
    said = capsys.readouterr().out
    assert "STRANGER that calls TASKGAN is rejected" in said
    assert "SCANNER that calls OTHER is rejected" in said


def test_classes_and_modalities_that_are_not_served_are_refused(start: Start, tmp_path: Path, pet: Path) -> None:
    bench = start()
    association = associate(bench.port, kinds=[CT, ECHO])
    assert [c.abstract_syntax for c in association.rejected_contexts] == [CT]
    association.release()
    stored = np.ones((8, 8, 2), np.uint16)
    write_series(tmp_path / "mr", stored, np.eye(4), StudyInstanceUID="1.2")
    assert send(bench.port, files_of(tmp_path / "mr")) == [0x0124] * 2  # no route takes MR
    write_series(tmp_path / "odd", stored, np.eye(4), StudyInstanceUID="1.2", Modality="PT")
    assert send(bench.port, files_of(tmp_path / "odd")) == [0xA900] * 2  # PT in the class of MR
    write_series(tmp_path / "bare", stored, np.eye(4))
    assert send(bench.port, files_of(tmp_path / "bare")) == [0xA900] * 2  # of no study
    other = start(routes=[{**bench.settings.model_dump(mode="json")["routes"][0], "description": "*high*"}])
    assert send(other.port, files_of(pet)[:1]) == [0x0124]
    assert other.states() == {}


@pytest.mark.parametrize("end", ["abort", "drop"])
def test_what_was_broken_off_is_never_restored_by_a_timeout(start: Start, pet: Path, pacs: Pacs, end: str) -> None:
    bench = start()
    send(bench.port, files_of(pet)[:4], end=end)
    settle(bench, 4)
    send(bench.port, files_of(pet)[:3])  # nothing new, and not all: no sign of an end
    time.sleep(0.3)
    bench.work()
    bench = start()  # nor by a restart
    bench.work()
    assert bench.states() == {"receiving": 1}
    send(bench.port, files_of(pet)[4:])
    settle(bench, 9)
    time.sleep(0.25)
    bench.work()
    assert (bench.states(), bench.node.restored, len(pacs.held)) == ({"done": 1}, 1, 9)


def test_the_count_of_the_source_says_what_is_whole(start: Start, pet: Path, pacs: Pacs) -> None:
    for file in files_of(pet):
        dataset = pydicom.dcmread(file)
        pacs.held[str(dataset.SOPInstanceUID)] = dataset
    bench = start(peers={"pacs": {"title": "PACS", "port": pacs.port}}, wait_s=0.05)
    route = {**bench.settings.model_dump(mode="json")["routes"][0], "ask": "pacs"}
    bench = start(wait_s=0.05, routes=[route])
    send(bench.port, files_of(pet)[:7])
    settle(bench, 7)
    time.sleep(0.1)
    bench.work()
    assert bench.states() == {"receiving": 1}  # released and quiet, and yet two images short
    send(bench.port, files_of(pet)[7:], end="abort")
    settle(bench, 9)
    time.sleep(0.6)
    bench.work()
    assert bench.states() == {"done": 1}  # broken off, and yet whole
    assert len(pacs.derived()) == 9


def test_images_that_come_while_or_after_it_is_restored(start: Start, pet: Path, pacs: Pacs, tmp_path: Path) -> None:
    pet = shutil.copytree(pet, tmp_path / "pet")
    for file in files_of(pet):
        dataset = pydicom.dcmread(file)
        dataset.NumberOfSlices = 7  # so that 7 images look whole
        dataset.save_as(file)
    bench = start(wait_s=0.05)
    send(bench.port, files_of(pet)[2:])
    key = settle(bench, 7)
    time.sleep(0.1)
    real = bench.node._run_child

    def slowly(*args: Any) -> int:
        code = real(*args)
        bench.node._run_child = real
        send(bench.port, files_of(pet)[1:2])
        bench.rest()
        return int(code)

    bench.node._run_child = slowly
    bench.work()
    assert bench.states() == {"receiving": 1}  # its result of 7 images is no more
    assert not bench.queue.images("receiving", key, "out")
    time.sleep(0.1)
    bench.work()
    assert (bench.states(), len(pacs.held)) == ({"done": 1}, 8)
    send(bench.port, files_of(pet))
    bench.rest()
    time.sleep(0.1)
    bench.work()
    assert bench.states() == {"done": 1, "late": 1}
    assert (len(bench.queue.images("late", key)), len(pacs.held)) == (1, 8)


def test_a_full_disk_is_said_and_leaves_nothing(start: Start, pet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = start()
    real = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.suffix == ".dcm":
            real(path, content[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert send(bench.port, files_of(pet)[:2]) == [0xA700] * 2
    monkeypatch.undo()
    assert not [p for p in bench.queue.folder.rglob("*") if p.is_file() and p.name != "job.yaml"]
    usage = queue_module.shutil.disk_usage(bench.queue.folder)
    monkeypatch.setattr(queue_module.shutil, "disk_usage", lambda _: usage._replace(free=10**5))
    assert send(bench.port, files_of(pet)[:1]) == [0xA700]  # at the watermark, before anything is written
    monkeypatch.undo()
    assert send(bench.port, files_of(pet)[:1]) == [0]


def test_patient_data_is_in_no_log(
    start: Start, pet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for number, file in enumerate(files_of(pet)[:6]):
        dataset = pydicom.dcmread(file)
        dataset.PatientBirthDate, dataset.PatientComments = "19700101", "Secret comments"
        dataset.SeriesInstanceUID, dataset.RescaleSlope = "1.2.3", "0"  # which no reader takes
        dataset.save_as(broken / f"x_{number}.dcm")
    caplog.set_level("INFO")
    bench = start(peers={"pacs": {"title": "PACS", "port": 1}}, attempts=2, backoff_s=0.0, wait_s=0.0)
    for folder in (pet, broken):
        send(bench.port, files_of(folder))
    associate(bench.port, caller="STRANGER")
    bench.rest()
    for _ in range(4):
        bench.work()
    assert bench.states() == {"failed": 2}
    text = capsys.readouterr().out + caplog.text
    names = "".join(str(path) for path in bench.queue.folder.rglob("*"))
    for word in ("Secret", "Person", "4711", "19700101", "FDG", *(d.SOPInstanceUID for d in [dataset])):
        assert word not in text + names
