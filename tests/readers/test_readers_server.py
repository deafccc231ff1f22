"""The web page's server: what gives nothing away, what is refused, what is never lost."""

import json
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from readers_demo import Visitor, start_server
from small_study import answer_all, bright_rim, small_study
from taskgan.core.errors import UserError
from taskgan.readers.answers import AnswerStore, read_answers
from taskgan.readers.server import MAX_BODY, StudyDesk, make_app, serve_study
from taskgan.readers.study import read_study


class Desk:
    """A study of one's own, its desk at a clock that is set by hand, and clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1.8e9
        self.store = AnswerStore(self.folder)
        self.desk = StudyDesk(read_study(self.folder), self.store, clock=lambda: self.now)
        self.app = make_app(self.desk, hosts=("testserver",))

    def client(self, reader: str = "reader-1") -> TestClient:
        client = TestClient(self.app)
        client.get(f"/enter/{self.desk.token(reader)}")
        client.headers["X-CSRF"] = client.get("/api/state").json()["csrf"]
        return client

    def frame(self) -> Any:
        return read_answers(self.desk.study)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without training; to be copied."""
    return small_study(tmp_path_factory.mktemp("plain"), training=0)


@pytest.fixture
def desk(plain: Path, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(Path(shutil.copytree(plain, tmp_path / "study")))
    yield desk
    desk.store.close()


GOOD = {"decision": {"decision": 1, "confidence": 4}, "quality": 3}


def answer(client: TestClient, item: str, values: dict[str, Any] = GOOD) -> None:
    for question, value in values.items():
        given = client.post("/api/answer", json={"id": item, "question": question, "value": value, "seconds": 1.5})
        assert given.status_code == 200, given.text


def item_of(client: TestClient) -> str:
    return str(client.get("/api/state").json()["item"]["id"])


def test_nothing_that_is_sent_tells_the_method(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """No path, name, header, size or field differs between the methods of a case, or names one."""
    monkeypatch.setattr("taskgan.readers.server.RateLimit.check", lambda self, who: None)  # faster than people read
    read = desk.desk.study
    client = desk.client()
    by_case: dict[str, set[str]] = {}
    ids = []
    for showing in read.of_reader("reader-1"):
        image = read.images[showing.image]
        state = client.get("/api/state")
        item = state.json()["item"]
        voxels = client.get(f"/api/image/{item['id']}")
        assert len(voxels.content) == (desk.folder / "images" / showing.image).stat().st_size
        told = state.text + str(voxels.headers) + str(state.headers)
        for word in (
            *read.record.methods[1:],
            image.image,
            image.image.removesuffix(".raw"),
            image.case,
            image.subject,
        ):
            assert word not in told.replace("Content-Type", "").replace("etag", "?"), word
        assert not {"etag", "last-modified", "content-disposition"} & set(voxels.headers)
        fields = {k: v for k, v in item.items() if k not in ("id", "session")}
        by_case.setdefault(image.case, set()).add(json.dumps([fields, sorted(voxels.headers.items())]))
        ids.append(item["id"])
        answer(client, item["id"])
        client.post("/api/next", json={"id": item["id"]})
    assert {len(kinds) for kinds in by_case.values()} == {1}
    assert len(set(ids)) == len(ids)  # a hidden repeat has a name of its own
    page = client.get("/").text + client.get("/reader.js").text
    assert not any(word in page for word in ("clean", "restor", "degraded"))


def test_ids_cannot_be_made_without_the_key(plain: Path, tmp_path: Path) -> None:
    one, other = (Desk(Path(shutil.copytree(plain, tmp_path / name))) for name in "ab")
    other.folder.joinpath(".secret").write_bytes(b"x" * 32)
    one, other = one.desk, Desk(other.folder).desk
    assert one.token("reader-1") != other.token("reader-1")
    assert one.state("reader-1")["item"]["id"] != other.state("reader-1")["item"]["id"]


def test_who_has_no_link_gets_nothing(desk: Desk) -> None:
    stranger = TestClient(desk.app)
    mine = item_of(desk.client())
    assert stranger.get("/api/state").status_code == 401
    stranger.cookies.set("reader", desk.desk.token("reader-1")[:-1] + "0")
    assert stranger.get("/api/state").status_code == 401
    assert stranger.get(f"/api/image/{mine}").status_code == 401
    assert stranger.post("/api/answer", json={}).status_code == 401
    assert stranger.get("/enter/ü" + "0" * 31).status_code == 401
    codes = {stranger.get(f"/enter/{number:032x}").status_code for number in range(60)}
    assert codes == {401, 429}  # guessing is slowed down


def test_a_reader_reads_no_case_of_another_or_of_later(desk: Desk) -> None:
    one, other = desk.client("reader-1"), desk.client("reader-2")
    assert other.get(f"/api/image/{item_of(one)}").status_code == 409
    later = desk.desk._public_id(desk.desk.study.of_reader("reader-1")[5])
    assert one.get(f"/api/image/{later}").status_code == 409


@pytest.mark.parametrize("path", ["/../study.yaml", "/..%2f..%2fkey.csv", "/images/00001.raw", "/key.csv", "/.secret"])
def test_no_path_leads_to_a_file(desk: Desk, path: str) -> None:
    client = desk.client()
    for where in (path, "/api/image" + path, "/enter" + path):
        reply = client.get(where)
        assert reply.status_code in (401, 404, 409)
        assert b"sub-0" not in reply.content


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-CSRF": ""}, 403),
        ({"X-CSRF": "0" * 32}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Host": "elsewhere.example"}, 400),
    ],
)
def test_a_forged_request_changes_nothing(desk: Desk, headers: dict[str, str], status: int) -> None:
    client = desk.client()
    body = json.dumps({"id": item_of(client), "question": "quality", "value": 3})
    sent = {"Content-Type": "application/json", **headers}
    assert client.post("/api/answer", content=body, headers=sent).status_code == status
    assert client.get("/api/state").json()["answers"] == {}


@pytest.mark.parametrize(
    "change",
    [
        {"question": "quality'; DROP TABLE answers; --"},
        {"value": "1; DROP TABLE answers"},
        {"value": 6},
        {"value": {"$gt": 0}},
        {"seconds": 1e300},
        {"seconds": "1"},
        {"question": ["quality"]},
    ],
)
def test_what_is_no_answer_is_not_kept(desk: Desk, change: dict[str, Any]) -> None:
    client = desk.client()
    sent = {"id": item_of(client), "question": "quality", "value": 3, **change}
    assert client.post("/api/answer", json=sent).status_code == 422
    assert client.get("/api/state").json()["answers"] == {}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 60_000, b"\xff\xfe", b"null"])
def test_what_is_no_json_is_refused(desk: Desk, body: bytes) -> None:
    reply = desk.client().post("/api/answer", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 422


def test_too_much_is_refused(desk: Desk) -> None:
    client = desk.client()
    sent = {"id": item_of(client), "question": "comment", "value": "x" * MAX_BODY}
    assert client.post("/api/answer", json=sent).status_code == 413


def test_markup_in_a_remark_stays_text_and_is_no_formula(desk: Desk) -> None:
    client = desk.client()
    item = item_of(client)
    answer(client, item, {**GOOD, "comment": "=1+1<script>alert(1)</script>"})
    client.post("/api/next", json={"id": item})
    from taskgan.readers.answers import export_answers

    table = export_answers(desk.folder).read_text()
    assert "'=1+1<script>" in table


def test_a_reader_who_asks_too_often_waits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    client = desk.client()
    now = time.monotonic()
    still = SimpleNamespace(**{**vars(time), "monotonic": lambda: now})  # however slow the machine is
    monkeypatch.setattr("taskgan.readers.server.time", still)
    assert {client.get("/api/state").status_code for _ in range(120)} == {200, 429}


def test_a_case_is_closed_once_and_only_when_it_is_answered(desk: Desk) -> None:
    client = desk.client()
    item = item_of(client)
    refused = client.post("/api/next", json={"id": item})
    assert refused.status_code == 422
    assert "Amyloid?" in refused.json()["error"]
    answer(client, item, {**GOOD, "decision": {"decision": 0, "confidence": 1}})
    answer(client, item)  # a change of mind
    first = client.post("/api/next", json={"id": item, "seconds": 2.0}).json()
    again = client.post("/api/next", json={"id": item, "seconds": 2.0}).json()  # pressed twice
    assert first["item"]["id"] == again["item"]["id"]
    late = client.post("/api/answer", json={"id": item, "question": "quality", "value": 1})  # the back button
    assert late.status_code == 409
    rows = desk.frame()
    assert rows[["decision", "confidence", "quality", "seconds"]].to_numpy().tolist() == [[1, 4, 3, 8.0]]


def test_a_reader_goes_on_where_another_machine_stopped(desk: Desk) -> None:
    one = desk.client()
    answer(one, item_of(one), {"quality": 2})
    other = desk.client().get("/api/state").json()
    assert other["answers"] == {"quality": 2}
    assert other["item"]["id"] == item_of(one)


def test_training_comes_first_with_the_truth_and_counts_for_nothing(tmp_path: Path) -> None:
    desk = Desk(small_study(tmp_path))
    client = desk.client()
    for left in (1, 0):
        state = client.get("/api/state").json()
        assert state["item"]["training"]
        answer(client, state["item"]["id"])
        feedback = client.post("/api/next", json={"id": state["item"]["id"]}).json()["feedback"]
        assert feedback["right"] == (feedback["truth"] == "Positive")
        assert client.get("/api/state").json()["item"]["training"] == bool(left)
    with pytest.raises(UserError, match="no finished case yet"):
        desk.frame()


def test_a_session_opens_after_the_washout(tmp_path: Path) -> None:
    desk = Desk(small_study(tmp_path, training=0, repeats=0, washout_days=7.0))
    client = desk.client()
    for _ in range(8):
        item = item_of(client)
        answer(client, item)
        state = client.post("/api/next", json={"id": item}).json()
    assert state["item"] is None
    assert state["opens"] == "2027-01-22 08:00 UTC"
    desk.now += 7 * 86400 + 1
    assert client.get("/api/state").json()["item"]["session"] == 2
    assert desk.client("reader-2").get("/api/state").json()["item"]["session"] == 1


def test_an_answer_survives_a_kill(plain: Path, tmp_path: Path) -> None:
    study = Path(shutil.copytree(plain, tmp_path / "study"))
    process, links = start_server(study)
    with Visitor(links[0]) as visitor:
        assert visitor.read(bright_rim, most=3) == 3
        item = visitor.get("/api/state")["item"]["id"]
        visitor.get("/api/answer", {"id": item, "question": "quality", "value": 2})
    process.send_signal(signal.SIGKILL)
    process.wait()
    process, links = start_server(study)
    with Visitor(links[0]) as visitor:
        state = visitor.get("/api/state")
    assert (state["done"], state["item"]["id"], state["answers"]) == (3, item, {"quality": 2})
    command = [sys.executable, "-m", "taskgan", "readers", "serve", str(study)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert "is in use by process" in second.stderr
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    assert len(read_answers(read_study(study))) == 3


def test_it_is_served_by_tls(plain: Path, tmp_path: Path) -> None:
    study = Path(shutil.copytree(plain, tmp_path / "study"))
    made = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    subprocess.run(made.split(), cwd=tmp_path, check=True, capture_output=True)
    process, links = start_server(
        study, "--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")
    )
    try:
        host, _, path = links[0].removeprefix("https://").partition("/")
        context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        context.check_hostname = False
        name, _, port = host.rpartition(":")
        with socket.create_connection((name, int(port))) as plain, context.wrap_socket(plain) as secure:
            secure.sendall(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            reply = b"".join(iter(lambda: secure.recv(4096), b"")).decode()
        assert reply.startswith("HTTP/1.1 303")
        assert "Secure" in reply
    finally:
        process.kill()
        process.wait()


def test_what_cannot_be_served_is_said(tmp_path: Path, study: Path) -> None:
    with pytest.raises(UserError, match="holds no study.yaml"):
        serve_study(tmp_path)
    with pytest.raises(UserError, match="belong together"):
        serve_study(study, cert=tmp_path / "a.pem")
    with pytest.raises(UserError, match="are no certificate with its key"):
        serve_study(study, cert=study / "key.csv", key=study / "key.csv")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(UserError, match="cannot be listened on"):
            serve_study(study, port=other.getsockname()[1])


def test_a_changed_image_is_not_served(plain: Path, tmp_path: Path) -> None:
    study = Path(shutil.copytree(plain, tmp_path / "study"))
    image = next((study / "images").iterdir())
    image.write_bytes(image.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="was changed since study.yaml was written"):
        serve_study(study)


def test_without_the_extra_one_sentence(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskgan.readers.server.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"serving needs starlette and uvicorn.*pip install 'taskgan\[readers\]'"):
        serve_study(study)


def test_answers_of_many_threads_are_all_kept(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    store = AnswerStore(tmp_path)
    for serial in range(8):
        store.open(serial, 0.0)
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda k: store.save(k % 8, "a", k, time.time(), 0.5), range(200)))
    assert all(kept)
    with closing(sqlite3.connect(tmp_path / "answers.sqlite")) as base:
        given = base.execute("SELECT value FROM answers").fetchall()
    assert sorted(int(value) for (value,) in given) == list(range(200))
    store.close()


def test_desk_and_page_agree_on_the_end(tmp_path: Path) -> None:
    folder = small_study(tmp_path, training=0, repeats=0)
    answer_all(folder)
    store = AnswerStore(folder)
    state = StudyDesk(read_study(folder), store).state("reader-1")
    assert (state["item"], state["opens"], state["done"]) == (None, None, state["total"])
    store.close()
