"""A headless Chromium that is driven: pages opened, keys and the mouse pressed, through DevTools over two pipes."""

import base64
import json
import os
import select
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from browser import CHROMIUM

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --window-size=1280,800 --remote-debugging-pipe"
)


class PageLeft(Exception):
    """A page that was asked something went to another one before it answered."""


class DrivenBrowser:
    """One browser with a profile of its own, and one page in it.

    Args:
        folder: For the profile.
    """

    def __init__(self, folder: Path) -> None:
        (read_3, self._to), (self._from, write_4) = os.pipe(), os.pipe()
        # Chromium reads from descriptor 3 and writes to 4.
        script = f'exec 3<&{read_3} 4>&{write_4}; exec "$0" "$@"'
        command = ["bash", "-c", script, str(CHROMIUM), *_FLAGS.split(), f"--user-data-dir={folder}"]
        self._process = subprocess.Popen(
            command, pass_fds=(read_3, write_4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(read_3)
        os.close(write_4)
        self._number, self._rest, self._session = 0, b"", ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def __enter__(self) -> "DrivenBrowser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def ask(self, method: str, **values: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and wait for what it gives."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": values}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                # A question of the page (before it is left, say) would be waited for without end.
                assert select.select([self._from], [], [], 120)[0], f"no answer to {method} in 120 s"
                part = os.read(self._from, 1 << 20)
                if not part:
                    raise RuntimeError("the browser has ended")
                self._rest += part
            one, _, self._rest = self._rest.partition(b"\0")
            found = json.loads(one)
            if found.get("id") == self._number:
                if "navigated" in str(found.get("error", "")):
                    raise PageLeft(method)
                assert "error" not in found, found
                return dict(found["result"])

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives on the page."""
        values = {"returnByValue": True, "awaitPromise": True, "replMode": True}  # const may be said again
        found = self.ask("Runtime.evaluate", expression=expression, **values)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression: str, seconds: float = 30) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self._is_true(expression):
            assert time.monotonic() < end, f"not true in {seconds:g} s: {expression}"
            time.sleep(0.02)

    def _is_true(self, expression: str) -> bool:
        try:
            return bool(self.value(f"Boolean({expression})"))
        except PageLeft:  # the next page is asked
            return False

    def open(self, url: str) -> None:
        """Go to a page."""
        self.ask("Page.navigate", url=url)

    def press(self, key: str) -> None:
        """A key, named as in ``KeyboardEvent.key``."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, selector: str, *, times: int = 1, at: tuple[float, float] = (0.5, 0.5)) -> None:
        """The left button, at a share of an element's width and height."""
        found = f"const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'nearest'}})"
        box = self.value(f"{found}; (b => [b.x, b.y, b.width, b.height])(e.getBoundingClientRect())")
        x, y = box[0] + at[0] * box[2], box[1] + at[1] * box[3]
        for count in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=count)

    def picture(self, path: Path) -> None:
        """Save what is seen as PNG."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot")["data"]))
