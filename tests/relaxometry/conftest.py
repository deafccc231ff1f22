import pytest

from mdme_phantom import Phantom, make_phantom


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    return make_phantom()
