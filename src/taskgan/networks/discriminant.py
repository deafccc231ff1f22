"""A network with a last linear layer that is not learnt by its gradient."""

from torch import Tensor, nn


class Discriminant(nn.Module):
    """A network, then a linear layer, which :mod:`taskgan.recogniser.discriminant` fits in closed form.

    Args:
        network: ``forward(x) -> (outputs (B, length), features)``.
        length: Of its outputs.
        outputs: Of the layer, at most ``length``; before it is fitted it passes the first of them on.
    """

    def __init__(self, network: nn.Module, length: int, outputs: int) -> None:
        super().__init__()
        if outputs > length:
            raise ValueError(f"a discriminant makes {length} numbers fewer or as many, asked for {outputs}")
        self.network = network
        # Draws nothing: the network learns the same with and without it.
        self.last: nn.Linear = nn.utils.skip_init(nn.Linear, length, outputs)  # type: ignore[no-untyped-call]
        nn.init.eye_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, H, W) to (B, outputs) and the network's features."""
        output, features = self.network(x)
        return self.last(output), features
