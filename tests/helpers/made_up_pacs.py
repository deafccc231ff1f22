"""A PACS in this process (C-ECHO, C-STORE, C-FIND; pynetdicom), one of DICOMweb, a sender, and a node's settings."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import pydicom
import pynetdicom
import yaml
from pynetdicom import evt

FIND, ECHO = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.1.1"


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for something to become true; gives it."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return value


class Pacs:
    """What was stored, by SOPInstanceUID; every store is counted.

    Attributes:
        answer: Called with the number of a store, from 1; gives its status.
        hides: Instances that C-FIND does not name, though they were stored.
    """

    def __init__(self, title: str = "PACS", port: int = 0, **options: Any) -> None:
        self.title, self.held, self.stores, self.hides = title, {}, 0, set()
        self.answer: Callable[[int], int] = lambda _: 0x0000
        self.entity = pynetdicom.AE(title)
        for context in pynetdicom.AllStoragePresentationContexts:
            self.entity.add_supported_context(context.abstract_syntax)
        self.entity.add_supported_context(FIND)
        self.entity.add_supported_context(ECHO)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_C_FIND, self._find)]
        place = ("127.0.0.1", port)
        server = self.entity.start_server(place, block=False, evt_handlers=handlers, **options)
        self.port = int(server.server_address[1])

    def _store(self, event: Any) -> int:
        self.stores += 1
        status = self.answer(self.stores)
        if status == 0:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self.held[str(dataset.SOPInstanceUID)] = dataset
        return status

    def _find(self, event: Any) -> Iterator[tuple[int, Any]]:
        for uid, dataset in list(self.held.items()):
            if dataset.SeriesInstanceUID == event.identifier.SeriesInstanceUID and uid not in self.hides:
                found = pydicom.Dataset()
                found.QueryRetrieveLevel, found.SOPInstanceUID = "IMAGE", uid
                yield 0xFF00, found

    def derived(self) -> list[Any]:
        return [d for d in self.held.values() if "DERIVED" in d.get("ImageType", "")]

    def close(self) -> None:
        self.entity.shutdown()


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: int(path.stem.rsplit("_", 1)[-1]))


def associate(
    port: int, *, caller: str = "SCANNER", called: str = "TASKGAN", kinds: Sequence[str] = (), **options: Any
):
    entity = pynetdicom.AE(caller)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    for kind in kinds or (pydicom.uid.MRImageStorage, pydicom.uid.PositronEmissionTomographyImageStorage, ECHO):
        entity.add_requested_context(kind)
    return entity.associate("127.0.0.1", port, ae_title=called, evt_handlers=[(evt.EVT_CONN_OPEN, at_once)], **options)


def at_once(event: Any) -> None:
    """No waiting of small packets for others (Nagle), as dcmtk's storescu has it."""
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def send(port: int, files: Sequence[Path], *, end: str = "release", **options: Any) -> list[int]:
    """Store files in one association that is released, aborted, or dropped; gives the statuses."""
    association = associate(port, **options)
    assert association.is_established
    statuses = [association.send_c_store(pydicom.dcmread(file)).get("Status", -1) for file in files]
    if end == "drop":  # as where the process is killed
        association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        until(lambda: not association.is_alive())
    else:
        getattr(association, end)()
    return statuses


def settings_values(folder: Path, model: Path, pacs: int, **changes: Any) -> dict[str, Any]:
    """A node with short times that restores PET of SCANNER and sends it to PACS."""
    values: dict[str, Any] = {
        "port": free_port(), "queue": "queue", "wait_s": 0.2, "timeout_s": 2, "attempts": 3, "backoff_s": 0.1,
        "free_gb": 0.001,
        "peers": {"pacs": {"title": "PACS", "port": pacs}},
        "routes": [{"callers": ["SCANNER"], "modality": "PT", "model": str(model), "to": "pacs"}],
    }  # fmt: skip
    return values | changes


def write_settings(folder: Path, model: Path, pacs: int, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "node.yaml").write_text(yaml.safe_dump(settings_values(folder, model, pacs, **changes)))
    return folder / "node.yaml"


class _Web(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.headers.append(dict(self.headers))
        mark = re.search(r"boundary=(\w+)", self.headers["Content-Type"])[1].encode()
        if self.server.status == 200:
            for part in body.split(b"--" + mark)[1:-1]:
                dataset = pydicom.dcmread(BytesIO(part.partition(b"\r\n\r\n")[2][:-2]))
                self.server.held[str(dataset.SOPInstanceUID)] = dataset
        self._say(self.server.status, b"{}")

    def do_GET(self) -> None:
        series = self.path.split("/")[-2]
        uids = [uid for uid, d in self.server.held.items() if d.SeriesInstanceUID == series]
        body = json.dumps([{"00080018": {"vr": "UI", "Value": [uid]}} for uid in uids]).encode()
        self._say(200 if uids else 204, body if uids else b"")

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def dicomweb() -> Iterator[Any]:
    """A server with STOW-RS and QIDO-RS: ``held``, ``headers`` of posts, ``status`` of the next ones, ``url``."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Web)
    server.held, server.headers, server.status = {}, [], 200
    server.url = f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
