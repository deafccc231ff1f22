"""What happens to an image before a recogniser's first layer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_FLAT = 0.05  # SD in network units of an image that has hardly anything to enlarge


class PreparedNetwork(nn.Module):
    """Coarser images, or images of one light, for a network that need not see more.

    Args:
        network: ``forward(x (B, C, H, W)) -> (outputs (B, …), features)``.
        reduce: Edge of the squares of pixels that are averaged into one; what is left over at the end of a side is
            averaged by itself.
        standardise: Take the mean off every image and divide it by its SD (plus 0.05, so that noise is not blown up).
    """

    def __init__(self, network: nn.Module, *, reduce: int = 1, standardise: bool = False) -> None:
        super().__init__()
        self.network = network
        self.reduce, self.standardise = reduce, standardise

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, H, W) to what the network gives for the prepared images."""
        if self.reduce > 1:
            x = F.avg_pool2d(x, self.reduce, ceil_mode=True, count_include_pad=False)
        if self.standardise:
            variance, mean = torch.var_mean(x, dim=(1, 2, 3), correction=0, keepdim=True)
            x = (x - mean) / (variance.sqrt() + _FLAT)
        output: tuple[Tensor, list[Tensor]] = self.network(x)
        return output
