"""A whole reader study without readers: model observers (programs, no people) answer it through its own web page.

    python experiments/readers_demo.py results/readers-demo

Simulates a small PET cohort, restores it without training (Gaussian, non-local means, the shipped low-dose model),
makes a study of 12 cases, serves it, lets three observers read it over HTTP as the page does, exports and analyses. An
observer rates one number: how bright the rim of the head (10 to 20 mm below its surface) is against the middle, behind
a Gaussian of 6 mm. Its cut is learnt from clean images of training subjects; each observer adds a bias and noise of its
own, and may decide otherwise at a second reading. It shows that the study works from end to end, and nothing of how
people read.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[Any]
Answer = Callable[[Array, dict[str, Any]], Mapping[str, Any]]
METHODS = ("gaussian", "nlm", "pet-low-dose")
_EDGE, _RIM_MM, _MIDDLE_MM, _BAND_MM, _SMOOTH_MM = 0.25, (10, 20), (25, 60), (25, 75), 6.0
_BIASES, _NOISE, _STEP = (-0.012, 0.0, 0.012), 0.015, 0.015


def start_server(study: Path, *more: str) -> tuple["subprocess.Popen[bytes]", list[str]]:
    """A server in a process of its own on a free port, and the readers' links."""
    from taskgan.readers.study import read_study

    said = Path(tempfile.mkstemp(prefix="taskgan-serve-")[1])
    command = [sys.executable, "-m", "taskgan", "readers", "serve", str(study), *(more or ("--port", "0"))]
    with said.open("wb") as handle:
        process = subprocess.Popen(command, stdout=handle, stderr=subprocess.STDOUT)
    wanted = len(read_study(study).record.readers)
    while len(links := re.findall(r": (https?://\S+/enter/\w+)", said.read_text())) < wanted:
        if process.poll() is not None:
            raise RuntimeError(said.read_text())
        time.sleep(0.05)
    said.unlink()
    return process, links


class Visitor:
    """A reader at the address of a link, with the cookie and the token that a browser would have."""

    def __init__(self, link: str) -> None:
        place = urlsplit(link)
        self._base = HTTPConnection(place.netloc, timeout=60)
        self._headers: dict[str, str] = {}
        _, headers, _ = self.ask(place.path)
        self._headers = {"Cookie": headers["set-cookie"].split(";")[0]}
        self._headers |= {"X-CSRF": str(self.get("/api/state")["csrf"]), "Content-Type": "application/json"}

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def ask(self, path: str, values: Any = None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (in small letters) and body; a POST where there are values."""
        body = None if values is None else json.dumps(values)
        self._base.request("GET" if values is None else "POST", path, body, self._headers)
        response = self._base.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()

    def get(self, path: str, values: Any = None) -> Any:
        """What JSON says."""
        status, _, body = self.ask(path, values)
        if status != 200:
            raise RuntimeError(f"{path}: {status} {body[:300]!r}")
        return json.loads(body)

    def voxels(self, item: dict[str, Any]) -> Array:
        """(Z, Y, X) of the first channel of the open case."""
        status, _, body = self.ask(f"/api/image/{item['id']}")
        if status != 200:
            raise RuntimeError(f"image: {status}")
        values = np.frombuffer(body, f"<u{item['bits'] // 8}").reshape(*item["shape"][::-1], item["channels"])
        return values[..., 0].astype(np.float64)

    def read(self, answer: Answer, most: int | None = None, pause: float = 0.0) -> int:
        """Answer case after case, so many at most, with a pause after each request; gives how many."""
        count, state = 0, self.get("/api/state")
        while state["item"] and (most is None or count < most):
            item = state["item"]
            for question, value in answer(self.voxels(item), item).items():
                self.get("/api/answer", {"id": item["id"], "question": question, "value": value, "seconds": 2.0})
                time.sleep(pause)
            state = self.get("/api/next", {"id": item["id"], "seconds": 1.0})
            count += 1
        return count


def rim(image: Array, spacing: tuple[float, float, float]) -> float:
    """Mean of the rim of a head over that of its middle; ``image`` (Z, Y, X), edges of voxels in mm in that order."""
    smooth = ndimage.gaussian_filter(image, [_SMOOTH_MM / s for s in spacing])
    head = ndimage.binary_fill_holes(smooth > _EDGE * np.percentile(smooth, 99))
    depth = ndimage.distance_transform_edt(head, sampling=spacing)
    below_top = (np.flatnonzero(head.any((1, 2)))[-1] - np.arange(len(image)))[:, None, None] * spacing[0]
    band = (below_top > _BAND_MM[0]) & (below_top < _BAND_MM[1])
    parts = [smooth[band & (depth > low) & (depth < high)].mean() for low, high in (_RIM_MM, _MIDDLE_MM)]
    return float(parts[0] / parts[1])


def learnt_cut(cohort: Path) -> float:
    """Middle between the means of clean positive and negative training subjects."""
    from taskgan.cohort.pairs import read_pairs
    from taskgan.images.volumes import read_volume

    values: dict[float, list[float]] = {0.0: [], 1.0: []}
    for pair in read_pairs(cohort).split("train"):
        if pair.clean is not None and pair.label is not None:
            volume = read_volume(pair.clean, axes="RAS")
            x, y, z = volume.voxel_size
            values[pair.label].append(rim(volume.data.transpose(2, 1, 0), (z, y, x)))
    return float(np.mean([np.mean(v) for v in values.values()]))


def observer(number: int, cut: float) -> Answer:
    """The answers of a model observer."""
    rng = np.random.default_rng([7, number])

    def answer(voxels: Array, item: dict[str, Any]) -> dict[str, Any]:
        x, y, z = item["spacing"]
        away = rim(voxels, (z, y, x)) - cut + _BIASES[number % len(_BIASES)] + _NOISE * rng.normal()
        rough = float(np.abs(ndimage.laplace(voxels)).mean() / voxels.mean())
        sure = int(np.clip(1 + abs(away) / _STEP, 1, 5))
        noisy = ["noise"] if rough > 1.0 else []
        quality = int(np.clip(round(5 - 2 * rough), 1, 5))
        return {"decision": {"decision": int(away > 0), "confidence": sure}, "quality": quality, "artefacts": noisy}

    return answer


def prepare(work: Path) -> Path:
    """Cohort, restorations and study; what is there is kept."""
    from taskgan.readers.make import make_study
    from taskgan.readers.study import StudyPlan

    call = [sys.executable, "-m", "taskgan"]
    simulate = [
        "simulate",
        "pet",
        "cohort",
        "--subjects",
        "48",
        "--positive",
        "0.4",
        "--borderline",
        "0.3",
        "--seed",
        "11",
    ]
    commands = [simulate, *(["restore", name, "cohort", "-o", name, "--split", "test"] for name in METHODS)]
    for command in commands:
        subprocess.run([*call, *command], cwd=work, check=True)
    plan = StudyPlan(readers=("observer-1", "observer-2", "observer-3"), cases=12, washout_days=0, programs=True)
    return make_study(work / "study", work / "cohort", [f"{name}={work / name}" for name in METHODS], plan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for answers, tables and the page")
    parser.add_argument("--work", type=Path, help="folder for the cohort and the study; default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        work = options.work or Path(fresh)
        work.mkdir(parents=True, exist_ok=True)
        publish(prepare(work), learnt_cut(work / "cohort"), options.out)


def publish(study: Path, cut: float, out: Path) -> None:
    """Let the observers read, analyse, and keep what is small."""
    from taskgan.readers.analyse import analyse_study
    from taskgan.readers.answers import export_answers

    process, links = start_server(study)
    try:
        for number, link in enumerate(links):
            with Visitor(link) as visitor:
                print(f"observer {number + 1}: {visitor.read(observer(number, cut))} images", flush=True)
    finally:
        process.terminate()
        process.wait()
    export_answers(study, out / "answers", overwrite=True)
    analyse_study(study, out / "analysis", plan=0.1, overwrite=True)
    for name in ("key.csv", "order.csv"):
        shutil.copyfile(study / name, out / name)


if __name__ == "__main__":
    main()
