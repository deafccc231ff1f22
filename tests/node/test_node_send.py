"""Results on their way: a PACS that is down, silent, killed or forgetful, DICOMweb, TLS; nothing is lost."""

import itertools
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

from made_up_pacs import Pacs, associate, dicomweb, files_of, free_port, send
from taskgan.core.artefact import differing
from taskgan.core.files import read_yaml

Start = Callable[..., Any]
PEER = {"title": "PACS"}


def restored(start: Start, pet: Path, **changes: Any) -> tuple[Any, str]:
    """A node with one restored series that was not sent yet."""
    bench = start(wait_s=0.0, **changes)
    send(bench.port, files_of(pet))
    bench.rest()
    bench.node.poll()
    assert bench.node.restore()
    return bench, bench.queue.keys("sending")[0]


def work_until_set_aside(bench: Any) -> None:
    """Send as often as it may be; it waits longer and longer."""
    begun = []
    while bench.states() != {"failed": 1}:
        now = time.monotonic()
        if bench.node.send():
            begun.append(now)
        time.sleep(0.01)
    assert len(begun) == bench.settings.attempts
    first, second = (after - before for before, after in itertools.pairwise(begun[:3]))
    assert first > 0.9 * bench.settings.backoff_s  # however busy the machine is, no earlier
    assert second > 1.9 * bench.settings.backoff_s > 0


def test_a_pacs_that_is_down_is_tried_so_often_and_the_result_is_kept(
    start: Start, pet: Path, pacs: Pacs, tmp_path: Path
) -> None:
    port = free_port()
    bench, key = restored(start, pet, peers={"pacs": {**PEER, "port": port}})
    work_until_set_aside(bench)
    place = bench.queue.place("failed", key)
    assert "accepts no association" in read_yaml(place / "tries.yaml")["reason"]
    assert len(bench.queue.images("failed", key, "out")) == len(bench.queue.images("failed", key)) == 9
    back = Pacs(port=port)
    try:
        send(bench.port, files_of(pet)[:1])  # any image of it, sent again, takes it up
        bench.work()
        assert bench.states() == {"done": 1}
        assert (len(back.held), bench.node.restored) == (9, 1)
    finally:
        back.close()


@pytest.mark.parametrize("way", ["silent", "refuses", "killed", "none"])
def test_a_pacs_that_does_not_keep_all_gets_it_again(start: Start, pet: Path, pacs: Pacs, way: str) -> None:
    bench, key = restored(start, pet, timeout_s=0.3, backoff_s=0.0)

    def answer(number: int) -> int:
        if way == "silent" and number == 4:
            time.sleep(0.5)
        if way == "killed" and number == 4:
            for association in pacs.entity.active_associations:
                association.abort()
        return 0xA700 if way == "refuses" and number == 4 else 0

    pacs.answer = answer
    assert bench.node.send()
    if way != "none":
        assert bench.states() == {"sending": 1}
        assert len(pacs.held) < 22
        assert len(bench.queue.images("sending", key)) == 9
        time.sleep(0.3)
        assert bench.node.send()
    assert bench.states() == {"done": 1}
    assert len(pacs.held) == 9
    assert pacs.stores <= 12  # what it holds is not sent again


def test_the_source_stays_until_the_pacs_confirms(start: Start, pet: Path, pacs: Pacs) -> None:
    bench, key = restored(start, pet)
    uids = [str(pydicom.dcmread(path).SOPInstanceUID) for path in bench.queue.images("sending", key, "out")]
    pacs.hides = set(uids[:2])
    work_until_set_aside(bench)
    assert "does not confirm 2 of 9 images" in read_yaml(bench.queue.place("failed", key) / "tries.yaml")["reason"]
    assert len(bench.queue.images("failed", key)) == 9
    pacs.hides = set()
    send(bench.port, files_of(pet)[:1])
    bench.work()
    assert bench.states() == {"done": 1}
    assert not bench.queue.images("done", key)
    assert differing(bench.queue.place("done", key) / "sent.yaml") == []


def test_a_peer_that_cannot_be_asked_leaves_the_source(start: Start, pet: Path, pacs: Pacs) -> None:
    bench, key = restored(start, pet, peers={"pacs": {**PEER, "port": pacs.port, "confirms": False}})
    bench.work()
    assert bench.states() == {"done": 1}
    assert len(bench.queue.images("done", key)) == 9
    bench.queue.tidy(keep_days=0)
    assert bench.states() == {}


def test_results_go_by_stow_and_are_confirmed_by_qido(start: Start, pet: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    with dicomweb() as web:
        web.status = 503
        peer = {"url": web.url, "token": "token"}
        bench, _ = restored(start, pet, backoff_s=0.0, attempts=9, peers={"pacs": peer})
        bench.node.send()
        web.status = 302
        bench.node.send()
        assert (bench.states(), web.held) == ({"sending": 1}, {})
        web.status = 200
        bench.node.send()
        assert bench.states() == {"done": 1}
        assert len(web.held) == 9
        assert {h["Authorization"] for h in web.headers} == {"Bearer abc"}


def certificate(folder: Path, name: str, authority: Path | None = None) -> None:
    """A certificate for this machine, signed by an authority, or such an authority."""
    options = ["-CA", authority, "-CAkey", authority.with_suffix(".key")] if authority else []
    ends = ["-addext", "subjectAltName=IP:127.0.0.1"] if authority else []
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-subj", f"/CN={name}", "-days", "2", "-keyout", f"{name}.key", "-out", f"{name}.pem"]  # fmt: skip
    subprocess.run([*command, *options, *ends], cwd=folder, check=True, capture_output=True)


def test_tls_is_spoken_on_both_sides(start: Start, pet: Path, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate(tmp_path, "authority")
    for name in ("node", "scanner", "pacs"):
        certificate(tmp_path, name, tmp_path / "authority.pem")

    def context(name: str, purpose: ssl.Purpose) -> ssl.SSLContext:
        made = ssl.create_default_context(purpose, cafile=tmp_path / "authority.pem")
        made.load_cert_chain(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        made.verify_mode = ssl.CERT_REQUIRED
        return made

    secure = Pacs(ssl_context=context("pacs", ssl.Purpose.CLIENT_AUTH))
    try:
        tls = {"certificate": "node.pem", "key": "node.key", "authority": "authority.pem"}
        bench = start(wait_s=0.0, tls=tls, peers={"pacs": {**PEER, "port": secure.port, "tls": True}})
        assert not associate(bench.port).is_established  # in the clear
        bare = ssl.create_default_context(cafile=tmp_path / "authority.pem")
        assert not associate(bench.port, tls_args=(bare, "127.0.0.1")).is_established  # without a certificate
        send(bench.port, files_of(pet), tls_args=(context("scanner", ssl.Purpose.SERVER_AUTH), "127.0.0.1"))
        bench.rest()
        bench.work()
        assert bench.states() == {"done": 1}
        assert len(secure.held) == 9
    finally:
        secure.close()
