"""The audit's page in a real browser, with no network."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from taskgan.audit.run import Audit

CHROMIUM = next((p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None)
PROBE = """<script>addEventListener("load", () => {
  const images = [...document.images];
  const broken = images.filter(i => !i.complete || !i.naturalWidth).length;
  const lost = [...document.querySelectorAll("nav a")].filter(a => !document.querySelector(a.hash)).length;
  const wide = document.documentElement.scrollWidth > innerWidth;
  document.title = `images ${images.length} broken ${broken} wide ${wide} lost ${lost}`;
});</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_every_picture_loads_and_the_page_fits_a_laptop(audited: Audit, tmp_path: Path) -> None:
    page = tmp_path / "probed.html"
    page.write_text(audited.page.read_text(encoding="utf-8") + PROBE, encoding="utf-8")
    flags = (
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --window-size=1280,900 --virtual-time-budget=5000"
    )
    command = [str(CHROMIUM), *flags.split(), "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<title>images (\d+) broken (\d+) wide (\w+) lost (\d+)</title>", run.stdout)
    assert found, run.stdout[:500]
    assert found.groups() == ("6", "0", "false", "0")  # three cases, three charts
