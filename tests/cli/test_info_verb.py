import json
import sys
from pathlib import Path

import pytest

from taskgan.cli import main
from taskgan.core.files import write_yaml


@pytest.mark.parametrize("option", ["", "--all", "--json"])
def test_info_is_short_or_whole(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_yaml(tmp_path / "model.yaml", {"name": "gan", "task": {"pretrain": {"steps": 417}}})
    monkeypatch.setattr(sys, "argv", ["taskgan", "info", str(tmp_path), *option.split()])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    text = capsys.readouterr().out
    assert ("417" in text) == bool(option)
    if option == "--json":
        assert json.loads(text)["task"]["pretrain"]["steps"] == 417
    assert ("next" in text) == (not option)
