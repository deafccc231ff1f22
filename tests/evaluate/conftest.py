from pathlib import Path

import pytest

from fake_cohort import make_cohort


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight test subjects, three positive; shared, so tests must not write to it."""
    return make_cohort(tmp_path_factory.mktemp("fake") / "cohort")
