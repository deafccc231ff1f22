from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cohort(fake_cohort: Path) -> Path:
    return fake_cohort
