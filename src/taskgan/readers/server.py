"""``taskgan readers serve``: a page for who has a reader's link, on this machine unless another address is said.

It shows the open case, saves answers and closes it; nothing else, and nothing of other cases, can be asked for.
"""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from taskgan.core.console import say
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike
from taskgan.core.lock import locked
from taskgan.readers.answers import AnswerStore
from taskgan.readers.study import IMAGES, ReaderStudyFolder, Showing, read_study

MAX_BODY = 64 * 1024
"""Bytes that a request may send; a case's remarks are far shorter."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class RefusedError(Exception):
    """A request that is not done, with its status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class StudyDesk:
    """Who is where in a study, and what may be answered; knows nothing of HTTP. The clock gives seconds since 1970."""

    def __init__(self, study: ReaderStudyFolder, store: AnswerStore, clock: Callable[[], float] = time.time) -> None:
        self.study, self._store, self._clock = study, store, clock
        self._orders = {reader: study.of_reader(reader) for reader in study.record.readers}

    def token(self, reader: str) -> str:
        """What a reader's link ends in."""
        return self.study.sign("link", reader)

    def reader_of(self, token: str) -> str | None:
        """Whose link or cookie it is."""
        given = token.encode("utf-8", "replace")
        return next((r for r in self._orders if hmac.compare_digest(self.token(r).encode(), given)), None)

    def _public_id(self, showing: Showing) -> str:
        return self.study.sign("showing", showing.serial)

    def _place(self, reader: str) -> tuple[Showing | None, int, float]:
        """The open showing (None at the end or in a wash-out), how many are closed, and when the next session opens."""
        closed, order = self._store.closed(), self._orders[reader]
        done = [one for one in order if one.serial in closed]
        left = next((one for one in order if one.serial not in closed), None)
        before = [closed[one.serial] for one in done if not one.training]
        if left and before and all(one.session != left.session for one in done):
            opens = max(before) + 86400 * self.study.record.washout_days
            if self._clock() < opens:
                return None, len(done), opens
        return left, len(done), 0.0

    def state(self, reader: str) -> dict[str, Any]:
        """What the page shows now."""
        showing, done, opens = self._place(reader)
        form = self.study.form.model_dump(mode="json", include={"title", "instructions", "colours", "questions"})
        values = {"reader": reader, "form": form, "done": done, "total": len(self._orders[reader]), "item": None}
        sessions = self.study.record.passes(len(self.study.record.methods))
        values |= {"csrf": self.study.sign("csrf", reader), "sessions": sessions}
        values["opens"] = datetime.fromtimestamp(opens, UTC).strftime("%Y-%m-%d %H:%M UTC") if opens else None
        if showing is None:
            return values
        self._store.open(showing.serial, self._clock())
        image = self.study.images[showing.image]
        item = {"id": self._public_id(showing), "training": showing.training, "session": showing.session}
        item |= {"shape": image.shape, "spacing": image.spacing, "window": (image.window_low, image.window_high)}
        item |= {"channels": int(image.channels), "bits": int(image.bits)}
        return values | {"item": item, "answers": self._store.last_answers(showing.serial)}

    def _open_showing(self, reader: str, name: object) -> Showing:
        """The reader's open showing, if it is the one that is named."""
        showing = self._place(reader)[0]
        if showing is None or name != self._public_id(showing):
            raise RefusedError(409, "this case is not open")
        return showing

    def voxels(self, reader: str, name: str) -> bytes:
        """The stored values of the open showing's image."""
        return (self.study.folder / IMAGES / self._open_showing(reader, name).image).read_bytes()

    def answer(self, reader: str, values: dict[str, Any]) -> dict[str, Any]:
        """Save an answer to the open showing."""
        showing = self._open_showing(reader, values.get("id"))
        question = next((one for one in self.study.form.questions if one.id == values.get("question")), None)
        value = values.get("value")
        if question is None or not question.accepts(value, self.study.images[showing.image].shape):
            raise RefusedError(422, "no answer to a question of this study")
        if not self._store.save(showing.serial, question.id, value, self._clock(), _seconds(values)):
            raise RefusedError(409, "this case is not open")
        return {"saved": True}

    def finish(self, reader: str, values: dict[str, Any]) -> dict[str, Any]:
        """Close the open showing; one that is closed stays as it is. The new state, after training with the truth."""
        closed = self._store.closed()
        if any(values.get("id") == self._public_id(one) and one.serial in closed for one in self._orders[reader]):
            return self.state(reader)
        showing = self._open_showing(reader, values.get("id"))
        given = self._store.last_answers(showing.serial)
        needed = [*self.study.form.of_type("decision"), *self.study.form.of_type("likert")]
        absent = [one.text for one in needed if one.id not in given]
        if absent:
            raise RefusedError(422, f"not answered yet: {', '.join(absent)}")
        self._store.finish(showing.serial, self._clock(), _seconds(values))
        if not showing.training:
            return self.state(reader)
        image, question = self.study.images[showing.image], self.study.form.of_type("decision")[0]
        truth = question.positive if image.truth else question.negative
        lesions = [[round(v) for v in (one.x, one.y, one.z)] for one in self.study.lesions_of(image)]
        right = given[question.id]["decision"] == image.truth
        return {**self.state(reader), "feedback": {"right": right, "truth": truth, "lesions": lesions}}


def _seconds(values: dict[str, Any]) -> float:
    """For how long the page was looked at since it last said so; at most an hour."""
    spent = values.get("seconds", 0)
    if isinstance(spent, bool) or not isinstance(spent, int | float) or not 0 <= spent < 1e9:
        raise RefusedError(422, "seconds are no number")
    return min(float(spent), 3600.0)


class RateLimit:
    """So many requests a second of each who asks, some more at once (a token bucket)."""

    def __init__(self, a_second: float, at_once: float) -> None:
        self._rate, self._most = a_second, at_once
        self._left: dict[str, tuple[float, float]] = {}

    def check(self, who: str) -> None:
        """Let one more through, or refuse it."""
        now = time.monotonic()
        if len(self._left) > 10_000:
            self._left.clear()
        left, last = self._left.get(who, (self._most, now))
        left = min(self._most, left + (now - last) * self._rate)
        self._left[who] = (left - (left >= 1), now)
        if left < 1:
            raise RefusedError(429, "too many requests; wait a moment")


def make_app(desk: StudyDesk, *, hosts: tuple[str, ...] = (), secure: bool = False) -> Any:
    """The web application (ASGI), for requests to these hosts (to any where empty); ``secure`` where TLS serves it."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
    from starlette.routing import Route

    assets = resources.files("taskgan.readers") / "page"
    page, script = ((assets / name).read_text(encoding="utf-8") for name in ("reader.html", "reader.js"))
    known, strangers = RateLimit(20.0, 60.0), RateLimit(1.0, 20.0)

    def _reader(request: Request, token: str) -> str:
        address = request.client.host if request.client else ""
        reader = desk.reader_of(token)
        (strangers if reader is None else known).check(f"{address} {reader}")
        if reader is None:
            raise RefusedError(401, "open the link that you were given")
        return reader

    async def _enter(request: Request) -> Response:
        token = request.path_params["token"]
        _reader(request, token)
        answer = RedirectResponse("/", 303)
        answer.set_cookie("reader", token, max_age=365 * 86400, httponly=True, samesite="lax", secure=secure)
        return answer

    def _asked(work: Callable[[str, Any], Any], *, changes: bool = False) -> Callable[[Request], Awaitable[Response]]:
        async def _answer(request: Request) -> Response:
            who = _reader(request, request.cookies.get("reader", ""))
            what = await _sent(request, desk.study.sign("csrf", who)) if changes else request.path_params.get("name")
            answer = await run_in_threadpool(work, who, what)
            return Response(answer) if isinstance(answer, bytes) else JSONResponse(answer)

        return _answer

    routes = [
        Route("/", lambda _: HTMLResponse(page)),
        Route("/reader.js", lambda _: Response(script, media_type="text/javascript")),
        Route("/enter/{token}", _enter),
        Route("/api/state", _asked(lambda who, _: desk.state(who))),
        Route("/api/image/{name}", _asked(desk.voxels)),
        Route("/api/answer", _asked(desk.answer, changes=True), methods=["POST"]),
        Route("/api/next", _asked(desk.finish, changes=True), methods=["POST"]),
    ]
    headers = _headers(page)

    async def _guarded(request: Request, call_next: Any) -> Any:
        answer = await call_next(request)
        answer.headers.update(headers)
        return answer

    guards = [Middleware(BaseHTTPMiddleware, dispatch=_guarded)]
    guards.append(Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts) or ["*"]))
    refused: Any = {RefusedError: lambda _, error: JSONResponse({"error": str(error)}, error.status)}
    return Starlette(routes=routes, middleware=guards, exception_handlers=refused)


async def _sent(request: Any, csrf: str) -> dict[str, Any]:
    """The JSON of a request that this server's own page has sent."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise RefusedError(403, "the request comes from another page")
    if not hmac.compare_digest(request.headers.get("x-csrf", "").encode(), csrf.encode()):
        raise RefusedError(403, "the request lacks the page's token")
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise RefusedError(415, "expected JSON")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise RefusedError(413, f"more than {MAX_BODY} bytes")
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise RefusedError(422, "expected a JSON object")
    return values


def _headers(page: str) -> dict[str, str]:
    """Headers that let the page do nothing but read cases; no time stamp or tag of a file goes with an image."""
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'sha256-{digest}'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    named = {"content-security-policy": policy, "x-content-type-options": "nosniff", "cache-control": "no-store"}
    return named | {"referrer-policy": "no-referrer", "cross-origin-resource-policy": "same-origin"}


def serve_study(
    study: PathLike, *, host: str = "127.0.0.1", port: int = 8765, cert: Path | None = None, key: Path | None = None
) -> None:
    """Serve until it is ended; called again it goes on where it was. Port 0 is a free one; certificate and key are PEM.

    Raises:
        UserError: If the extra is not installed, the study is not whole or served already, or the address is taken.
    """
    absent = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if absent:
        raise UserError(f"serving needs {' and '.join(absent)}, not installed here: pip install 'taskgan[readers]'")
    import uvicorn

    read = read_study(Path(study), images=True)
    if (cert is None) != (key is None):
        raise UserError("--tls-cert and --tls-key belong together; only one of them was said")
    if cert is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
        except OSError as error:
            raise UserError(f"{cert} and {key} are no certificate with its key (PEM): {error}") from None
    with locked(Path(study), "answers", name=".taskgan.serve.lock"), _listening(host, port) as listener:
        store = AnswerStore(Path(study))
        desk = StudyDesk(read, store)
        app = make_app(desk, hosts=_LOOPBACK if host in _LOOPBACK else (), secure=cert is not None)
        if cert is None and host not in _LOOPBACK:
            say("note: without --tls-cert anyone on the way can read along and answer; use it beyond a closed network")
        base = f"{'https' if cert else 'http'}://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        for reader in read.record.readers:
            say(f"{reader}: {base}/enter/{desk.token(reader)}")
        options: dict[str, Any] = {"lifespan": "off", "ws": "none", "http": "h11", "server_header": False}
        options |= {"log_level": "warning", "access_log": False, "limit_concurrency": 200, "proxy_headers": False}
        options |= {"ssl_certfile": cert, "ssl_keyfile": key, "timeout_graceful_shutdown": 5}
        try:
            uvicorn.Server(uvicorn.Config(app, **options)).run(sockets=[listener])
        finally:
            store.close()


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise UserError(f"{host}:{port} cannot be listened on: {error}") from None
    return listener
