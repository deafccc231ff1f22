"""Networks of others as they saved them, graph and weights: programs of ``torch.export`` and ONNX models."""

import io
import logging
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from taskgan.core.errors import UserError
from taskgan.core.parse import error_text
from taskgan.networks.photos import Prepared
from taskgan.recipe.preparation import Preparation

Program = Callable[[Tensor], Tensor]


class ForeignNetwork(Prepared):
    """A program that reads images, its bytes held as weights are, so that it is saved and known like any network.

    It is opened when it first reads, on the device of its images; it learns nothing, and there is nothing to switch
    between training and evaluation.

    Args:
        form: ``exported`` (``torch.export.save`` wrote it; gradients pass through) or ``onnx`` (one input, the first
            output is read; no gradient).
        outputs: Numbers an image that it must give.
        prepare: How images are shown to it.
        unused: What other recognisers can be told.
    """

    program: Tensor

    def __init__(
        self, *, form: Literal["exported", "onnx"], outputs: int, prepare: Preparation | None = None, **unused: Any
    ) -> None:
        super().__init__(prepare or Preparation())
        self._opener = _open_exported if form == "exported" else _open_onnx
        self._outputs, self._opened = outputs, dict[torch.device, Program]()
        self.reserve(0)

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
        images = self.prepare(x)
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

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}  # an open program is neither copied nor sent to another process


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
