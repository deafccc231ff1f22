"""The run folder: new, to be resumed, finished, or somebody else's; the model that a run begins with (``--from``)."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from taskgan.cohort.pairs import Pairs
from taskgan.core.artefact import read_record
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike, atomic, check_writable, folder_files, read_yaml, versions, write_yaml
from taskgan.core.lock import command_line
from taskgan.core.parse import error_text, quoted
from taskgan.core.tensors import load_torch
from taskgan.model.folder import ModelCard, build_generator, read_model
from taskgan.recipe import Generator, Recipe, dump_recipe, parse_recipe
from taskgan.train.devices import device_name

CHECKPOINT = "last.ckpt"
FORMAT = 1
_PARTS = ("standing", "choice", "networks", "optimiser", "histories", "random")


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write ``last.ckpt`` atomically: a kill leaves the old one or the new one, whole. ``state``: tensors and plain
    values only.
    """
    with atomic(folder / CHECKPOINT) as partial, partial.open("wb") as handle:
        torch.save({"format": FORMAT, **state}, handle)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read ``last.ckpt`` to the CPU without running any code in it; None where there is none.

    Raises:
        UserError: If it is damaged or of another version's format.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = load_torch(path)
    except Exception as error:  # pickle, zip and torch each have their own
        raise UserError(
            f"{path} cannot be read as a checkpoint ({error_text(error)}); start anew with --overwrite"
        ) from None
    if not isinstance(state, dict):
        raise UserError(f"{path} holds a {type(state).__name__}, expected a checkpoint; start anew with --overwrite")
    if state.get("format") != FORMAT:
        raise UserError(f"{path} has format {quoted(state.get('format'))}, this version of taskgan reads {FORMAT}")
    for key in _PARTS:
        if not isinstance(state.get(key), dict):
            raise UserError(f"{path} has no {key}, expected a whole checkpoint; start anew with --overwrite")
    if not isinstance(state["standing"].get("finished"), bool):
        raise UserError(f"{path} does not say whether training is finished; start anew with --overwrite")
    return state


def weights_checksum(network: torch.nn.Module) -> str:
    """SHA-256 of a network's weights, whatever device and memory format they are in."""
    hasher = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        tensor = value.detach().cpu().contiguous()
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        hasher.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()


RECIPE = "recipe.yaml"
RECORD = "run.yaml"
METRICS = "metrics.csv"
ROC = "roc.png"
_OURS = (RECIPE, RECORD, CHECKPOINT, ROC, METRICS, "model", "tensorboard")
# Where a run happens may change when it goes on; what it computes may not.
_MOVABLE = ("machine.accelerator", "machine.devices", "machine.nodes", "machine.threads", "data.workers")


def first_process() -> bool:
    """Whether this is the process that writes, before Fabric can be asked."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def open_run(
    folder: Path, recipe: Recipe, fingerprint: str, *, overwrite: bool, origin: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """See that a run folder can be made, or that its run can go on. Writes and removes nothing.

    Args:
        overwrite: What an earlier run left will be removed.
        origin: Classes of the user's own networks (``networks``) and the model that it begins with
            (``started_from``), where there are any.

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
    record = read_record(folder / RECORD)
    if not record and not (folder / CHECKPOINT).is_file():
        return {}  # it never came to its first step
    changed = setting_differences(parse_recipe(read_yaml(folder / RECIPE), str(folder / RECIPE)), recipe)
    if changed:
        raise UserError(
            f"{folder} holds a run with another recipe: {', '.join(changed)}; "
            "use another run folder, or --overwrite to start anew"
        )
    if record and record.get("cohort", {}).get("fingerprint") != fingerprint:
        raise UserError(
            f"the cohort has changed since {folder} was started (rows, labels or images of training or validation); "
            "use another run folder, or --overwrite to start anew"
        )
    for key, (what, text) in _ORIGINS.items():
        before, now = record.get(key) or {}, (origin or {}).get(key) or {}
        if record and before != now:
            raise UserError(
                f"{folder} was started with {text(before)}, found {text(now)}; give the same {what}, or --overwrite "
                "to start anew"
            )
    return record


def _own(networks: Mapping[str, str]) -> str:
    listed = ", ".join(f"{name} {kind}" for name, kind in networks.items())
    return f"networks of the user's own ({listed})" if listed else "the recipe's networks"


def _start(model: Mapping[str, Any]) -> str:
    return f"the weights of {model.get('name')} ({str(model.get('checksum'))[:12]})" if model else "new weights"


_ORIGINS = {"networks": ("networks", _own), "started_from": ("model with --from", _start)}


def create_run(folder: Path, recipe: Recipe, *, overwrite: bool) -> None:
    """Make the run folder, which :func:`open_run` has let pass."""
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


def new_record(recipe: Recipe, pairs: Pairs, used: Pairs, mark: str, device: torch.device) -> dict[str, Any]:
    """``run.yaml`` of a run that begins."""
    subjects = {split: len({pair.subject for pair in used.split(split)}) for split in ("train", "val")}
    return {
        "status": "training",
        "objective": recipe.objective,
        "seed": recipe.seed,
        "cohort": {"name": pairs.folder.resolve().name, "fingerprint": mark, "subjects": subjects},
        "device": device_name(device),
        "command": command_line(),
        "versions": versions(),
    }


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
        if prefix + key == "task" and isinstance(value, list):  # several tasks: task.0.kind, task.1.kind
            value = {str(k): one for k, one in enumerate(value)}
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


_FREE = {"dropout", "dropout_layers", "projection", "degradation"}  # settings without weights
_MEANING = ("inputs", "neighbours", "context", "condition", "conditions", "numeric", "numeric_scales", "intensity")


@dataclass(frozen=True)
class WarmStart:
    """What a run begins with: G's weights, and the card of their model."""

    weights: Mapping[str, Tensor]
    card: ModelCard

    @property
    def model(self) -> dict[str, str | int]:
        """Which model it is, for ``run.yaml`` and the new card."""
        return {name: getattr(self.card, name) for name in ("name", "step", "checksum")}


def read_start(model: PathLike, recipe: Recipe) -> WarmStart:
    """Read the model that a run begins with.

    Args:
        recipe: The run, with conditions looked up.

    Raises:
        UserError: If there is no such model, or it has another architecture, other inputs or another intensity
            transform than the recipe, or a generator of the user's own.
        Failed: If its weights are NaN or infinite.
    """
    state, card = read_model(model)
    network = build_generator(state, card, str(model))
    wanted = [("generator", name) for name in Generator.model_fields if name not in _FREE]
    for part, name in [*wanted, *(("data", name) for name in _MEANING)]:
        theirs, ours = (getattr(getattr(one, part), name) for one in (card, recipe))
        if theirs != ours:
            raise UserError(
                f"{model} has {part}.{name} {quoted(theirs)}, found {quoted(ours)} in the recipe; a run that begins "
                "with its weights (--from) needs the same"
            )
    return WarmStart(network.state_dict(), card)
