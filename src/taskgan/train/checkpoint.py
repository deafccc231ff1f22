"""``last.ckpt``: everything that a run needs to go on as if it had never stopped."""

import hashlib
from pathlib import Path
from typing import Any

import torch

from taskgan.core.errors import UserError
from taskgan.core.files import atomic
from taskgan.core.parse import error_text, quoted
from taskgan.core.tensors import load_torch

CHECKPOINT = "last.ckpt"
FORMAT = 1
_PARTS = ("standing", "choice", "networks", "optimiser", "histories", "random")


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write ``last.ckpt`` atomically: a kill leaves the old one or the new one, whole.

    Args:
        folder: The run.
        state: Tensors and plain values only.
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
        raise UserError(
            f"{path} holds a {type(state).__name__}, expected a checkpoint; start anew with --overwrite"
        )
    if state.get("format") != FORMAT:
        raise UserError(
            f"{path} has format {quoted(state.get('format'))}, this version of taskgan reads {FORMAT}"
        )
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


def nonfinite_network(networks: dict[str, torch.nn.Module]) -> str | None:
    """Name of a network with NaN or infinite weights, or None; asked before a checkpoint is overwritten."""
    for name, network in networks.items():
        for value in network.state_dict().values():
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                return name
    return None
