"""The disk queue: a folder a series, whose place says what comes next, so that a kill at any moment loses nothing.

``receiving/KEY`` → ``restoring/KEY`` → ``sending/KEY`` → ``done/KEY``, or ``failed/KEY``; images that come after
their series was restored lie in ``late/KEY``. KEY is a digest: no name on disk is a patient's. In each folder are
``in/`` (the images), ``job.yaml``, ``whole.yaml`` (the marker with checksums of a series that is whole) and ``out/``
(the result).
"""

import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from taskgan.core.artefact import commit, differing
from taskgan.core.files import atomic, atomic_folder, read_yaml, value_digest, write_yaml
from taskgan.core.settings import validated
from taskgan.node.settings import Route

STATES = ("receiving", "restoring", "sending", "done", "failed", "late")
_JOB, _WHOLE, _RELEASED, _TRIES, _SENT = "job.yaml", "whole.yaml", "released", "tries.yaml", "sent.yaml"
LOG = "restore.log"
_LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True)
class SeriesJob:
    """A series on its way: what is done with it, and its StudyInstanceUID and SeriesInstanceUID."""

    route: Route
    study: str
    series: str

    @property
    def key(self) -> str:
        """Name of its folder."""
        return value_digest({"route": self.route.model_dump(mode="json"), "series": self.series}, 16)


def image_name(instance: str) -> str:
    """File of an image: a digest of its SOPInstanceUID."""
    return f"{hashlib.sha256(instance.encode()).hexdigest()[:32]}.dcm"


class Queue:
    """The folders of all series. One process holds it at a time; its threads take turns."""

    def __init__(self, folder: Path, free_gb: float = 0.0) -> None:
        self.folder, self._free, self.lock = folder, free_gb * 1e9, RLock()

    def is_full(self) -> bool:
        """Whether the watermark is reached."""
        return self.folder.is_dir() and shutil.disk_usage(self.folder).free < self._free

    def keys(self, state: str) -> list[str]:
        """Series in a state, in the order in which they came there."""
        places = [place for place in (self.folder / state).glob("[!.]*") if place.is_dir()]
        return [place.name for place in sorted(places, key=lambda p: (p.stat().st_mtime_ns, p.name))]

    def place(self, state: str, key: str) -> Path:
        """Folder of a series."""
        return self.folder / state / key

    def find(self, key: str) -> str | None:
        """State of a series; None where it is unknown."""
        return next((s for s in STATES[:-1] if self.place(s, key).is_dir()), None)

    def job(self, state: str, key: str) -> SeriesJob:
        """What ``job.yaml`` says."""
        values = read_yaml(self.place(state, key) / _JOB)
        return SeriesJob(validated(Route, values["route"], f"{key} is no series"), values["study"], values["series"])

    def images(self, state: str, key: str, part: str = "in") -> list[Path]:
        """The images of a series that are there; of the part ``out`` those that were made of it."""
        return sorted((self.place(state, key) / part).rglob("[!.]*.dcm"))

    def store(self, job: SeriesJob, instance: str, content: bytes) -> bool:
        """Take an image; it is on the disk when this returns. False where it was there already.

        Of a series that failed, any image that comes again takes it up where it failed. Images that are new to a series
        that was restored are set aside: it is restored once. Of what the disk does not take (OSError) nothing stays.
        """
        name = image_name(instance)
        with self.lock:
            state = self.find(job.key)
            if state == "failed":
                (self.place(state, job.key) / _TRIES).unlink(missing_ok=True)
                sendable = self.images(state, job.key, "out") and self.is_as_marked(state, job.key)
                state = self.move(job.key, state, "sending") if sendable else self.back(job.key, state)
            if state in ("sending", "done"):
                known = read_yaml(self.place(state, job.key) / (_SENT if state == "done" else _WHOLE))
                if f"in/{name}" in known.get("images", known["files"]):
                    return False
                state = "late"
            place = self.place(state or "receiving", job.key)
            if not place.is_dir():
                with atomic_folder(place) as partial:
                    values = {"route": job.route.model_dump(mode="json"), "study": job.study, "series": job.series}
                    write_yaml(partial / _JOB, values)
                    (partial / "in").mkdir()
            if (place / "in" / name).exists():
                return False
            (place / _RELEASED).unlink(missing_ok=True)
            with atomic(place / "in" / name) as file:
                file.write_bytes(content)
            return True

    def back(self, key: str, state: str) -> str:
        """Let a series be received again: its result is not that of all its images."""
        for name in (_WHOLE, _TRIES, LOG):
            (self.place(state, key) / name).unlink(missing_ok=True)
        shutil.rmtree(self.place(state, key) / "out", ignore_errors=True)
        return self.move(key, state, "receiving")

    def released(self, key: str, *, whole: bool) -> None:
        """An association that brought images of a series has ended, ``whole`` if it was released and brought something
        new or all that is there.
        """
        with self.lock:
            if (state := self.find(key)) in ("receiving", "restoring"):
                mark = self.place(str(state), key) / _RELEASED
                mark.touch() if whole else mark.unlink(missing_ok=True)

    def quiet_s(self, key: str) -> float:
        """Time since the last image of a series that is received."""
        times = [path.stat().st_mtime for path in self.images("receiving", key)]
        return time.time() - max(times) if times else 0.0

    def is_released(self, key: str) -> bool:
        """Whether the last association that brought images of a series was released."""
        return (self.place("receiving", key) / _RELEASED).exists()

    def mark_whole(self, key: str, known_by: str) -> None:
        """Vouch for the images of a series, say how it was known that they are all, and let it be restored."""
        with self.lock:
            commit(self.place("receiving", key) / _WHOLE, {"known_by": known_by}, self.images("receiving", key))
            self.move(key, "receiving", "restoring")

    def known_by(self, key: str) -> str:
        """How it was known that a series is whole."""
        return str(read_yaml(self.place("restoring", key) / _WHOLE)["known_by"])

    def is_as_marked(self, state: str, key: str) -> bool:
        """Whether the images are those that the marker vouches for, none more."""
        marker = self.place(state, key) / _WHOLE
        values = read_yaml(marker) if marker.is_file() else {"files": {}}
        names = {f"in/{path.name}" for path in self.images(state, key)}
        return bool(names) and names == set(values["files"]) and differing(marker, values) == []

    def move(self, key: str, state: str, to: str) -> str:
        """Put a series into another state: one rename."""
        self.place(to, key).parent.mkdir(exist_ok=True)
        os.replace(self.place(state, key), self.place(to, key))
        os.utime(self.place(to, key))
        return to

    def tries(self, state: str, key: str) -> tuple[int, str, float]:
        """How often it was tried in vain, why the last time, and how long ago."""
        file = self.place(state, key) / _TRIES
        values = read_yaml(file) if file.is_file() else {}
        return values.get("count", 0), values.get("reason", ""), time.time() - file.stat().st_mtime if values else 0.0

    def is_due(self, state: str, key: str, backoff_s: float) -> bool:
        """Whether a series may be tried (again)."""
        count, _, ago = self.tries(state, key)
        return not count or ago >= min(backoff_s * 2 ** (count - 1), _LONGEST_WAIT_S)

    def failed(self, key: str, state: str, reason: str, attempts: int) -> bool:
        """Note a failure; after so many attempts set the series aside, and say whether that was so."""
        with self.lock:
            count = self.tries(state, key)[0] + 1
            write_yaml(self.place(state, key) / _TRIES, {"count": count, "reason": reason, "in": state})
            if count >= attempts:
                self.move(key, state, "failed")
            return count >= attempts

    def restored(self, key: str) -> None:
        """Let a result be sent."""
        for name in (_TRIES, _RELEASED, LOG):
            (self.place("restoring", key) / name).unlink(missing_ok=True)
        self.move(key, "restoring", "sending")

    def sent(self, key: str, *, confirmed: bool) -> None:
        """The result is where it belongs; the source is deleted where the peer confirmed that."""
        with self.lock:
            place = self.place("sending", key)
            (place / _TRIES).unlink(missing_ok=True)
            values = {"confirmed": confirmed, "images": sorted(read_yaml(place / _WHOLE)["files"])}
            commit(place / _SENT, values, self.images("sending", key, "out"))
            self.move(key, "sending", "done")
        self.tidy()

    def tidy(self, keep_days: float = 36500.0) -> None:
        """Delete the sources of what was confirmed, and results that are older than so many days."""
        for place in (self.place("done", key) for key in self.keys("done")):
            if time.time() - place.stat().st_mtime > keep_days * 24 * 3600:
                os.replace(place, place.with_name(f".{place.name}"))
            elif (place / "in").is_dir() and read_yaml(place / _SENT)["confirmed"] is True:
                (place / _WHOLE).unlink(missing_ok=True)  # it would vouch for what is no longer there
                shutil.rmtree(place / "in", ignore_errors=True)
        for place in (self.folder / "done").glob(".*"):
            shutil.rmtree(place, ignore_errors=True)
