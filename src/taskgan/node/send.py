"""The calling half of a node: what a peer holds (C-FIND, QIDO-RS), and results sent to it (C-STORE, STOW-RS)."""

import hashlib
import json
import socket
import ssl
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from taskgan.core.errors import UserError
from taskgan.core.files import atomic
from taskgan.images.dicom.frames import quiet, read_dataset
from taskgan.node.queue import image_name
from taskgan.node.receive import dicom_network
from taskgan.node.settings import NodeSettings, Peer

_STORED = (0x0000, 0xB000, 0xB006, 0xB007)  # success, and stored with a warning (PS3.4, Table B.2-1)
_FIND, _PENDING = "1.2.840.10008.5.1.4.1.2.2.1", (0xFF00, 0xFF01)
_MOST_BYTES = 32 * 2**20  # of one STOW-RS request, unless a single image is larger


class DeliveryError(UserError):
    """A peer cannot be reached, or does not take what it is sent. The message is a phrase without patient data."""


def instances_at(settings: NodeSettings, peer: Peer, study: str, series: str) -> set[str]:
    """SOPInstanceUIDs that a peer holds of a series; a DeliveryError where it does not say."""
    if peer.folder is not None:
        files = settings.path(peer.folder / _folder_name(series)).glob("*.dcm")
        return {str(read_dataset(file, pixels=False).SOPInstanceUID) for file in files}
    if peer.url:
        below = f"studies/{quote(study, safe='')}/series/{quote(series, safe='')}/instances"
        url = f"{peer.url.rstrip('/')}/{below}"
        status, body = _http(settings, peer, url, {"Accept": "application/dicom+json"})
        try:
            items = json.loads(body) if status == 200 and body else []
            return {str(item["00080018"]["Value"][0]) for item in items}
        except (ValueError, LookupError, TypeError):
            raise DeliveryError("its answer to QIDO-RS cannot be understood") from None
    from pydicom.dataset import Dataset

    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID, query.SeriesInstanceUID = "IMAGE", study, series
    query.SOPInstanceUID = ""
    with _association(settings, peer, [_FIND]) as association:  # not quiet(): a silent peer would hold up all others
        held, final = set(), 0x0110
        for status, identifier in association.send_c_find(query, _FIND):
            final = getattr(status, "Status", 0x0110)  # empty where it said nothing in time
            if final in _PENDING and identifier is not None:
                with quiet():
                    held.add(str(identifier.SOPInstanceUID))
        if final:
            raise DeliveryError(f"C-FIND ended with {final:#06x}")
        return held


def deliver(settings: NodeSettings, peer: Peer, files: Sequence[Path]) -> None:
    """Send images; returns when the peer has taken every one, else a DeliveryError."""
    if peer.url:
        return _stow(settings, peer, files)
    if peer.folder is not None:
        return _copy(settings.path(peer.folder), files)
    kinds = sorted({str(read_dataset(file, pixels=False).SOPClassUID) for file in files})
    with _association(settings, peer, kinds) as association:
        for file in files:
            try:
                with quiet():
                    dataset = read_dataset(file, pixels=True)
                status = getattr(association.send_c_store(dataset), "Status", None)
            except (RuntimeError, ValueError) as error:  # no longer associated, or the class was not accepted
                raise DeliveryError(f"C-STORE is not possible ({type(error).__name__})") from None
            if status not in _STORED:
                raise DeliveryError("C-STORE " + ("was not answered" if status is None else f"gave {status:#06x}"))


def _folder_name(series: str) -> str:
    return hashlib.sha256(series.encode()).hexdigest()[:16]


def _copy(folder: Path, files: Sequence[Path]) -> None:
    for file in files:
        header = read_dataset(file, pixels=False)
        target = folder / _folder_name(header.SeriesInstanceUID) / image_name(header.SOPInstanceUID)
        try:
            with atomic(target) as partial:
                partial.write_bytes(file.read_bytes())
        except OSError as error:
            raise DeliveryError(f"its folder cannot be written: {error.strerror}") from None


@contextmanager
def _association(settings: NodeSettings, peer: Peer, kinds: Sequence[str]) -> Iterator[Any]:
    network = dicom_network()
    entity = network.AE(settings.title)
    entity.acse_timeout = entity.dimse_timeout = entity.connection_timeout = settings.timeout_s
    entity.network_timeout = settings.timeout_s
    for kind in kinds:
        entity.add_requested_context(kind)
    tls = (settings.tls_context(ssl.Purpose.SERVER_AUTH), peer.host) if peer.tls else None
    handlers = [(network.evt.EVT_CONN_OPEN, _without_delay)]
    association = entity.associate(peer.host, peer.port, ae_title=peer.title, tls_args=tls, evt_handlers=handlers)
    if not association.is_established:
        raise DeliveryError(f"{peer.title} at {peer.host}:{peer.port} accepts no association")
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _without_delay(event: Any) -> None:
    """A message of several small packets waits for no acknowledgement between them: 40 ms an image."""
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _stow(settings: NodeSettings, peer: Peer, files: Sequence[Path]) -> None:
    """STOW-RS (PS3.18, 10.5): images as parts of multipart/related bodies."""
    batch: list[bytes] = []
    for number, file in enumerate(files):
        batch.append(file.read_bytes())
        following = files[number + 1].stat().st_size if number + 1 < len(files) else _MOST_BYTES
        if sum(map(len, batch)) + following <= _MOST_BYTES:
            continue
        mark = uuid.uuid4().hex
        head = f"--{mark}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        body = b"".join(part for content in batch for part in (head, content, b"\r\n")) + f"--{mark}--\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={mark}'
        headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
        status, _ = _http(settings, peer, f"{peer.url.rstrip('/')}/studies", headers, body)
        if status != 200:  # 202: some were not stored
            raise DeliveryError(f"STOW-RS gave {status}")
        batch = []


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET, which stores nothing."""

    def redirect_request(self, *_: Any) -> None:
        """Never."""


def _http(
    settings: NodeSettings, peer: Peer, url: str, headers: dict[str, str], body: bytes | None = None
) -> tuple[int, bytes]:
    """Status and body of an answer, by way of no proxy."""
    if peer.token is not None:
        token = settings.path(peer.token).read_text(encoding="utf-8").strip()
        headers = {**headers, "Authorization": f"Bearer {token}"}
    secure = urllib.request.HTTPSHandler(context=settings.tls_context(ssl.Purpose.SERVER_AUTH))
    opener = urllib.request.build_opener(secure, urllib.request.ProxyHandler({}), _NoRedirect)
    request = urllib.request.Request(url, body, headers)
    try:
        with opener.open(request, timeout=settings.timeout_s) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        if body is None and error.code == 404:  # it has no such series
            return 404, b""
        raise DeliveryError(f"{'QIDO-RS' if body is None else 'STOW-RS'} gave {error.code}") from None
    except OSError as error:
        raise DeliveryError(f"{peer.url} cannot be reached ({type(error).__name__})") from None
