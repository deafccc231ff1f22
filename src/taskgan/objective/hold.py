"""Networks that a loss passes through without teaching them."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def held(*networks: nn.Module) -> Iterator[None]:
    """Within the block the weights of ``networks`` get no gradient, though gradients flow through to their input.

    G's step needs it for D always and for T where T is frozen: the forward pass must be inside the block (a
    graph remembers what required a gradient when it was built), the backward pass need not be. What required
    a gradient before does so again afterwards.
    """
    held_back = [p for network in networks for p in network.parameters() if p.requires_grad]
    for parameter in held_back:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held_back:
            parameter.requires_grad_(True)
