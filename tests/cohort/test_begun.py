"""Whether a cohort folder is gone on with."""

from pathlib import Path

import pytest

from taskgan.cohort.folder import is_complete
from taskgan.core.errors import UserError
from taskgan.core.files import LOCK


def test_a_folder_with_nothing_but_what_a_killed_call_left_is_new(tmp_path: Path) -> None:
    about = {"kind": "pet", "made_by": "taskgan simulate pet"}
    (tmp_path / ".partial-abcdefgh.yaml").touch()
    (tmp_path / LOCK).touch()
    assert not is_complete(tmp_path, about, ())
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="is not empty and was not begun by simulate pet"):
        is_complete(tmp_path, about, ())
