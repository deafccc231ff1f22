"""One thread, and a model folder."""

from pathlib import Path

import pytest
import torch

from small_models import write


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "run" / "model")
