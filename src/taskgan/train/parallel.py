"""Several devices as one: each has its block of the batch, and together they make the step of the whole batch.

Networks are not wrapped: a step has several backward passes over shared graphs, which wrappers such as DDP do
not know how to overlap with communication. One reduction of all gradients after them is simple and exact.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def over_all_devices(features: Sequence[Tensor], fabric: Any) -> list[Tensor]:
    """Batch means over all devices, for Eq. 2 (the features themselves where there is one device).

    Args:
        features: (B, C, h, w) a layer, this device's part of the batch.
        fabric: Devices.

    Returns:
        (1, C, h, w) a layer. The value is the mean over the whole batch; the gradient is that of this device's
        mean alone, so that the *average* of the devices' gradients is the gradient of the whole batch.
    """
    if fabric.world_size == 1:
        return list(features)
    means = [f.mean(dim=0, keepdim=True) for f in features]
    flat = torch.cat([m.detach().flatten() for m in means])
    whole = fabric.all_reduce(flat, reduce_op="mean")
    parts = torch.split(whole, [m.numel() for m in means])
    return [m + (p.view_as(m) - m.detach()) for m, p in zip(means, parts, strict=True)]


def of_all_devices(images: Tensor, fabric: Any, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Change the images of all devices as one batch, and take this device's part of what comes out.

    Args:
        images: (B, C, H, W), this device's part, without a graph.
        fabric: Devices.
        change: From the whole batch, in the devices' order, to as many images.
    """
    if fabric.world_size == 1:
        return change(images)
    start = fabric.global_rank * len(images)
    return change(fabric.all_gather(images).flatten(0, 1))[start : start + len(images)]


@torch.no_grad()
def average_statistics(network: nn.Module, fabric: Any) -> None:
    """Replace what the norms of a network have counted by the mean over the devices, which saw different images."""
    counted = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    if fabric.world_size == 1 or not counted:
        return
    whole = fabric.all_reduce(torch.cat([b.flatten() for b in counted]), reduce_op="mean")
    for buffer, part in zip(counted, torch.split(whole, [b.numel() for b in counted]), strict=True):
        buffer.copy_(part.view_as(buffer))


@torch.no_grad()
def average_gradients(weights: Mapping[str, Sequence[nn.Parameter]], fabric: Any) -> None:
    """Replace every gradient by its mean over the devices."""
    if fabric.world_size == 1:
        return
    gradients = [p.grad for group in weights.values() for p in group if p.grad is not None]
    whole = fabric.all_reduce(torch.cat([g.flatten() for g in gradients]), reduce_op="mean")
    for gradient, part in zip(gradients, torch.split(whole, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
