"""What a node is doing: for ``taskgan node status`` and a small page. Keys and counts, of patients nothing."""

import html
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from taskgan.core.console import duration
from taskgan.core.errors import UserError
from taskgan.node.queue import STATES, Queue
from taskgan.node.settings import NodeSettings

_HEADS = ("key", "state", "images", "since", "tries", "reason")
_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="10">'
    "<title>{title}</title><style>body{{font:15px sans-serif;margin:2em}}td{{padding:.3em 1em}}</style>"
    "</head><body><h1>{title}</h1><p>{counts}</p><table>{rows}</table></body></html>"
)


def summary(settings: NodeSettings, queue: Queue) -> dict[str, Any]:
    """Counts of series by state, whether more is accepted, and every series that is not done and why it waits."""
    rows = []
    for state in (state for state in STATES if state != "done"):
        for key in queue.keys(state):
            try:
                count, reason, _ = queue.tries(state, key)
                since = duration(time.time() - queue.place(state, key).stat().st_mtime)
            except (OSError, UserError):  # it has just moved on
                continue
            values = (key, state, len(queue.images(state, key)), since, count, reason)
            rows.append(dict(zip(_HEADS, values, strict=True)))
    counts = {state: len(queue.keys(state)) for state in STATES}
    return {"title": settings.title, "counts": counts, "full": queue.is_full(), "series": rows}


def status_lines(settings: NodeSettings, queue: Queue, holder: str) -> list[str]:
    """A screenful; ``holder`` is the process that serves, empty where there is none."""
    values, running = summary(settings, queue), f"run by {holder}" if holder else "not running"
    lines = [f"node {settings.title} at {settings.host}:{settings.port}, {running}", f"  {_counts(values)}"]
    for row in values["series"]:
        tried = f", {row['tries']} tries: {row['reason']}" if row["tries"] else ""
        lines.append(f"  {row['key']}  {row['state']}, {row['images']} images, since {row['since']}{tried}")
    return lines


def _counts(values: dict[str, Any]) -> str:
    text = ", ".join(f"{count} {state}" for state, count in values["counts"].items())
    return text + ("; nothing more is accepted, the disk is full" if values["full"] else "")


def _page(values: dict[str, Any]) -> str:
    table = [dict(zip(_HEADS, _HEADS, strict=True)), *values["series"]]
    cells = ("".join(f"<td>{html.escape(str(row[head]))}</td>" for head in _HEADS) for row in table)
    rows = "".join(f"<tr>{row}</tr>" for row in cells)
    return _PAGE.format(title=html.escape(values["title"]), counts=_counts(values), rows=rows)


@contextmanager
def status_page(settings: NodeSettings, queue: Queue) -> Iterator[None]:
    """Serve the page and ``/status.json`` during the block, where the settings name a port; else a UserError."""

    class Handler(BaseHTTPRequestHandler):
        """Reads; nothing can be changed."""

        def do_GET(self) -> None:
            """The page, or JSON."""
            kind = {"/": "text/html", "/status.json": "application/json"}.get(self.path)
            values = summary(settings, queue)
            body = (_page(values) if kind == "text/html" else json.dumps(values) if kind else "").encode()
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", f"{kind or 'text/plain'}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    if not settings.status_port:
        yield
        return
    place = (settings.status_host, settings.status_port)
    try:
        server = ThreadingHTTPServer(place, Handler)
    except OSError as error:
        raise UserError(f"{place[0]}:{place[1]} cannot be listened at: {error.strerror}") from None
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
