"""What the tests of this room share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from taskgan.cohort.pairs import read_pairs
from taskgan.images.photos import Photo, write_photo
from taskgan.images.volumes import read_volume


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    torch.set_num_threads(1)
    yield
    torch.set_flush_denormal(False)  # training leaves it on


@pytest.fixture
def restored_by(drawn: Path, tmp_path: Path) -> Callable[..., Path]:
    """Another tool's folder: a mixture of each test case's clean and degraded image."""

    def write(share: float, name: str = "restored", without: tuple[str, ...] = ()) -> Path:
        for pair in read_pairs(drawn).split("test"):
            if pair.case not in without:
                assert pair.clean is not None
                clean, degraded = (read_volume(path).data for path in (pair.clean, pair.degraded))
                write_photo(tmp_path / name / f"{pair.case}.png", Photo(share * clean + (1 - share) * degraded))
        return tmp_path / name

    return write
