"""Pages in a headless Chromium without a network: what is in them, and whether anything in them was executed."""

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next((p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1280,900 --virtual-time-budget=5000"
)
_PROBE = """<script>addEventListener("load", () => setTimeout(() => {
  const all = [...document.querySelectorAll("*")];
  const tags = {};
  all.forEach(e => tags[e.localName] = (tags[e.localName] || 0) + 1);
  const listens = e => [...e.attributes].some(a => a.name.startsWith("on"));
  const links = a => /^\\s*(javascript|data|vbscript):/i.test(a.getAttribute("href") || "");
  const images = [...document.images];
  document.title = "probe " + JSON.stringify({
    executed: (window.hit || 0) + (document.title === "hit" ? 1 : 0),
    tags: tags,
    listening: all.filter(listens).length,
    links: all.filter(links).length,
    images: images.length,
    broken: images.filter(i => !i.complete || !i.naturalWidth).length,
    wide: document.documentElement.scrollWidth > innerWidth,
    lost: [...document.querySelectorAll("nav a")].filter(a => !document.querySelector(a.hash)).length,
  });
}, 300));</script>"""
HOSTILE = (
    "<script>window.hit=1</script>",
    "</style><script>document.title='hit'</script>",
    "<img src=x onerror=window.hit=1>",
    "\"><svg onload=window.hit=1>",
    "' onmouseover='window.hit=1' x='",
    "javascript:window.hit=1",
    "<a href=\"javascript:window.hit=1\">x</a>",
    "<iframe srcdoc='<script>parent.hit=1</script>'>",
    "</title><script>window.hit=1</script>",
    "{{ 7*7 }}{% raw %}",
    "<!-- <script>",
    "&lt;script&gt;window.hit=1&lt;/script&gt;",
)  # fmt: skip


def probed(page: Path, folder: Path) -> dict[str, Any]:
    """What a browser makes of a page: counts of elements by name, of what was executed, of pictures.

    Args:
        page: HTML.
        folder: To write to.
    """
    copy = folder / "probed.html"
    copy.write_text(page.read_text(encoding="utf-8") + _PROBE, encoding="utf-8")
    command = [str(CHROMIUM), *_FLAGS.split(), "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += [f"--user-data-dir={folder / 'profile'}", "--dump-dom", copy.as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    title = re.search(r"<title>probe (.*?)</title>", run.stdout)
    assert title, run.stdout[:500]
    return dict(json.loads(unescape(title[1])))


def hostile(number: int, *, file_name: bool = False) -> str:
    """A name that would be executed, were it markup; another one for each number.

    Args:
        number: Which.
        file_name: One that files can be called after, as cases are.
    """
    names = [name for name in HOSTILE if not file_name or "/" not in name]
    return f"{names[number % len(names)]}{number}"


def rewrite(table: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """Change every row of a CSV."""
    with table.open(newline="") as handle:
        rows = [change(row) for row in csv.DictReader(handle)]
    with table.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def assert_same_markup(hostile_page: Path, harmless_page: Path, folder: Path) -> None:
    """Nothing in the hostile page was executed, and it has the elements of the harmless one, no more and no fewer."""
    for name in ("one", "other"):
        (folder / name).mkdir(parents=True)
    one, other = probed(hostile_page, folder / "one"), probed(harmless_page, folder / "other")
    assert (one["executed"], one["listening"], one["links"], one["broken"]) == (0, 0, 0, 0)
    assert one["tags"] == other["tags"]
