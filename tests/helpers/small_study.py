"""A reader study of tiny brains, and programs that answer it as the page does."""

import json
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from fake_cohort import blur, make_cohort, make_restorations, shrink

from taskgan.readers.make import make_study
from taskgan.readers.study import StudyPlan

Answer = Callable[[np.ndarray[Any, Any]], dict[str, Any]]


def small_study(folder: Path, *, test: int = 8, **plan: Any) -> Path:
    """``folder/study`` of two methods; without wash-outs unless said otherwise."""
    cohort = make_cohort(folder / "cohort", test=test)
    restored = [
        str(make_restorations(folder / name, cohort, name, change))
        for name, change in (("soft", blur(1.0)), ("pulled", shrink(0.6, 0.08)))
    ]
    return make_study(folder / "study", cohort, restored, StudyPlan(**{"washout_days": 0.0, **plan}))


def bright_rim(voxels: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Answers by how bright the upper fifth of the head is; ``voxels`` (Z, Y, X)."""
    inside = voxels[voxels > 0.1 * voxels.max()]
    sign = 8 * (np.quantile(inside, 0.8) / np.quantile(inside, 0.3) - 1.5)
    sure = int(np.clip(1 + 2 * abs(sign), 1, 5))
    return {"decision": {"decision": int(sign > 0), "confidence": sure}, "quality": sure, "artefacts": ["noise"]}


class Visitor:
    """A reader at the address of a link, with the cookie and the token that a browser would have."""

    def __init__(self, link: str) -> None:
        place = urlsplit(link)
        self._base = HTTPConnection(place.netloc, timeout=60)
        self.cookie = ""
        _, headers, _ = self.ask(place.path)
        self.cookie = headers["set-cookie"].split(";")[0]
        self.csrf = str(self.get("/api/state")["csrf"])

    def ask(self, path: str, values: Any = None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (in small letters) and body; a POST where there are values."""
        headers = {"Cookie": self.cookie}
        headers |= {"X-CSRF": self.csrf, "Content-Type": "application/json"} if values is not None else {}
        body = None if values is None else json.dumps(values)
        self._base.request("GET" if values is None else "POST", path, body, headers)
        response = self._base.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()

    def get(self, path: str, values: Any = None) -> Any:
        """What JSON says."""
        status, _, body = self.ask(path, values)
        assert status == 200, (path, status, body[:300])
        return json.loads(body)

    def voxels(self, item: dict[str, Any]) -> np.ndarray[Any, Any]:
        """(Z, Y, X) of the first channel of the open case."""
        status, _, body = self.ask(f"/api/image/{item['id']}")
        assert status == 200, body
        values = np.frombuffer(body, f"<u{item['bits'] // 8}").reshape(*item["shape"][::-1], item["channels"])
        return values[..., 0].astype(np.float64)

    def read(self, answer: Answer = bright_rim, most: int | None = None) -> int:
        """Answer case after case, so many at most; gives how many."""
        count, state = 0, self.get("/api/state")
        while state["item"] and (most is None or count < most):
            item = state["item"]
            for question, value in answer(self.voxels(item)).items():
                self.get("/api/answer", {"id": item["id"], "question": question, "value": value, "seconds": 2.0})
            state = self.get("/api/next", {"id": item["id"], "seconds": 1.0})
            count += 1
        return count


def answer_all(study: Path, answer: Answer = bright_rim, most: int | None = None) -> None:
    """Answers of every reader, without a server; so many of each at most."""
    from taskgan.readers.answers import AnswerStore
    from taskgan.readers.server import StudyDesk
    from taskgan.readers.study import read_study

    read = read_study(study)
    store = AnswerStore(study)
    desk = StudyDesk(read, store, clock=lambda: 1.8e9)
    for reader in read.record.readers:
        count, state = 0, desk.state(reader)
        while state["item"] and (most is None or count < most):
            item = state["item"]
            raw = np.frombuffer(desk.voxels(reader, item["id"]), f"<u{item['bits'] // 8}")
            given = answer(raw.reshape(*item["shape"][::-1], item["channels"])[..., 0].astype(np.float64))
            for question, value in given.items():
                desk.answer(reader, {"id": item["id"], "question": question, "value": value, "seconds": 2.0})
            state = desk.finish(reader, {"id": item["id"], "seconds": 1.0})
            count += 1
    store.close()
