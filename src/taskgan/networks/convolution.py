"""Convolutions that are right in bfloat16 too."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Conv2d(nn.Conv2d):
    """:class:`torch.nn.Conv2d`, also where a bfloat16 map of the CPU narrows to one column.

    There oneDNN's kernel for AMX (torch 2.13) leaves memory that was never written in the result: with a stride, an
    output of width 1 and more than a few rows is arbitrary, up to 1e37 (``tests/networks/test_convolution.py``). The
    transposed map, whose output has one row, is right, and convolution commutes with transposition.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, H, W); see :class:`torch.nn.Conv2d`."""
        low = x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
        if not low or x.device.type != "cpu" or self._columns(x.shape[-1]) != 1:
            return super().forward(x)
        stride, padding, dilation = self.stride[::-1], self.padding[::-1], self.dilation[::-1]
        y = functional.conv2d(x.mT, self.weight.mT, self.bias, stride, padding, dilation, self.groups)
        return y.mT.contiguous(memory_format=torch.channels_last)

    def _columns(self, width: int) -> int:
        """Width of the output."""
        padded = width + 2 * int(self.padding[1])
        return (padded - self.dilation[1] * (self.kernel_size[1] - 1) - 1) // self.stride[1] + 1
