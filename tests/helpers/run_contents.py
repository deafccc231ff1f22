"""Two runs held against each other, to the bit."""

from pathlib import Path
from typing import Any

import torch


def contents(run: Path) -> dict[str, Any]:
    """All that a finished run leaves: checkpoint, curves, weights and model card."""
    return {
        "checkpoint": torch.load(run / "last.ckpt", weights_only=True),
        "metrics": (run / "metrics.csv").read_text(),
        "weights": (run / "model" / "generator.safetensors").read_bytes(),
        "card": (run / "model" / "model.yaml").read_text(),
    }


def same(one: Any, other: Any) -> bool:
    """Whether nested mappings, sequences, tensors and plain values are equal throughout."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)
