"""The listening half of a node: C-ECHO and C-STORE. pynetdicom does the association, this does what comes of it."""

import logging
import ssl
import time
from threading import Lock
from typing import Any, NamedTuple

from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.images.dicom.frames import quiet
from taskgan.images.dicom.header import header_text
from taskgan.images.dicom.series import ENHANCED_MR, ENHANCED_PT, MR, PT
from taskgan.node.queue import Queue, SeriesJob
from taskgan.node.settings import NodeSettings

SERVED = {MR: "MR", ENHANCED_MR: "MR", PT: "PT", ENHANCED_PT: "PT"}
"""Modality by SOP class."""
# Uncompressed, deflated, JPEG Lossless, JPEG-LS, JPEG 2000, RLE: what the reader has decoders for.
_SYNTAXES = [f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".5")] + [
    f"1.2.840.10008.1.2.4.{end}" for end in ("70", "57", "80", "81", "90", "91")
]
SUCCESS, OUT_OF_RESOURCES, NO_MATCH, NOT_AUTHORIZED, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0x0124, 0xC000


def log(text: str) -> None:
    """A line with the time. Of series it names their key, of senders address and AE title, of patients nothing."""
    say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}")


def dicom_network() -> Any:
    """pynetdicom, silent: its messages quote data sets; a UserError where it is not installed."""
    try:
        import pynetdicom
    except ImportError:
        raise UserError("taskgan node needs pynetdicom: pip install 'taskgan[node]'") from None
    for name in ("pynetdicom", "pydicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return pynetdicom


class ReceivedImage(NamedTuple):
    """What decides where an image goes."""

    study: str
    series: str
    instance: str
    kind: str
    modality: str
    description: str

    @classmethod
    def of(cls, data: Any) -> "ReceivedImage":
        """From its data set; whatever pydicom raises of a damaged value passes."""
        keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Modality")
        return cls(*(header_text(data, keyword) for keyword in (*keywords, "SeriesDescription")))

    @property
    def is_served(self) -> bool:
        """Whether it is of a series, and of a class and its modality that are restored."""
        return bool(self.study and self.series and self.instance) and SERVED.get(self.kind) == self.modality


class Listener:
    """Listens until it is closed; a UserError where it cannot listen at the address."""

    def __init__(self, settings: NodeSettings, queue: Queue) -> None:
        network = dicom_network()
        self._settings, self._queue, self._lock = settings, queue, Lock()
        self._open: dict[Any, dict[str, dict[str, bool]]] = {}  # by association and series: images, and which are new
        self._entity = network.AE(settings.title)
        self._entity.require_called_aet, self._entity.require_calling_aet = True, settings.callers
        self._entity.acse_timeout = self._entity.dimse_timeout = settings.timeout_s
        self._entity.network_timeout = settings.timeout_s
        self._entity.add_supported_context("1.2.840.10008.1.1")
        for kind in SERVED:
            self._entity.add_supported_context(kind, _SYNTAXES)
        handlers = [
            (network.evt.EVT_C_STORE, self._store),
            (network.evt.EVT_REJECTED, self._rejected),
            (network.evt.EVT_RELEASED, self._ended, [True]),
            (network.evt.EVT_ABORTED, self._ended, [False]),
            (network.evt.EVT_CONN_CLOSE, self._ended, [False]),
        ]
        context = settings.tls_context(ssl.Purpose.CLIENT_AUTH) if settings.tls else None
        address = (settings.host, settings.port)
        try:
            server = self._entity.start_server(address, block=False, ssl_context=context, evt_handlers=handlers)
        except OSError as error:
            raise UserError(f"{settings.host}:{settings.port} cannot be listened at: {error.strerror}") from None
        self.port = int(server.server_address[1])

    def close(self) -> None:
        """End all associations."""
        self._entity.shutdown()

    def _store(self, event: Any) -> int:
        try:
            with quiet():
                image, content = ReceivedImage.of(event.dataset), event.encoded_dataset()
        except Exception:  # data of a damaged header fail in as many ways as there are types
            return NOT_UNDERSTOOD
        request, caller = event.request, event.assoc.requestor.ae_title.strip()
        named = (str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
        if not image.is_served or (image.kind, image.instance) != named:
            return NO_MATCH
        route = self._settings.route(caller, image.modality, image.description)
        if route is None:
            log(f"{caller}: an image of modality {image.modality} that no route takes is refused")
            return NOT_AUTHORIZED
        job = SeriesJob(route, image.study, image.series)
        try:
            if self._queue.is_full():
                log(f"{caller}: refused, less than {self._settings.free_gb:g} GB are free for the queue")
                return OUT_OF_RESOURCES
            is_new = self._queue.store(job, image.instance, content)
        except OSError as error:
            log(f"{caller}: refused, the queue cannot be written: {error.strerror}")
            return OUT_OF_RESOURCES
        with self._lock:
            images = self._open.setdefault(event.assoc, {}).setdefault(job.key, {})
            images[image.instance] = is_new or images.get(image.instance, False)
        return SUCCESS

    def _rejected(self, event: Any) -> None:
        caller = event.assoc.requestor
        called = str(getattr(caller.primitive, "called_ae_title", "")).strip()
        log(f"{caller.address}: {caller.ae_title.strip()} that calls {called} is rejected")

    def _ended(self, event: Any, released: bool) -> None:
        with self._lock:
            series = self._open.pop(event.assoc, {})
            others = {key for other in self._open.values() for key in other}
        for key, images in series.items():
            state = self._queue.find(key)
            count = len(self._queue.images(state, key)) if state else 0
            log(f"{key}: {len(images)} images from {event.assoc.requestor.ae_title.strip()}"
                f"{'' if released else ', and the association was broken off'}; {count} are there")  # fmt: skip
            if key not in others:
                self._queue.released(key, whole=released and (any(images.values()) or len(images) >= count))
            elif not released:
                self._queue.released(key, whole=False)
