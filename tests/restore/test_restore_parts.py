"""Job arrays: parts of a call restore side by side what one call restores."""

from pathlib import Path

import numpy as np
import pytest
from test_restore_files import snapshot, table

from small_models import save, volume
from taskgan.core.artefact import verify
from taskgan.core.errors import LeftOut, UserError
from taskgan.core.files import read_yaml
from taskgan.images.photos import Photo, write_photo
from taskgan.restore import run as files
from taskgan.restore.refine import Refinement
from taskgan.restore.run import restore


def contents(folder: Path) -> dict[str, bytes]:
    return {name: data for name, (_, data) in snapshot(folder).items()}


def test_parts_write_the_bytes_of_one_call_and_go_on_after_a_kill(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = table(tmp_path, rows=5, subject=["a", "a", "b", "c", "d"])
    whole = restore(model, cases, tmp_path / "whole", precision="32")
    out = tmp_path / "parts"

    def killed_at_the_second(*args, **kwargs):
        if len(list(out.glob("*.nii.gz"))):
            raise KeyboardInterrupt
        return write(*args, **kwargs)

    write = files.write_volume
    monkeypatch.setattr(files, "write_volume", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        restore(model, cases, out, precision="32", part="1/2")
    monkeypatch.setattr(files, "write_volume", write)
    restore(model, cases, out, precision="32", part="2/2")
    assert sorted(path.name for path in out.glob("*.nii.gz")) == ["c0.nii.gz", "c2.nii.gz", "c4.nii.gz"]
    assert read_yaml(out / "restored.yaml")["status"] == "running"
    capsys.readouterr()
    restore(model, cases, out, precision="32", part="1/2")
    said = capsys.readouterr().out
    assert "going on, 1 of 3 images are there" in said
    assert "all 2 parts are done" in said
    assert contents(out) == contents(whole)
    assert verify(out) == (1, [])
    restore(model, cases, out, precision="32", part="2/2")
    assert "already done" in capsys.readouterr().out
    assert contents(out) == contents(whole)


def test_parts_of_other_settings_are_refused_and_overwriting_ones_replace_all(model: Path, tmp_path: Path) -> None:
    cases = table(tmp_path)
    out = restore(model, cases, tmp_path / "out", precision="32")
    with pytest.raises(UserError, match="holds a finished restoration"):
        restore(model, cases, out, precision="32", refinement=Refinement(average="flips"), part="1/2")
    again = {"precision": "32", "overwrite": True}
    before = contents(out)
    for part in ("1/2", "2/2"):
        restore(model, cases, out, part=part, **again)
    assert contents(out) == before


def test_what_is_left_out_is_said_by_its_part_and_by_the_last(model: Path, tmp_path: Path) -> None:
    place = tmp_path / "photos"
    place.mkdir()
    for index in range(3):
        image = np.random.default_rng(index).random((17, 14, 1), dtype=np.float32)
        write_photo(place / f"p{index}.png", Photo(image))
    (place / "p1.png").write_bytes(b"no photo")
    with pytest.raises(LeftOut, match="1 of 1 images"):
        restore(model, place, tmp_path / "out", part="2/2")
    with pytest.raises(LeftOut, match="1 of 3 images"):
        restore(model, place, tmp_path / "out", part="1/2")
    assert len(list((tmp_path / "out").glob("p*.png"))) == 2


def test_a_single_file_has_no_parts(model: Path, tmp_path: Path) -> None:
    source = save(tmp_path / "pet.nii.gz", volume())
    with pytest.raises(UserError, match="expected a folder"):
        restore(model, source, tmp_path / "one.nii.gz", part="1/2")
    assert not (tmp_path / "one.nii.gz").exists()


@pytest.mark.filterwarnings("default")  # of sockets that workers leave
def test_workers_of_a_scheduler_write_the_bytes_of_one_machine(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra cluster")
    table(tmp_path, rows=5, subject=["a", "a", "b", "c", "d"])
    whole = restore(model, tmp_path / "pairs.csv", tmp_path / "whole", precision="32")
    monkeypatch.chdir(tmp_path)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        monkeypatch.chdir(tmp_path / "run")  # workers were started elsewhere
        out = restore("model", "../pairs.csv", "out", precision="32", scheduler=cluster.scheduler_address)
    assert contents(tmp_path / "run" / "out") == contents(whole)
    assert verify(out) == (1, [])
