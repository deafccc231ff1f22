"""``last.ckpt``: everything that a run needs to go on as if it had never stopped."""

import hashlib
from pathlib import Path
from typing import Any

import torch

from taskgan.errors import UserError
from taskgan.files import atomic

NAME = "last.ckpt"
FORMAT = 1


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write ``last.ckpt`` atomically: a kill leaves the old one or the new one, whole.

    Args:
        folder: The run.
        state: Tensors and plain values only.
    """
    with atomic(folder / NAME) as partial, partial.open("wb") as handle:
        torch.save({"format": FORMAT, **state}, handle)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read ``last.ckpt`` to the CPU without running any code in it; None where there is none.

    Raises:
        UserError: If it is damaged or of another version's format.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch each have their own
        raise UserError(
            f"{path} cannot be read as a checkpoint ({error}); start anew with --overwrite"
        ) from None
    if state.get("format") != FORMAT:
        raise UserError(f"{path} has format {state.get('format')}, this version of taskgan reads {FORMAT}")
    return state


def weights_mark(network: torch.nn.Module) -> str:
    """SHA-256 of a network's weights, whatever device and memory format they are in."""
    found = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        tensor = value.detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def finite(networks: dict[str, torch.nn.Module]) -> str | None:
    """Name of a network with NaN or infinite weights, or None; asked before a checkpoint is overwritten."""
    for name, network in networks.items():
        for value in network.state_dict().values():
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                return name
    return None
