"""Another implementation as the peer: dcmtk's echoscu and storescu call the node, its dcmqrscp takes the results."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from made_up_pacs import files_of, free_port, until

pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("echoscu", "storescu", "dcmqrscp")), reason="dcmtk is not installed"
)
# What dcmqrscp asks for: a table of peers, one storage area, who may read and write it.
_CONFIGURATION = """
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 4
HostTable BEGIN
node = (TASKGAN, localhost, 11112)
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
PACS {folder} RW (9, 1024mb) ANY
AETable END
"""


def dcmtk(program: str, port: int, *arguments: str) -> int:
    command = [program, "-aet", "SCANNER", "-aec", "TASKGAN", "127.0.0.1", str(port), *arguments]
    return subprocess.run(command, capture_output=True, check=False).returncode


def listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def test_dcmtk_sends_and_takes_and_is_asked(start: Callable[..., Any], pet: Path, tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "archive"
    folder.mkdir()
    (tmp_path / "dcmqrscp.cfg").write_text(_CONFIGURATION.format(port=port, folder=folder))
    with subprocess.Popen(["dcmqrscp", "-c", tmp_path / "dcmqrscp.cfg"], env={**os.environ, "TZ": "UTC"}) as archive:
        try:
            until(lambda: listens(port))
            bench = start(peers={"pacs": {"title": "PACS", "port": port}}, wait_s=0.0, timeout_s=10)
            assert dcmtk("echoscu", bench.port) == 0
            assert dcmtk("echoscu", bench.port, "-aec", "OTHER") != 0
            assert dcmtk("storescu", bench.port, *map(str, files_of(pet))) == 0
            bench.rest()
            time.sleep(0.01)
            bench.work()
            assert bench.states() == {"done": 1}, list(bench.queue.folder.rglob("tries.yaml"))
            assert not bench.queue.images("done", bench.queue.keys("done")[0])  # confirmed by C-FIND
        finally:
            archive.terminate()
    assert len([path for path in folder.iterdir() if path.name != "index.dat"]) == 9
