"""What happens to the series of a queue: known to be whole, restored in a child process, sent, confirmed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from taskgan.core.errors import Failed, UserError, disk_error
from taskgan.core.lock import locked
from taskgan.core.parse import error_text
from taskgan.images.dicom.frames import dicom_files, quiet, read_dataset
from taskgan.node.child import UNFIT
from taskgan.node.queue import LOG, Queue, SeriesJob, image_name
from taskgan.node.receive import Listener, ReceivedImage, log
from taskgan.node.send import DeliveryError, deliver, instances_at
from taskgan.node.settings import NodeSettings, read_settings
from taskgan.node.status import status_page

_TICK_S = 0.5


class Node:
    """Everything but the listening."""

    def __init__(self, settings: NodeSettings, queue: Queue) -> None:
        self.settings, self.queue = settings, queue
        self._asked: dict[str, float] = {}

    def poll(self) -> None:
        """Let series be restored that are known to be whole."""
        for key in self.queue.keys("receiving"):
            if self.queue.quiet_s(key) < self.settings.wait_s:
                continue
            if known_by := self._known_whole(key, self.queue.job("receiving", key)):
                self.queue.mark_whole(key, known_by)
                log(f"{key}: whole, known by {known_by}")

    def _known_whole(self, key: str, job: SeriesJob) -> str:
        """How it is known that all images of a series have come; empty where it is not."""
        if job.route.ask is None:
            quiet_time = f"{self.settings.wait_s:g} s of quiet" if self.settings.wait_s else "the end of its sending"
            return quiet_time if self.queue.is_released(key) else ""
        if time.monotonic() - self._asked.get(key, -1e9) < max(self.settings.wait_s, _TICK_S):
            return ""
        self._asked[key] = time.monotonic()
        try:
            held = instances_at(self.settings, self.settings.peers[job.route.ask], job.study, job.series)
        except (DeliveryError, KeyError) as error:
            log(f"{key}: {job.route.ask} does not say how many images it has: {error}")
            return ""
        here = {path.name for path in self.queue.images("receiving", key)}
        return f"the count of {job.route.ask}" if held and {image_name(uid) for uid in held} <= here else ""

    def restore(self) -> bool:
        """Restore one series; whether there was one."""
        for key in self.queue.keys("restoring"):
            if not self.queue.is_as_marked("restoring", key):
                self.queue.back(key, "restoring")
            elif self.queue.is_due("restoring", key, self.settings.backoff_s):
                self._restored(key, self._run_child(key, self.queue.job("restoring", key)))
                return True
        return False

    def _restored(self, key: str, code: int) -> None:
        with self.queue.lock:
            if not self.queue.is_as_marked("restoring", key):
                self.queue.back(key, "restoring")
                log(f"{key}: images came while it was restored: it is received again")
            elif code == 0:
                self.queue.restored(key)
                log(f"{key}: restored")
            else:
                reason = f"restore ended with {code}, {LOG} in its folder says why"
                self._failed(key, "restoring", reason, 1 if code == UNFIT else self.settings.attempts)

    def _run_child(self, key: str, job: SeriesJob) -> int:
        place, known_by = self.queue.place("restoring", key), self.queue.known_by(key)
        remark = f"its end known by {known_by} alone: images that came later are not in it"
        values = {
            "model": str(self.settings.path(job.route.model)), "source": str(place / "in"), "out": str(place / "out"),
            "pdf": job.route.pdf, "remarks": [] if job.route.ask else [remark],
        }  # fmt: skip
        root = str(Path(__file__).parents[2])  # so that the child takes this very package, wherever it works
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}
        with (place / LOG).open("wb") as output:
            command = [sys.executable, "-m", "taskgan.node.child"]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=env) as child:
                assert child.stdin is not None
                try:
                    child.stdin.write(json.dumps(values).encode() + b"\n")
                    child.stdin.flush()
                    return child.wait(self.settings.restore_s)
                except (BrokenPipeError, subprocess.TimeoutExpired):
                    return -1
                finally:
                    child.kill()

    def send(self) -> bool:
        """Send one result; whether there was one."""
        for key in self.queue.keys("sending"):
            if not self.queue.is_due("sending", key, self.settings.backoff_s):
                continue
            job, files = self.queue.job("sending", key), self.queue.images("sending", key, "out")
            try:
                confirmed = self._send(job, files)
                self.queue.sent(key, confirmed=confirmed)
                log(f"{key}: {len(files)} images sent to {job.route.to}, {'' if confirmed else 'not '}confirmed")
            except DeliveryError as error:
                self._failed(key, "sending", f"{job.route.to}: {error}", self.settings.attempts)
            return True
        return False

    def _send(self, job: SeriesJob, files: list[Path]) -> bool:
        """Send what the peer does not hold yet; whether it confirms that it holds all."""
        peer = self.settings.peers.get(job.route.to)
        if peer is None:
            raise DeliveryError("the settings know no such peer")
        by_series: dict[tuple[str, str], dict[str, Path]] = {}
        for file in files:
            header = read_dataset(file, pixels=False)
            own = (str(header.StudyInstanceUID), str(header.SeriesInstanceUID))
            by_series.setdefault(own, {})[str(header.SOPInstanceUID)] = file
        for (study, series), images in by_series.items():
            held = instances_at(self.settings, peer, study, series) if peer.confirms else set()
            if missing := [file for uid, file in images.items() if uid not in held]:
                deliver(self.settings, peer, missing)
            if peer.confirms and (absent := images.keys() - instances_at(self.settings, peer, study, series)):
                raise DeliveryError(f"it does not confirm {len(absent)} of {len(images)} images")
        return peer.confirms

    def _failed(self, key: str, state: str, reason: str, attempts: int) -> None:
        aside = self.queue.failed(key, state, reason, attempts)
        log(f"{key}: {reason}; " + ("set aside in failed/" if aside else "it is tried again"))

    def take(self, folder: Path) -> None:
        """Receive the images of a folder, as from the first caller of the route that they belong to, or a UserError."""
        keys = set()
        for file in dicom_files(folder):
            try:
                with quiet():
                    image = ReceivedImage.of(read_dataset(file, pixels=False))
            except UserError:
                raise
            except Exception as error:  # values of a damaged header fail in as many ways as there are types
                raise UserError(f"{file} has a header that cannot be understood: {error_text(error)}") from None
            route = self.settings.route(None, image.modality, image.description)
            if route is None or not image.is_served:
                raise UserError(f"{file} is of no series that a route takes, expected one")
            job = SeriesJob(route, image.study, image.series)
            self.queue.store(job, image.instance, file.read_bytes())
            keys.add(job.key)
        for key in keys:
            self.queue.released(key, whole=True)


@contextmanager
def _sending(node: Node) -> Iterator[None]:
    """Send in a thread of its own, so that a silent peer holds up no restoration."""
    stop = Event()

    def _work() -> None:
        while not stop.wait(_TICK_S):
            with _going_on():
                while node.send() and not stop.is_set():
                    pass

    thread = Thread(target=_work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_TICK_S)


@contextmanager
def _going_on() -> Iterator[None]:
    """What nobody foresaw, such as a disk that is full for a while, does not end the node; only its kind is said."""
    try:
        yield
    except Exception as error:
        log(f"{type(error).__name__}: {getattr(disk_error(error), 'strerror', None) or 'not foreseen'}; going on")
        time.sleep(_TICK_S)


def serve(place: Path, *, folders: list[Path] | None = None) -> None:
    """Listen, restore and send until the process is ended.

    Args:
        place: The settings, YAML.
        folders: Listen to nobody: take the series of these folders and what the queue holds, and end.

    Raises:
        UserError: If the settings, an address or the queue do not allow it.
        Failed: With ``folders``, if series were set aside.
    """
    settings = read_settings(place)
    folder = settings.path(settings.queue)
    with locked(folder, "the queue of the node"):
        queue = Queue(folder, settings.free_gb)
        if folders is not None:
            return _work_off(Node(settings.model_copy(update={"wait_s": 0.0}), queue), folders)
        node, listener = Node(settings, queue), Listener(settings, queue)
        try:
            with status_page(settings, queue), _sending(node):
                log(f"{settings.title} listens at {settings.host}:{listener.port} for {', '.join(settings.callers)}")
                while True:
                    with _going_on():
                        queue.tidy(settings.keep_days)
                        node.poll()
                        while node.restore():
                            node.poll()
                    time.sleep(min(_TICK_S, settings.wait_s))
        finally:
            listener.close()


def _work_off(node: Node, folders: list[Path]) -> None:
    for folder in folders:
        node.take(folder)
    node.poll()
    while node.queue.keys("restoring") or node.queue.keys("sending"):
        if not (node.restore() or node.send()):
            time.sleep(_TICK_S / 5)
    node.queue.tidy(node.settings.keep_days)
    count = {state: len(node.queue.keys(state)) for state in ("done", "failed", "receiving")}
    log(f"{node.queue.folder}: {count['done']} series done, {count['failed']} failed, {count['receiving']} not whole")
    if count["failed"] or count["receiving"]:
        raise Failed(f"{node.queue.folder}: not every series is done; taskgan node status says why")
