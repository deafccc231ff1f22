"""Eq. 1: the pixel loss."""

from torch import Tensor


def pixel_loss(restored: Tensor, clean: Tensor) -> Tensor:
    """Eq. 1, L_pixel = mean |x̂ − x|, per case.

    Args:
        restored: x̂ (B, C, H, W), network units.
        clean: x, the same shape.

    Returns:
        (B,), not negative, zero only where x̂ = x.

    Raises:
        ValueError: If the shapes differ (broadcasting would hide it).
    """
    if restored.shape != clean.shape:
        raise ValueError(f"restored {tuple(restored.shape)} and clean {tuple(clean.shape)} differ in shape")
    return (restored - clean).abs().flatten(1).mean(dim=1)
