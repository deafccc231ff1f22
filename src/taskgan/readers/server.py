"""``taskgan readers serve``: the study as a web page, on this machine unless another address is said.

What a browser may do: show the page with a reader's link, get the voxels of the case that is open, save an answer to
it, close it. The page holds a token against forged requests; all that is sent is JSON of bounded size.
"""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, MutableMapping
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
_A_SECOND, _AT_ONCE = 20.0, 60.0  # requests of one address and link; a fast reader makes two a second
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_COOKIE = "reader"
_LOCK = ".taskgan.serve.lock"
Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class RefusedError(Exception):
    """A request that is not done, with its status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class StudyDesk:
    """Who is where in a study, and what may be answered; knows nothing of HTTP.

    Args:
        study: The study.
        store: Its answers.
        clock: Seconds since 1970.
    """

    def __init__(self, study: ReaderStudyFolder, store: AnswerStore, clock: Callable[[], float] = time.time) -> None:
        self.study, self._store, self._clock = study, store, clock
        self._orders = {reader: study.of_reader(reader) for reader in study.record.readers}

    def public_id(self, showing: Showing) -> str:
        """What a showing is called towards the reader."""
        return self.study.sign("showing", showing.serial)

    def _now_at(self, reader: str) -> tuple[Showing | None, int, float]:
        """The open showing (None at the end or in a wash-out), how many are closed, and when the next session opens."""
        closed = self._store.closed()
        order = self._orders[reader]
        left = [one for one in order if one.serial not in closed]
        done = len(order) - len(left)
        if not left:
            return None, done, 0.0
        before = [closed[one.serial] for one in order if one.serial in closed and not one.training]
        begun = any(one.serial in closed for one in order if one.session == left[0].session)
        if before and not begun:
            opens = max(before) + 86400 * self.study.record.washout_days
            if self._clock() < opens:
                return None, done, opens
        return left[0], done, 0.0

    def state(self, reader: str) -> dict[str, Any]:
        """What the page shows now."""
        showing, done, opens = self._now_at(reader)
        record, order = self.study.record, self._orders[reader]
        session = showing.session if showing else max((o.session for o in order[:done]), default=0)
        form = record.form.model_dump(mode="json", include={"title", "instructions", "colours", "questions"})
        form["questions"] = [
            {**one, "required": question.required}
            for one, question in zip(form["questions"], record.form.questions, strict=True)
        ]
        values = {"reader": reader, "form": form, "done": done, "total": len(order), "csrf": self.csrf(reader)}
        values |= {"session": session, "sessions": record.sessions, "item": None, "answers": {}}
        values["opens"] = datetime.fromtimestamp(opens, UTC).strftime("%Y-%m-%d %H:%M UTC") if opens else None
        if showing is None:
            return values
        self._store.open(showing.serial, self._clock())
        image = self.study.image_of(showing)
        values["answers"] = self._store.last_answers(showing.serial)
        values["item"] = {
            **{"id": self.public_id(showing), "training": showing.training, "shape": image.shape},
            **{"channels": image.channels, "bits": image.bits, "spacing": image.spacing, "window": image.window},
        }
        return values

    def csrf(self, reader: str) -> str:
        """What a page of this reader's sends back with everything that changes something."""
        return self.study.sign("csrf", reader)

    def reader_of(self, token: str) -> str | None:
        """Whose link or cookie it is."""
        given = token.encode("utf-8", "replace")
        found = [r for r in self._orders if hmac.compare_digest(self.study.token(r).encode(), given)]
        return found[0] if found else None

    def _open_showing(self, reader: str, name: object) -> Showing:
        """The reader's open showing, if it is the one that is named."""
        showing = self._now_at(reader)[0]
        if showing is None or name != self.public_id(showing):
            known = any(name == self.public_id(one) for one in self._orders[reader])
            raise RefusedError(409 if known else 404, "this case is not open")
        return showing

    def voxels(self, reader: str, name: str) -> bytes:
        """The stored values of the open showing's image."""
        showing = self._open_showing(reader, name)
        image = self.study.image_of(showing)
        raw = (self.study.folder / IMAGES / image.name).read_bytes()
        if len(raw) != image.size:
            raise RefusedError(500, "the image is not the one that the study was made with")
        return raw

    def answer(self, reader: str, values: dict[str, Any]) -> None:
        """Save an answer to the open showing."""
        showing = self._open_showing(reader, values.get("id"))
        question = self.study.form.question(str(values.get("question")))
        if question is None:
            raise RefusedError(422, "there is no such question")
        wrong = question.check(values.get("value"), self.study.image_of(showing).shape)
        if wrong:
            raise RefusedError(422, wrong)
        now = self._clock()
        if not self._store.save(showing.serial, question.id, values["value"], now, _seconds(values)):
            raise RefusedError(409, "this case is not open")

    def finish(self, reader: str, values: dict[str, Any]) -> dict[str, Any]:
        """Close the open showing; one that is closed already stays as it is. Gives the new state, and after training
        the truth."""
        try:
            showing = self._open_showing(reader, values.get("id"))
        except RefusedError as error:
            if error.status != 409:
                raise
            return self.state(reader)
        given = self._store.last_answers(showing.serial)
        absent = [one.text for one in self.study.form.questions if one.required and one.id not in given]
        if absent:
            raise RefusedError(422, f"not answered yet: {', '.join(absent)}")
        self._store.finish(showing.serial, self._clock(), _seconds(values))
        return self.state(reader) | ({"feedback": self._feedback(showing, given)} if showing.training else {})

    def _feedback(self, showing: Showing, given: dict[str, Any]) -> dict[str, Any]:
        image, question = self.study.image_of(showing), self.study.form.of_type("decision")[0]
        right = given[question.id]["decision"] == image.truth
        lesions = [[round(v) for v in one[:3]] for one in self.study.lesions.get(image.case, [])]
        return {"right": right, "truth": question.positive if image.truth else question.negative, "lesions": lesions}


def _seconds(values: dict[str, Any]) -> float:
    """For how long the page was looked at since it last said so; at most an hour."""
    spent = values.get("seconds", 0)
    if isinstance(spent, bool) or not isinstance(spent, int | float) or not 0 <= spent < 1e9:
        raise RefusedError(422, "seconds are no number")
    return min(float(spent), 3600.0)


class RateLimit:
    """So many requests a second of each who asks, some more at once (a token bucket)."""

    def __init__(self, a_second: float = _A_SECOND, at_once: float = _AT_ONCE) -> None:
        self._rate, self._most = a_second, at_once
        self._left: dict[str, tuple[float, float]] = {}

    def takes(self, who: str, cost: float = 1.0) -> bool:
        """Whether one more is let through."""
        now = time.monotonic()
        if len(self._left) > 10_000:
            self._left = {k: v for k, v in self._left.items() if now - v[1] < 60}
        left, last = self._left.get(who, (self._most, now))
        left = min(self._most, left + (now - last) * self._rate)
        self._left[who] = (left - cost if left >= cost else left, now)
        return left >= cost


def _asset(name: str) -> str:
    return (resources.files("taskgan.readers") / "page" / name).read_text(encoding="utf-8")


def make_app(desk: StudyDesk, *, hosts: tuple[str, ...] = (), secure: bool = False) -> Any:
    """The web application.

    Args:
        desk: The study.
        hosts: Names that a request may be sent to; any where empty.
        secure: It is served by TLS: cookies are for TLS alone.
    """
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
    from starlette.routing import Route

    page, script = _asset("reader.html"), _asset("reader.js")
    limit, strangers = RateLimit(), RateLimit(1.0, 20.0)

    def reader(request: Request) -> str:
        """Who asks."""
        found = desk.reader_of(request.cookies.get(_COOKIE, ""))
        address = request.client.host if request.client else ""
        if found is None and not strangers.takes(address):
            raise RefusedError(429, "too many requests")
        if found is None:
            raise RefusedError(401, "open the link that you were given")
        if not limit.takes(f"{address} {found}"):
            raise RefusedError(429, "too many requests; wait a moment")
        return found

    async def enter(request: Request) -> Response:
        """A link: who holds it is its reader from now on, in this browser."""
        address = request.client.host if request.client else ""
        token = request.path_params["token"]
        if desk.reader_of(token) is None:
            status = 404 if strangers.takes(address) else 429
            return HTMLResponse("<p>This link is not valid.</p>", status)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            _COOKIE, token, max_age=365 * 86400, httponly=True, samesite="lax", secure=secure, path="/"
        )
        return answer

    async def show(request: Request) -> Response:
        """The page, the same for all."""
        return HTMLResponse(page)

    async def code(request: Request) -> Response:
        """Its script."""
        return Response(script, media_type="text/javascript")

    async def state(request: Request) -> Response:
        """Where the reader is."""
        return JSONResponse(await run_in_threadpool(desk.state, reader(request)))

    async def image(request: Request) -> Response:
        """Voxels. No time stamp or tag of the file goes with them."""
        who, name = reader(request), request.path_params["name"]
        return Response(await run_in_threadpool(desk.voxels, who, name), media_type="application/octet-stream")

    async def change(request: Request) -> Response:
        """An answer, or the end of a case."""
        who = reader(request)
        values = await _sent(request, desk.csrf(who))
        if request.url.path == "/api/answer":
            await run_in_threadpool(desk.answer, who, values)
            return JSONResponse({"saved": True})
        return JSONResponse(await run_in_threadpool(desk.finish, who, values))

    async def refused(request: Request, error: Exception) -> Response:
        """What is not done, in a sentence."""
        status = error.status if isinstance(error, RefusedError) else 500
        return JSONResponse({"error": str(error)}, status)

    routes = [
        Route("/", show),
        Route("/reader.js", code),
        Route("/enter/{token}", enter),
        Route("/api/state", state),
        Route("/api/image/{name}", image),
        Route("/api/answer", change, methods=["POST"]),
        Route("/api/next", change, methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={RefusedError: refused})
    return _Guard(app, page, hosts)


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
        raise RefusedError(422, "no JSON") from None
    if not isinstance(values, dict):
        raise RefusedError(422, "expected an object")
    return values


class _Guard:
    """Around the application: known hosts only, and headers that let a page do nothing but read cases."""

    def __init__(self, app: Any, page: str, hosts: tuple[str, ...]) -> None:
        style = page.partition("<style>")[2].partition("</style>")[0]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        policy = (
            f"default-src 'none'; script-src 'self'; style-src 'sha256-{digest}'; connect-src 'self'; img-src data:; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self._app, self._hosts = app, hosts
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        host = dict(scope.get("headers", [])).get(b"host", b"").decode("latin-1").rpartition("]")
        name = host[0].lstrip("[") or host[2].partition(":")[0]
        if scope["type"] == "http" and self._hosts and name not in self._hosts:
            await sent({"type": "http.response.start", "status": 421, "headers": []})
            await send({"type": "http.response.body", "body": b"another host"})
            return
        await self._app(scope, receive, sent)


def serve_study(
    study: PathLike, *, host: str = "127.0.0.1", port: int = 8765, cert: Path | None = None, key: Path | None = None
) -> None:
    """Serve until it is ended; killed or not, it goes on where it was.

    Args:
        study: The study's folder.
        host: Address to listen on.
        port: 0 takes a free one.
        cert: TLS certificate, PEM.
        key: Its private key, PEM.

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
        except (OSError, ssl.SSLError) as error:
            raise UserError(f"{cert} and {key} are no certificate with its key (PEM): {error}") from None
    with locked(Path(study), "answers", name=_LOCK), _listening(host, port) as listener:
        store = AnswerStore(Path(study))
        desk = StudyDesk(read, store)
        app = make_app(desk, hosts=_LOOPBACK if host in _LOOPBACK else (), secure=cert is not None)
        address = f"[{host}]" if ":" in host else host
        base = f"{'https' if cert else 'http'}://{address}:{listener.getsockname()[1]}"
        if cert is None and host not in _LOOPBACK:
            say("note: without --tls-cert anyone on the way can read along and answer; use it beyond a closed network")
        for reader in read.record.readers:
            say(f"{reader}: {base}/enter/{read.token(reader)}")
        options: dict[str, Any] = {"lifespan": "off", "ws": "none", "http": "h11", "server_header": False}
        options |= {"log_level": "warning", "access_log": False, "limit_concurrency": 200, "proxy_headers": False}
        options |= {"ssl_certfile": cert, "ssl_keyfile": key, "timeout_graceful_shutdown": 5}
        try:
            uvicorn.Server(uvicorn.Config(app, **options)).run(sockets=[listener])
        finally:
            store.close()


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        raise UserError(f"{host}:{port} cannot be listened on: {error}") from None
    return listener
