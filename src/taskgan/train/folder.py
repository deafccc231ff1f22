"""The run folder: new, to be resumed, finished, or somebody else's."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskgan.core.errors import UserError
from taskgan.core.files import check_writable, folder_files, read_yaml, write_yaml
from taskgan.recipe import Recipe, dump_recipe, parse_recipe
from taskgan.train.checkpoint import CHECKPOINT

RECIPE = "recipe.yaml"
RECORD = "run.yaml"
METRICS = "metrics.csv"
ROC = "roc.png"
_OURS = (RECIPE, RECORD, CHECKPOINT, ROC, METRICS, "model", "tensorboard")
# Where a run happens may change when it goes on; what it computes may not.
_MOVABLE = ("machine.accelerator", "machine.devices", "machine.nodes", "machine.threads", "data.workers")


def first_process() -> bool:
    """Whether this is the process that writes, before Fabric can be asked."""
    return all(
        os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
    )


def open_run(
    folder: Path,
    recipe: Recipe,
    fingerprint: str,
    *,
    overwrite: bool,
    networks: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """See that a run folder can be made, or that its run can go on. Writes and removes nothing.

    Args:
        folder: The run.
        recipe: What is asked for.
        fingerprint: Fingerprint of the training and validation rows.
        overwrite: What an earlier run left will be removed.
        networks: Classes of the user's own networks.

    Returns:
        ``run.yaml`` of the run to go on with; empty for a new one.

    Raises:
        UserError: If the folder holds something else, or a run with another recipe or other data.
    """
    check_writable(folder, "the run")
    if not (folder / RECIPE).is_file():
        foreign = [entry.name for entry in folder_files(folder)]
        if foreign:  # also with overwrite: a folder "model" in it need not be ours
            raise UserError(
                f"{folder} exists and is not a run (it holds {', '.join(sorted(foreign)[:3])}); choose another folder"
            )
        return {}
    if overwrite:
        return {}
    record = read_yaml(folder / RECORD) if (folder / RECORD).is_file() else {}
    if not record and not (folder / CHECKPOINT).is_file():
        return {}  # it never came to its first step
    _same_recipe(folder, recipe)
    if record and record.get("cohort", {}).get("fingerprint") != fingerprint:
        raise UserError(
            f"the cohort has changed since {folder} was started (rows, labels or images of training or validation); "
            "use another run folder, or --overwrite to start anew"
        )
    before, now = record.get("networks", {}), dict(networks or {})
    if record and before != now:
        raise UserError(
            f"{folder} was started with {_own(before)}, found {_own(now)}; give the same networks, or --overwrite to "
            "start anew"
        )
    return record


def _own(networks: Mapping[str, str]) -> str:
    listed = ", ".join(f"{name} {kind}" for name, kind in networks.items())
    return f"networks of the user's own ({listed})" if listed else "the recipe's networks"


def create_run(folder: Path, recipe: Recipe, *, overwrite: bool) -> None:
    """Make the run folder.

    Args:
        folder: The run, which :func:`open_run` has let pass.
        recipe: Written to it where it has none that counts.
        overwrite: Remove what an earlier run left.
    """
    if overwrite:
        remove_run(folder)
    if not (folder / RECORD).is_file():
        write_yaml(folder / RECIPE, dump_recipe(recipe))


def remove_run(folder: Path) -> None:
    """Remove what training wrote, and nothing else; the recipe last, which makes the folder a run."""
    for name in reversed(_OURS):
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def command_line() -> str:
    """The command that was called, with the last part of absolute paths alone."""
    arguments = [Path(word).name if word.startswith("/") else word for word in sys.argv]
    return shlex.join(arguments)


def _same_recipe(folder: Path, recipe: Recipe) -> None:
    path = folder / RECIPE
    changed = setting_differences(parse_recipe(read_yaml(path), str(path)), recipe)
    if changed:
        raise UserError(
            f"{folder} holds a run with another recipe: {', '.join(changed)}; "
            "use another run folder, or --overwrite to start anew"
        )


def setting_differences(before: Recipe, now: Recipe) -> list[str]:
    """Which settings differ, each as ``key (value there, value here)``; where a run happens does not count."""
    there, here = run_settings(before), run_settings(now)
    changed = [key for key in sorted(there.keys() | here.keys()) if there.get(key) != here.get(key)]
    return [f"{key} ({there.get(key)} there, {here.get(key)} here)" for key in changed]


def run_settings(recipe: Recipe) -> dict[str, Any]:
    """What decides a run, by dotted key: all of a recipe but where it happens."""
    return {key: value for key, value in _flat(dump_recipe(recipe)).items() if key not in _MOVABLE}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
