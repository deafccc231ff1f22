import pytest

from exported import Export


@pytest.fixture
def export(tmp_path) -> Export:
    (tmp_path / "export").mkdir()
    return Export(tmp_path / "export")


@pytest.fixture
def three(export) -> Export:
    for number in range(3):
        export.subject(f"P-{number}", number, polar=number != 1)
    return export
