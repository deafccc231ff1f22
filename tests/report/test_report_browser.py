"""The page in a real browser, with no network: every picture loads and nothing is wider than the window."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from taskgan.report.run import compare

CHROMIUM = next((p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None)
PROBE = """<script>addEventListener("load", () => {
  const images = [...document.images];
  const broken = images.filter(i => !i.complete || !i.naturalWidth).length;
  const wide = document.documentElement.scrollWidth > innerWidth;
  document.title = `images ${images.length} broken ${broken} wide ${wide}`;
});</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_every_picture_loads_and_the_page_fits_a_laptop(evaluations: list[Path], tmp_path: Path) -> None:
    compare(evaluations, tmp_path / "report")
    page = tmp_path / "probed.html"
    page.write_text((tmp_path / "report" / "report.html").read_text(encoding="utf-8") + PROBE, encoding="utf-8")
    flags = (
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --window-size=1280,900 --virtual-time-budget=5000"
    )
    command = [str(CHROMIUM), *flags.split(), "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<title>images (\d+) broken (\d+) wide (\w+)</title>", done.stdout)
    assert found, done.stdout[:500]
    images, broken, wide = found.groups()
    assert int(images) >= 4
    assert (broken, wide) == ("0", "false")
