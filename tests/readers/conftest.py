"""A study that tests read from and must not write to."""

from pathlib import Path

import pytest

from small_study import answer_all, small_study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of three readers' cases are answered."""
    folder = small_study(tmp_path_factory.mktemp("answered"))
    answer_all(folder)
    return folder
