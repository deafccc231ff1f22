"""The whole node as a process: killed while it receives, restores and sends; its page; its settings."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest

from made_up_pacs import Pacs, associate, files_of, free_port, send, settings_values, until, write_settings
from taskgan.core.errors import Failed, Problems, UserError
from taskgan.node.queue import STATES, Queue
from taskgan.node.settings import read_settings
from taskgan.node.work import serve

COMMAND = [sys.executable, "-m", "taskgan", "node", "serve"]


@contextmanager
def running(place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A node that listens; it is killed in the end."""
    port = read_settings(place).port
    with (place.parent / "said.txt").open("ab") as said:
        process = subprocess.Popen([*COMMAND, str(place)], stdout=said, stderr=said)
    try:
        until(lambda: process.poll() is not None or _listens(port))
        yield process
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def test_killed_in_receiving_restoring_and_sending_it_loses_nothing(
    tmp_path: Path, model: Path, pet: Path, pacs: Pacs, in_process: Callable[[], None]
) -> None:
    """With its child process; what the PACS has at the end is what an uninterrupted node sends."""
    place = write_settings(tmp_path, model, pacs.port, wait_s=0.1)
    port, queue = read_settings(place).port, Queue(tmp_path / "queue")

    def key(state: str) -> str:
        return next(iter(queue.keys(state)), "")

    with running(place) as node:
        association = associate(port)
        for file in files_of(pet)[:4]:
            assert association.send_c_store(pydicom.dcmread(file)).Status == 0
        node.kill()
        association.abort()
    assert len(queue.images("receiving", key("receiving"))) == 4
    with running(place) as node:
        send(port, files_of(pet))
        until(lambda: key("restoring") and (queue.place("restoring", key("restoring")) / "restore.log").exists())
        children = children_of(node.pid)
        node.kill()
        until(lambda: not any(map(os.path.exists, children)))  # the child ends with the node
    pacs.answer = lambda number: (time.sleep(0.2) or 0) if number < 7 else 0
    with running(place) as node:
        until(lambda: pacs.stores >= 3, 60)
        node.kill()
    assert queue.images("sending", key("sending"), "out")
    with running(place) as node:
        until(lambda: key("done"), 60)
        node.send_signal(signal.SIGTERM)
        assert node.wait(10) == 143
    assert len(pacs.held) == len(pacs.derived()) == 9
    assert not queue.images("done", key("done"))
    comments = {str(d.ImageComments) for d in pacs.held.values()}
    assert all("its end known by 0.1 s of quiet alone" in text for text in comments)
    once = {uid: d.PixelData for uid, d in pacs.held.items()}
    pacs.held.clear()
    in_process()
    again = write_settings(tmp_path / "again", model, pacs.port)
    serve(again, folders=[pet])
    assert {uid: d.PixelData for uid, d in pacs.held.items()} == once
    assert "Secret" not in (tmp_path / "said.txt").read_text()


def children_of(pid: int) -> list[str]:
    """Folders in /proc of the child processes; empty where there is none."""
    if not Path("/proc").is_dir():
        return []
    lists = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children") if path.exists()]
    return [f"/proc/{child}" for one in lists for child in one]


def test_the_page_and_the_status_say_what_is_going_on(
    tmp_path: Path, model: Path, pet: Path, pacs: Pacs, capsys: pytest.CaptureFixture[str]
) -> None:
    place = write_settings(tmp_path, model, pacs.port, status_port=free_port(), wait_s=60)
    settings = read_settings(place)
    with running(place):
        send(settings.port, files_of(pet)[:3])
        url = f"http://127.0.0.1:{settings.status_port}"
        values = json.loads(urllib.request.urlopen(f"{url}/status.json").read())
        page = urllib.request.urlopen(url).read().decode()
        said = subprocess.run([*COMMAND[:-1], "status", str(place)], capture_output=True, text=True, check=True).stdout
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{url}/queue")
        with pytest.raises(UserError, match="is in use by process"):
            serve(place)
    assert values["counts"] == {**dict.fromkeys(STATES, 0), "receiving": 1}
    assert [row["images"] for row in values["series"]] == [3]
    assert values["series"][0]["key"] in page
    assert f"node TASKGAN at 127.0.0.1:{settings.port}, run by process" in said
    assert "receiving, 3 images" in said
    assert "Secret" not in page + said + json.dumps(values)


def test_a_folder_is_taken_worked_off_and_what_failed_is_said(
    tmp_path: Path,
    model: Path,
    pet: Path,
    pacs: Pacs,
    capsys: pytest.CaptureFixture[str],
    in_process: Callable[[], None],
) -> None:
    in_process()
    bad = tmp_path / "bad"
    bad.mkdir()
    for file in files_of(pet)[:5]:
        (bad / file.name).write_bytes(file.read_bytes())
    place = write_settings(tmp_path, model, pacs.port)
    with pytest.raises(Failed, match="not every series is done"):
        serve(place, folders=[bad])
    queue = Queue(tmp_path / "queue")
    assert len(queue.keys("failed")) == 1
    serve(place, folders=[pet])  # the rest of it
    assert "1 series done, 0 failed" in capsys.readouterr().out
    assert len(pacs.derived()) == 9


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"titel": "X"}, "unknown key titel; did you mean title"),
        ({"title": "LONGER THAN SIXTEEN"}, "title: string should match pattern"),
        ({"routes": []}, "routes: tuple should have at least 1 item"),
        (
            {"peers": {"pacs": {"title": "A", "url": "http://x"}}},
            "expected one of title .with host and port., url and folder",
        ),
        ({"peers": {"other": {"title": "A"}}}, "routes.0 names 'pacs', which is none of peers"),
        ({"peers": {"pacs": {"title": "A", "tls": True}}}, "a peer is called with TLS, expected tls with certificate"),
        ({"model": "nowhere"}, "nowhere holds no model.yaml"),
        ({"tls": {"certificate": "a.pem", "key": "a.key"}}, "the certificates of TASKGAN cannot be read"),
    ],
)
def test_settings_are_checked_before_anything_listens(
    tmp_path: Path, model: Path, changes: dict[str, Any], words: str
) -> None:
    values = settings_values(tmp_path, model, 104)
    if "model" in changes:
        values["routes"][0]["model"] = changes.pop("model")
    place = tmp_path / "node.yaml"
    place.write_text(json.dumps(values | changes))
    with pytest.raises((Problems, UserError), match=words):
        serve(place)
    assert [path.name for path in tmp_path.iterdir()] == ["node.yaml"]
