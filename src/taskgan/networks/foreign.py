"""Networks of others as they saved them, graph and weights: programs of ``torch.export`` and ONNX models."""

import io
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from taskgan.core.errors import UserError
from taskgan.core.parse import error_text
from taskgan.networks.resample import cropped
from taskgan.recipe.preparation import Preparation

Program = Callable[[Tensor], Tensor]


class ForeignNetwork(nn.Module):
    """A program that reads images, its bytes held as weights are, so that it is saved and known like any network.

    It is opened when it first reads, on the device of its images; it learns nothing, and there is nothing to switch
    between training and evaluation.

    Args:
        opener: Makes a program of its bytes and a device.
        prepare: How images are shown to it.
        outputs: Numbers an image that it must give.
    """

    program: Tensor
    shift: Tensor
    factor: Tensor

    def __init__(self, opener: Callable[[bytes, torch.device], Program], prepare: Preparation, outputs: int) -> None:
        super().__init__()
        self._opener, self.prepare, self._outputs = opener, prepare, outputs
        self._opened: dict[torch.device, Program] = {}
        self.reserve(0)
        for name, values in (("shift", prepare.mean), ("factor", prepare.sd)):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)

    def reserve(self, size: int) -> None:
        """Room for a program of so many bytes, which ``load_state_dict`` fills."""
        self.register_buffer("program", torch.zeros(size, dtype=torch.uint8))

    def load_program(self, program: bytes) -> None:
        """Take a program and open it, so that a damaged one is refused at once.

        Raises:
            UserError: If it cannot be opened.
        """
        self._opened = {torch.device("cpu"): self._opener(program, torch.device("cpu"))}
        self.register_buffer("program", torch.from_numpy(np.frombuffer(program, dtype=np.uint8).copy()))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Slices (B, C, H, W) to outputs (B, outputs), which are its only features, too: (B, outputs, 1, 1).

        Raises:
            UserError: If the program cannot be opened, does not take such images or gives something else.
        """
        images = self.shown(x)
        if x.device not in self._opened:
            self._opened[x.device] = self._opener(bytes(self.program.cpu().numpy()), x.device)
        try:
            output = self._opened[x.device](images)
        except Exception as error:  # guards of exported shapes and the runtime have their own
            raise UserError(
                f"the program of others does not read images {tuple(images.shape)}: {error_text(error)}; expected "
                "one that takes any number of them (a dynamic first axis) at the size of prepare.pixels"
            ) from None
        if not isinstance(output, Tensor) or output.shape != (len(x), self._outputs):
            found = tuple(output.shape) if isinstance(output, Tensor) else f"a {type(output).__name__}"
            raise UserError(
                f"the program of others gives {found}, expected {(len(x), self._outputs)}: numbers an image"
            )
        return output.float(), [output.float()[:, :, None, None]]

    def shown(self, x: Tensor) -> Tensor:
        """What the program sees of slices (B, C, H, W)."""
        settings = self.prepare
        x = x.transpose(2, 3) if settings.upright else x
        if settings.pixels is not None:
            x = cropped(x, settings.crop, settings.pixels)
        return (settings.scale * x.expand(-1, settings.channels, -1, -1) - self.shift) / self.factor

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}  # an open program is neither copied nor sent to another process


def exported(
    *, in_channels: int, width: int, norm: str, dropout: float, outputs: int, prepare: Preparation | None = None
) -> ForeignNetwork:
    """A program that ``torch.export.save`` wrote; gradients pass through it."""
    return ForeignNetwork(_open_exported, prepare or Preparation(), outputs)


def onnx(
    *, in_channels: int, width: int, norm: str, dropout: float, outputs: int, prepare: Preparation | None = None
) -> ForeignNetwork:
    """An ONNX model with one input and the descriptor or the logits as its first output; it gives no gradient."""
    return ForeignNetwork(_open_onnx, prepare or Preparation(), outputs)


def _open_exported(program: bytes, device: torch.device) -> Program:
    """The program's module. A file of ``torch.export`` is a program: it is for those whom one trusts."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # torch logs the traceback of what it cannot open
    try:
        loaded = torch.export.load(io.BytesIO(program))
        if device.type != "cpu":
            from torch.export.passes import move_to_device_pass

            loaded = move_to_device_pass(loaded, device)
        module = loaded.module()
        for parameter in module.parameters():
            parameter.requires_grad_(False)
    except Exception as error:  # zip, json, pickle and torch each have their own
        raise UserError(
            f"the program of {len(program)} bytes cannot be opened as torch.export saves them: {error_text(error)}"
        ) from None
    finally:
        logging.disable(level)

    def _run(images: Tensor) -> Tensor:
        output = module(images)
        result: Tensor = output[0] if isinstance(output, tuple | list) and output else output
        return result

    return _run


def _open_onnx(program: bytes, device: torch.device) -> Program:
    """A session on the CPU; what it reads is copied there and back."""
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            "network: onnx needs onnxruntime, which is not installed: pip install 'taskgan[onnx]'"
        ) from None
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = torch.get_num_threads()
        providers = ["CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(program, options, providers=providers, enable_fallback=0)
        (name,) = (entry.name for entry in session.get_inputs())
    except Exception as error:  # the runtime has its own
        raise UserError(
            f"the model of {len(program)} bytes cannot be opened as ONNX with one input: {error_text(error)}"
        ) from None

    def _run(images: Tensor) -> Tensor:
        read = session.run(None, {name: images.detach().float().cpu().numpy()})[0]
        return torch.from_numpy(read).to(images.device)

    return _run
