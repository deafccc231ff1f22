"""A cohort that is removed to be made anew."""

import shutil
from pathlib import Path

import pytest

from taskgan.cohort.folder import complete
from taskgan.core.artefact import verify
from taskgan.core.errors import UserError
from taskgan.core.files import LOCK, folder_files
from taskgan.prepare.output import remove_cohort


def test_a_removal_that_was_killed_vouches_for_nothing_and_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    for name in ("clean/a.png", "degraded/a.png", "pairs.csv", LOCK):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("x")
    complete(out, {"made_by": "taskgan prepare folder"})
    assert verify(out) == (1, [])

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            remove_cohort(out, "taskgan prepare folder")
    with pytest.raises(UserError, match="nothing finished"):
        verify(out)
    with pytest.raises(UserError, match="was not made by prepare mr"):
        remove_cohort(out, "taskgan prepare mr")
    remove_cohort(out, "taskgan prepare folder")
    assert folder_files(out) == []
    assert (out / LOCK).exists(), "it is held by who removes"
