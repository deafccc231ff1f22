"""Recognisers of the user's own: an exported torch program, which passes gradients on, or ONNX."""

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from taskgan.core.errors import UserError
from taskgan.core.parse import error_text
from taskgan.recipe.task import ProgramInput, RecogniserSettings, Target


class OwnNetwork(nn.Module):
    """A program in the place of a recogniser: slices are prepared as its author wants them, its answer as T's is.

    Its weights stay as they are; it is always in evaluation, which it was exported in.

    Attributes:
        content: The bytes of its file, (N,) uint8.

    Args:
        content: Bytes of what ``torch.export.save`` wrote (``network: program``), or of an ONNX file.
        settings: ``network``, ``input`` and ``weights``, the file's name in messages.
        target: The property; a ``regression``'s value is brought to the scale of T's output.

    Raises:
        UserError: If the file cannot be read, or onnxruntime is not installed.
    """

    mean: Tensor
    divide: Tensor

    def __init__(self, content: bytes, settings: RecogniserSettings, target: Target) -> None:
        super().__init__()
        self.content = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        self.file, self.target = str(settings.weights), target
        self.shown = settings.input or ProgramInput()
        for name in ("mean", "divide"):
            values = torch.tensor(getattr(self.shown, name), dtype=torch.float32)
            self.register_buffer(name, values.view(1, -1, 1, 1), persistent=False)
        self.program: Callable[[Tensor], Any] = (
            _torch_program(content, self.file) if settings.network == "program" else _onnx_program(content, self.file)
        )

    def train(self, mode: bool = True) -> "OwnNetwork":
        """Only remembered: an exported program has no other mode than its own."""
        self.training = mode
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Slices (B, 1, H, W) to outputs (B, n), of pixels (B, n, H, W), and features (B, C_k, h_k, w_k).

        The features are the program's second output, a list; its answer where it gives none.
        """
        answer = self.program(self.prepare(x))
        further: Any = []
        if isinstance(answer, tuple | list):
            answer, further = answer[0], answer[1] if len(answer) > 1 else []
        features = [further] if isinstance(further, Tensor) else list(further)
        output: Tensor = answer
        if self.target.facts.dense and output.ndim == 4:
            if self.shown.upright:
                output = output.transpose(2, 3)
            if output.shape[2:] != x.shape[2:]:
                output = F.interpolate(output, size=x.shape[2:], mode="bilinear", align_corners=False)
        if self.target.kind == "regression":
            output = (output - (self.target.centre or 0.0)) / (self.target.scale or 1.0)
        return output, features or [output if output.ndim == 4 else output.flatten(1)[..., None, None]]

    def prepare(self, x: Tensor) -> Tensor:
        """What the program sees of slices (B, 1, H, W): (B, channels, rows, columns)."""
        if self.shown.upright:
            x = x.transpose(2, 3)
        if self.shown.size is not None and x.shape[2:] != self.shown.size:
            x = F.interpolate(x, size=self.shown.size, mode="bilinear", align_corners=False, antialias=True)
        return ((self.shown.scale * x - self.mean) / self.divide).expand(-1, self.shown.channels, -1, -1).contiguous()

    def check(self, slices: Tensor, outputs: int, *, gradient: bool) -> None:
        """Hold its answers for some slices (S, 1, H, W) against the contract, one slice and two at a time.

        Args:
            slices: At least one, network units, where it will read.
            outputs: Numbers a slice (a pixel) that the kind of property asks for.
            gradient: Whether G is to learn from it.

        Raises:
            UserError: One sentence with file, found and expected.
        """
        for count in (1, 2):
            x = slices[:1].repeat(count, 1, 1, 1).requires_grad_(gradient)
            images = f"{count} image{'s' * (count > 1)} of {'×'.join(map(str, self.prepare(x).shape[1:]))}"
            try:
                with torch.set_grad_enabled(gradient):
                    answer: Any = self(x)[0]
            except Exception as error:  # a program can fail in any way
                raise UserError(
                    f"{self.file} does not read {images} ({error_text(error)}), "
                    "expected a program for any number of images of that size (input.size, input.channels)"
                ) from None
            expected = (count, outputs, *x.shape[2:]) if self.target.facts.dense else (count, outputs)
            if not isinstance(answer, Tensor) or tuple(answer.shape) != expected:
                found = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
                raise UserError(
                    f"{self.file} gives {found} for {images}, expected {expected}: "
                    f"{_CONTRACT[self.target.kind]} for kind {self.target.kind}"
                )
            if not bool(torch.isfinite(answer).all()):
                raise UserError(f"{self.file} gives NaN or infinite values for a clean image, expected finite ones")
            if gradient and not answer.requires_grad:
                raise UserError(f"{self.file} passes no gradient on, expected a program that G can learn from")


_CONTRACT = {
    "binary": "one logit, before the sigmoid,",
    "multi_class": "a logit of each class, before the softmax,",
    "multi_label": "a logit of each label, before the sigmoid,",
    "regression": "the value in the labels' unit",
    "segmentation": "a logit of each class in each pixel",
    "embedding": "a descriptor of task.size numbers",
}


def _torch_program(content: bytes, file: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(io.BytesIO(content)).module()
    except Exception as error:  # zip, JSON, the schema and torch each have their own
        raise UserError(
            f"{file} cannot be read as an exported program ({error_text(error)}), expected what torch.export.save wrote"
        ) from None
    return program.requires_grad_(False)


def onnx_session(model: bytes | str, threads: int = 0) -> Any:
    """ONNX Runtime's session for a file, as bytes or by its path; 0 threads are its own choice."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _onnx_program(content: bytes, file: str) -> Callable[[Tensor], Any]:
    try:
        session = onnx_session(content, torch.get_num_threads())
        (place,) = session.get_inputs()
    except ImportError:
        raise UserError(f"{file} needs onnxruntime, which is not installed: pip install 'taskgan[export]'") from None
    except Exception as error:  # onnxruntime's are of no common base, more than one input is a ValueError
        raise UserError(
            f"{file} cannot be read as ONNX ({error_text(error)}), expected one file with its weights and one input"
        ) from None

    def _answers(images: NDArray[np.float32]) -> list[Any]:
        return list(session.run(None, {place.name: images}))

    def _read(x: Tensor) -> Any:
        images = x.detach().cpu().numpy()
        if place.shape and place.shape[0] == 1:  # exported for one image
            parts = [_answers(images[k : k + 1]) for k in range(len(images))]
            return torch.from_numpy(np.concatenate([part[0] for part in parts])).to(x)
        return torch.from_numpy(np.asarray(_answers(images)[0])).to(x)

    return _read
