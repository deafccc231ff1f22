"""Parts share subjects out, each once; what they leave is what one machine makes."""

from pathlib import Path

import pytest

from small_models import save, volume, write
from taskgan.cohort.pairs import write_pairs
from taskgan.core.errors import UserError
from taskgan.core.parts import Part, parse_part
from taskgan.restore.run import restore


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_every_subject_is_in_one_part_with_all_its_items(count: int) -> None:
    items = [f"s{number // 2}-{number}" for number in range(22)]

    def subject(item: str) -> str:
        return item.split("-")[0]

    parts = [Part(number, count).of(items, subject) for number in range(1, count + 1)]
    assert sorted(item for part in parts for item in part) == sorted(items)
    own = [{subject(item) for item in part} for part in parts]
    assert sum(map(len, own)) == 11
    assert max(map(len, own)) - min(map(len, own)) <= 1


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/", "a/b", "1/2/3"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected K/N with K from 1 to N"):
        parse_part(text)
    assert parse_part(None) is None
    assert parse_part("2/8") == Part(2, 8)


def test_parts_of_a_restoration_join_to_what_one_call_makes(tmp_path: Path) -> None:
    model = write(tmp_path / "model")
    for number in range(5):
        save(tmp_path / f"{number}.nii.gz", volume((9, 8, 2), seed=number))
    rows = [{"case": f"c{n}", "subject": f"s{n}", "split": "test", "degraded": f"{n}.nii.gz"} for n in range(5)]
    write_pairs(tmp_path / "pairs.csv", rows)
    one, many = tmp_path / "one", tmp_path / "many"
    restore(model, tmp_path / "pairs.csv", one, precision="32")
    for number in (2, 1):
        restore(model, tmp_path / "pairs.csv", many, precision="32", part=Part(number, 2))
    assert "status: running" in (many / "restored.yaml").read_text()
    times = {path.name: path.stat().st_mtime_ns for path in many.glob("*.nii.gz")}
    assert len(times) == 5
    restore(model, tmp_path / "pairs.csv", many, precision="32")
    assert times == {path.name: path.stat().st_mtime_ns for path in many.glob("*.nii.gz")}
    files = sorted(path.name for path in one.iterdir())
    assert files == sorted(path.name for path in many.iterdir())
    assert all((one / name).read_bytes() == (many / name).read_bytes() for name in files)
    with pytest.raises(UserError, match="--part fills a folder"):
        restore(model, tmp_path / "0.nii.gz", tmp_path / "0_out.nii.gz", part=Part(1, 2))
