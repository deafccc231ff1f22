"""The settings of a node: one YAML, checked as a whole before anything listens."""

import fnmatch
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from taskgan.core.errors import Problems, UserError
from taskgan.core.files import read_yaml
from taskgan.core.settings import Settings, validated

Title = Annotated[str, Field(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$")]
"""An AE title: up to 16 printable ASCII characters, no backslash, no space at either end (PS3.5, 6.2)."""
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=0, le=7 * 24 * 3600)]


class Certificates(Settings):
    """TLS of the node, as the one who is called and the one who calls.

    Attributes:
        certificate: PEM, the node's own chain.
        key: PEM, its private key.
        authority: PEM, who signs the certificates of others, which they then have to show; None: they need none, and
            peers are held against the system's authorities.
    """

    certificate: Path
    key: Path
    authority: Path | None = None


class Peer(Settings):
    """Another node: of DICOM (``title``, ``host``, ``port``) or of DICOMweb (``url``).

    Attributes:
        title: Its AE title.
        host: Its address.
        port: Its port.
        url: Of its DICOMweb service, below which ``/studies`` lies.
        token: File with a bearer token, of DICOMweb.
        tls: Call it with TLS; DICOMweb says so in its ``url``.
        confirms: It can be asked (C-FIND, QIDO-RS) which images it holds. Where it cannot, no source is deleted.
    """

    title: Title | None = None
    host: str = "127.0.0.1"
    port: Port = 104
    url: str = Field("", pattern=r"^(https?://[^\s?#]+)?$")
    token: Path | None = None
    tls: bool = False
    confirms: bool = True

    @model_validator(mode="after")
    def _one_kind(self) -> "Peer":
        if bool(self.title) == bool(self.url):
            raise ValueError("expected either title, host and port, or url")
        return self


class Route(Settings):
    """Which series are restored, with what, and where they go.

    Attributes:
        callers: AE titles of those who send them.
        modality: Of the series.
        description: Pattern of its SeriesDescription with ``*`` and ``?``; capitals do not count.
        model: Model folder, or a run folder that has one.
        to: Name of the peer that gets the derived series.
        ask: Name of the peer that knows how many images a series has; None: a time of quiet after an association that
            was released counts for its end.
        pdf: Send a page of input, restored image and difference too.
    """

    callers: tuple[Title, ...] = Field(min_length=1)
    modality: Literal["PT", "MR"]
    description: str = "*"
    model: Path
    to: str
    ask: str | None = None
    pdf: bool = False

    def takes(self, caller: str, modality: str, description: str) -> bool:
        """Whether a series is one of this route."""
        named = fnmatch.fnmatchcase(description.lower(), self.description.lower())
        return caller in self.callers and modality == self.modality and named


class NodeSettings(Settings):
    """A node.

    Attributes:
        title: Its AE title.
        host: The address that it listens on; this machine alone unless it says otherwise.
        port: Its port.
        status_host: Address of the status page.
        status_port: Its port; 0: there is none.
        queue: Folder of all that it receives.
        wait_s: Time without a further image after which a series is looked at.
        timeout_s: After which a peer that says nothing is given up.
        restore_s: After which a restoration is given up.
        attempts: Of restoring and of sending, before a series is set aside.
        backoff_s: Between the first two attempts; each further time is twice as long, an hour at most.
        free_gb: Where less is free, nothing more is accepted.
        keep_days: How long results stay after they were sent.
        tls: Certificates; None: without TLS.
        peers: By name.
        routes: The first that takes a series counts.
    """

    title: Title = "TASKGAN"
    host: str = "127.0.0.1"
    port: Port = 11112
    status_host: str = "127.0.0.1"
    status_port: Port = 0
    queue: Path
    wait_s: Seconds = 60.0
    timeout_s: Seconds = 60.0
    restore_s: Seconds = 3600.0
    attempts: int = Field(8, ge=1, le=100)
    backoff_s: Seconds = 30.0
    free_gb: float = Field(5.0, ge=0)
    keep_days: float = Field(30.0, ge=0)
    tls: Certificates | None = None
    peers: Mapping[str, Peer]
    routes: tuple[Route, ...] = Field(min_length=1)

    @property
    def callers(self) -> list[str]:
        """Everybody who may send."""
        return sorted({title for route in self.routes for title in route.callers})

    def route(self, caller: str, modality: str, description: str) -> Route | None:
        """The first route that takes a series; None where none does."""
        return next((route for route in self.routes if route.takes(caller, modality, description)), None)

    def tls_context(self, purpose: ssl.Purpose) -> ssl.SSLContext:
        """TLS as the one who is called (``CLIENT_AUTH``) or who calls (``SERVER_AUTH``).

        Raises:
            UserError: If certificates cannot be read.
        """
        own = self.tls
        try:
            context = ssl.create_default_context(purpose, cafile=own.authority if own else None)
            if own is not None:
                context.load_cert_chain(own.certificate, own.key)
        except (OSError, ssl.SSLError) as error:
            raise UserError(f"the certificates of {self.title} cannot be read: {error.strerror or error}") from None
        if own is not None and own.authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def read_settings(path: Path) -> NodeSettings:
    """Read and check; relative paths are those from the file's folder.

    Raises:
        UserError: If it is no YAML mapping, or a model or certificate cannot be read.
        Problems: Every unknown key, bad value and name of a peer that is not there.
    """
    settings = validated(NodeSettings, read_yaml(path), f"{path} is no valid node")
    problems = [
        f"routes.{number}.{key}: {name!r} is no peer, expected one of {', '.join(settings.peers) or 'none'}"
        for number, route in enumerate(settings.routes)
        for key, name in (("to", route.to), ("ask", route.ask))
        if name is not None and name not in settings.peers
    ]
    base = path.absolute().parent
    cards = [(base / r.model / "model.yaml", base / r.model / "model" / "model.yaml") for r in settings.routes]
    models = [next((card.parent for card in places if card.is_file()), None) for places in cards]
    problems += [
        f"routes.{number}.model: {base / route.model} holds no model.yaml, expected a model or run folder"
        for number, route in enumerate(settings.routes)
        if models[number] is None
    ]
    if any(peer.tls for peer in settings.peers.values()) and settings.tls is None:
        problems.append("tls: a peer is called with TLS, expected certificate and key")
    if problems:
        raise Problems(f"{path} is no valid node", problems)
    routes = tuple(r.model_copy(update={"model": m}) for r, m in zip(settings.routes, models, strict=True))
    peers = {
        name: peer.model_copy(update={"token": base / peer.token}) if peer.token else peer
        for name, peer in settings.peers.items()
    }
    tls = settings.tls
    if tls is not None:
        files = {key: base / value for key, value in tls.model_dump().items() if value is not None}
        tls = tls.model_copy(update=files)
    changes = {"queue": base / settings.queue, "routes": routes, "peers": peers, "tls": tls}
    settings = settings.model_copy(update=changes)
    if tls is not None:
        settings.tls_context(ssl.Purpose.CLIENT_AUTH)
    return settings
