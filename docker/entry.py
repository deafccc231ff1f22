"""Entry point of the container: a mercure module where mercure names its folders, else the command line.

mercure (https://mercure-imaging.org) mounts the images of a series or study at ``MERCURE_IN_DIR``, beside them a
``task.json``, and takes what lies in ``MERCURE_OUT_DIR`` when the container ends with 0. The settings of the module,
``process.settings`` of that file, are ``model`` (a folder in the container), and optionally ``series`` (a list: a
number, modality or pattern of the description) and ``pdf``.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

_KNOWN = {"model": str, "series": list, "pdf": bool}


def main() -> int:
    """Exit codes are those of the command line."""
    source, out = (os.environ.get(f"MERCURE_{name}_DIR") for name in ("IN", "OUT"))
    if not source or not out:
        return run(sys.argv[1:])
    try:
        settings = module_settings(Path(source) / "task.json")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"taskgan: {Path(source) / 'task.json'} is no task of mercure: {error}\n")
        return 2
    with tempfile.TemporaryDirectory() as work:
        chosen = [word for name in settings.get("series", ()) for word in ("--series", str(name))]
        page = ["--pdf"] * bool(settings.get("pdf"))
        code = run(["restore", settings["model"], source, "-o", f"{work}/out", *chosen, *page])
        if code == 0:
            for number, file in enumerate(sorted(Path(work, "out").rglob("*.dcm"))):  # mercure takes files, not folders
                shutil.copyfile(file, Path(out) / f"{number:05d}_{file.name}")
        return code


def module_settings(task: Path) -> dict[str, Any]:
    """The settings of this module, checked.

    Raises:
        ValueError: If one is unknown, has another type, or there is no model.
        OSError: If the file cannot be read.
    """
    process = json.loads(task.read_text(encoding="utf-8")).get("process", {})
    process = process[0] if isinstance(process, list) else process  # several modules, one after the other
    settings = process.get("settings") or {}
    settings = {"model": os.environ.get("TASKGAN_MODEL", ""), **settings}
    for name, value in settings.items():
        if name not in _KNOWN or not isinstance(value, _KNOWN[name]):
            expected = ", ".join(f"{key} ({kind.__name__})" for key, kind in _KNOWN.items())
            raise ValueError(f"its setting {name} is {value!r}, expected {expected}")
    if not settings["model"]:
        raise ValueError("it names no model, expected process.settings.model or TASKGAN_MODEL")
    return settings


def run(arguments: list[str]) -> int:
    """``taskgan`` with these arguments, in this process."""
    from taskgan.cli import main as taskgan

    sys.argv = ["taskgan", *arguments]
    try:
        taskgan()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
