"""The settings of a node (``docs/dicom.md``): one YAML, checked as a whole before anything listens."""

import fnmatch
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from taskgan.core.errors import UserError
from taskgan.core.files import read_yaml
from taskgan.core.parse import quoted, truncated
from taskgan.core.settings import Settings, validated

# Up to 16 printable ASCII characters, no backslash, no space at either end (PS3.5, 6.2).
Title = Annotated[str, Field(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$")]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=0, le=7 * 24 * 3600)]


class Certificates(Settings):
    """TLS, PEM files. With an authority others have to show a certificate that it signed."""

    certificate: Path
    key: Path
    authority: Path | None = None  # None: peers are held against the system's, callers need no certificate


class Peer(Settings):
    """Another node: of DICOM (``title``, ``host``, ``port``), of DICOMweb (``url``), or a ``folder``."""

    title: Title | None = None
    host: str = "127.0.0.1"
    port: Port = 104
    tls: bool = False  # of DICOM
    url: str = Field("", pattern=r"^(https?://[^\s?#]+)?$")  # below which /studies lies
    token: Path | None = None  # file with a bearer token, of DICOMweb
    folder: Path | None = None  # gets the images of each series in a folder of its own
    confirms: bool = True  # it says which images it holds (C-FIND, QIDO-RS); else no source is deleted

    @model_validator(mode="after")
    def _one_kind(self) -> "Peer":
        if sum(map(bool, (self.title, self.url, self.folder))) != 1:
            raise ValueError("expected one of title (with host and port), url and folder")
        return self


class Route(Settings):
    """Which series are restored, with what, and where they go."""

    callers: tuple[Title, ...] = Field(min_length=1)  # AE titles of those who send them
    modality: Literal["PT", "MR"]
    description: str = "*"  # pattern of the SeriesDescription; capitals do not count
    model: Path  # model folder, or a run folder that has one
    to: str  # the peer that gets the derived series
    ask: str | None = None  # the peer that knows how many images a series has; None: quiet after a release counts
    pdf: bool = False  # send a page of input, restored image and difference too


class NodeSettings(Settings):
    """A node; the first route that takes a series counts."""

    title: Title = "TASKGAN"
    host: str = "127.0.0.1"  # this machine alone unless it says otherwise
    port: Port = 11112
    status_host: str = "127.0.0.1"
    status_port: Port = 0  # 0: no status page
    queue: Path  # folder of all that is received
    base: Path  # folder of the YAML, from which relative paths are meant
    wait_s: Seconds = 60.0  # without a further image, after which a series is looked at
    timeout_s: Seconds = 60.0  # after which a peer that says nothing is given up
    restore_s: Seconds = 3600.0  # after which a restoration is given up
    attempts: int = Field(8, ge=1, le=100)  # of restoring and of sending, before a series is set aside
    backoff_s: Seconds = 30.0  # before the second attempt; twice as long before each further one, an hour at most
    free_gb: float = Field(5.0, ge=0)  # where less is free, nothing more is accepted
    keep_days: float = Field(30.0, ge=0)  # of results that were sent
    tls: Certificates | None = None
    peers: Mapping[str, Peer]
    routes: tuple[Route, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names(self) -> "NodeSettings":
        for number, route in enumerate(self.routes):
            model = self.path(route.model)
            if unknown := sorted({route.to, route.ask or route.to} - self.peers.keys()):
                raise ValueError(f"routes.{number} names {quoted(unknown[0])}, which is none of peers")
            if not any(os.path.isfile(folder / "model.yaml") for folder in (model, model / "model")):
                name = truncated(str(model))
                raise ValueError(f"routes.{number}.model: {name} holds no model.yaml, expected a model or run folder")
        if any(peer.tls for peer in self.peers.values()) and self.tls is None:
            raise ValueError("a peer is called with TLS, expected tls with certificate and key")
        return self

    @property
    def callers(self) -> list[str]:
        """Everybody who may send."""
        return sorted({title for route in self.routes for title in route.callers})

    def route(self, caller: str | None, modality: str, description: str) -> Route | None:
        """The first route that takes a series of a caller (None: of any); None where none does."""
        for route in self.routes:
            named = fnmatch.fnmatchcase(description.lower(), route.description.lower())
            if named and modality == route.modality and (caller is None or caller in route.callers):
                return route
        return None

    def path(self, own: Path) -> Path:
        """A path of these settings, from wherever it is used."""
        return self.base / own

    def tls_context(self, purpose: ssl.Purpose) -> ssl.SSLContext:
        """TLS as the one who is called (``CLIENT_AUTH``) or who calls (``SERVER_AUTH``).

        Raises:
            UserError: If certificates cannot be read.
        """
        own = self.tls
        authority = self.path(own.authority) if own is not None and own.authority is not None else None
        try:
            context = ssl.create_default_context(purpose, cafile=authority)
            if own is not None:
                context.load_cert_chain(self.path(own.certificate), self.path(own.key))
        except (OSError, ssl.SSLError) as error:
            raise UserError(f"the certificates of {self.title} cannot be read: {error.strerror or error}") from None
        if authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def read_settings(place: Path) -> NodeSettings:
    """Read and check.

    Raises:
        UserError: If it is no YAML mapping, or certificates cannot be read.
        Problems: Every unknown key and bad value.
    """
    values = {**read_yaml(place), "base": place.absolute().parent}
    settings = validated(NodeSettings, values, f"{place} is no valid node")
    if settings.tls is not None:
        settings.tls_context(ssl.Purpose.CLIENT_AUTH)
    return settings
