"""A generator applied to slices and volumes: deterministic, in the input's units, whatever the batch."""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from taskgan.cohort.conditions import plane_code
from taskgan.cohort.slices import input_channels, to_volume
from taskgan.core.errors import UserError
from taskgan.core.files import PathLike
from taskgan.images.intensity import Intensity, fit_further, fit_intensity
from taskgan.model.blocks import SliceStack, as_volume, restore_blocks, slice_generator
from taskgan.model.engines import Computation, Engine, EngineNetwork, Precision, fold_batch_norms, unprojected
from taskgan.model.folder import ModelCard, build_generator, custom_generator, read_between, read_model
from taskgan.networks.generator import UNet
from taskgan.networks.layers import evaluating
from taskgan.recipe import Data

Array = NDArray[np.float32]
Image = TypeVar("Image", NDArray[Any], torch.Tensor)

BF16_TOLERANCE = 0.01  # of the restored slice's largest value
_BF16_BATCH = 4  # enough for the innermost layers' weights, which are most of the network, to be read less often


@dataclass(frozen=True)
class RestoredVolume:
    """A restored volume or stack of slices.

    Attributes:
        image: Restored values, same shape as the degraded image; the mean where samples were drawn.
        sd: Standard deviation over the samples (N - 1), or None without samples.
        intensity: The transform, fitted on the degraded image alone.
        precision: ``32`` or ``bf16``, as used.
        error: Largest difference of bfloat16 from float32 on the probed slice, as a share of its largest value;
            None where nothing was probed.
        engine: ``torch``, ``onnxruntime`` or ``openvino``, as used.
    """

    image: Array
    sd: Array | None
    intensity: Intensity
    precision: Literal["32", "bf16"]
    error: float | None
    engine: str = "torch"


class Restorer:
    """Applies a generator.

    Args:
        network: The generator. It may be one in training: it is used in evaluation and put back. (In bfloat16 it
            is copied here and now; later steps of a training do not reach the copy.)
        precision: ``32``; ``bf16`` (all but the last layer; a :class:`UNet` on the CPU only); ``auto``: bfloat16
            where the CPU has it in hardware and the brightest slice of a volume differs by at most 1 % of its
            range (:data:`BF16_TOLERANCE`), decided per volume.
        batch_size: Slices at once in float32: memory, not results. In bfloat16 batches always have four, the
            last one filled up: another size could be summed in another order, which bfloat16 would show.
        engine: See :mod:`taskgan.model.engines`. Samples are drawn by torch.

    Raises:
        UserError: If bfloat16 is asked of a network that is no U-Net on the CPU, or of an engine that has none.
    """

    def __init__(
        self,
        network: nn.Module,
        data: Data,
        *,
        precision: Precision = "32",
        batch_size: int = 4,
        engine: Engine = "torch",
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, expected at least 1")
        self.data, self.batch_size = data, batch_size
        self.card: ModelCard | None = None
        self._numbers: Mapping[str, float] = {}
        self._network = network
        self._device = next(network.parameters()).device
        self._computation = Computation(network, precision, engine)

    @classmethod
    def from_folder(
        cls,
        folder: PathLike,
        *,
        generator: nn.Module | None = None,
        precision: Precision = "auto",
        batch_size: int = 4,
        device: str = "cpu",
        engine: Engine = "torch",
        between: tuple[PathLike, float] | None = None,
    ) -> "Restorer":
        """A restorer of a model folder; its ``card`` is the model's.

        Args:
            generator: Where the model was trained with a G of the user's own: that module; a copy of it gets the
                model's weights.
            precision: See :class:`Restorer`.
            engine: See :class:`Restorer`.
            between: A model that was started from this one, and how far towards its weights (0 to 1).

        Raises:
            UserError: If the folder is no model (see :func:`~taskgan.model.folder.read_model`), or a
                generator is missing or one too many.
            Failed: If its weights are not finite.
        """
        state, card = read_model(folder) if between is None else read_between(folder, *between)
        network: nn.Module
        if generator is None:
            built = build_generator(state, card, str(folder))
            network = fold_batch_norms(built, in_place=True) if isinstance(built, UNet) else built
        else:
            network = custom_generator(generator, state, card, str(folder))
        restorer = cls(network.to(device), card.data, precision=precision, batch_size=batch_size, engine=engine)
        restorer.card = card
        return restorer

    def restore(
        self, image: Image, *, spacing: Sequence[float] | None = None, extras: Sequence[Image] = (), condition: str = ""
    ) -> Image:
        """Restore an array or a tensor; :meth:`restore_volume` also draws samples and says how it worked.

        Args:
            image: (X, Y, Z) or one slice (X, Y), a numpy array or a tensor of any device, in the images' own units. X
                and Y are the axes of the NIfTI file; of a photo X is its columns, and (X, Y, 3) its colours for a
                model of these.
            spacing: Voxel edges in mm, one an axis. Nothing is resampled: where given, they and the intensity are
                compared with what the model saw, and what differs is a ``UserWarning``. A model with smoothed copies
                among its inputs (``data.context``) needs them.
            extras: Further input channels on the same grid (``data.inputs``).
            condition: Which of several images (``data.conditions``) is wanted.

        Returns:
            The restored image in the same units: an array for an array, a tensor on the same device for a tensor, of
            the same shape and, where that is a floating one, type (float32 otherwise).

        Raises:
            UserError: If the image has not two or three axes, or see :meth:`restore_volume`.
        """
        if image.ndim not in (2, 3):
            raise UserError(f"the image has shape {tuple(image.shape)}, expected (X, Y, Z) or (X, Y)")
        degraded = as_volume(image)
        further = [as_volume(one) for one in extras]
        restored = self.restore_volume(degraded, further, spacing=spacing, condition=condition)
        if spacing is not None and self.card is not None:
            from taskgan.model.folder import domain_warnings

            for text in domain_warnings(spacing, restored.intensity.scale, self.card):
                warnings.warn(f"the image has {text}", stacklevel=2)
        values = restored.image.reshape(tuple(image.shape))
        if isinstance(image, torch.Tensor):
            kind = image.dtype if image.is_floating_point() else torch.float32
            return torch.from_numpy(values).to(image.device, kind)
        return values.astype(image.dtype if np.issubdtype(image.dtype, np.floating) else np.float32)

    def restore_slices(self, inputs: Array, condition: str = "") -> Array:
        """Restore the slices of one case.

        Args:
            inputs: (S, I + K, H, W) float32, network units; channel 0 is the degraded image, the last K are its
                smoothed copies. Neighbours (2.5D) are taken from the other slices; of a model of colours each three
                are red, green and blue of one.
            condition: Which of several images (``data.conditions``) is wanted.

        Returns:
            (S, H, W) float32, network units.

        Raises:
            UserError: If the model does not know the condition, or needs one.
        """
        stack = self._stack(inputs, condition)
        return self._restore(self._choose(stack)[0], stack)

    def _stack(self, inputs: Array, condition: str) -> "SliceStack":
        colours = self.data.colours
        if len(inputs) % colours:
            raise UserError(f"the image has {len(inputs)} planes, the model restores red, green and blue of photos")
        inputs = inputs.reshape(-1, inputs.shape[1] * colours, *inputs.shape[2:])
        return SliceStack(
            inputs, self.data.neighbours, len(self.data.context), plane_code(condition, self._numbers, self.data)
        )

    def _restore(self, network: nn.Module, stack: "SliceStack") -> Array:
        with evaluating(network):
            if self.data.patch is not None:
                restored = restore_blocks(self._network, stack.volume(), self._device, network)
            else:
                slices = [self._run(network, stack, part) for part in self._parts(network, stack)]
                restored = np.concatenate(slices)
        return stack.keep_empty(restored)

    def with_numbers(self, numbers: Mapping[str, float]) -> "Restorer":
        """The same for images of these values of ``data.numeric``, such as ``{"dose": 5}``."""
        twin = copy.copy(self)
        twin._numbers = dict(numbers)
        return twin

    def in_float32(self) -> "Restorer":
        """The same without bfloat16: for images of more levels than that has, such as photos of 16 bits."""
        twin = copy.copy(self)
        twin._computation = Computation(self._network, "32", self._computation.engine)
        return twin

    @property
    def projects(self) -> bool:
        """Whether the model has a projection (:mod:`taskgan.networks.projection`)."""
        return isinstance(self._network, UNet) and self._network.projection is not None

    @contextmanager
    def unprojected(self) -> Iterator[None]:
        """For the block networks do without their projection: what they are shown is parts of images, and blur and
        down-sampling are known of whole ones. :meth:`project` makes up for it.
        """
        with unprojected(self._network), unprojected(self._computation.small or self._network):
            yield

    def project(self, restored: Array, inputs: Array) -> Array:
        """Make restored slices agree with their input by the model's projection; without one they stay.

        Args:
            restored: (S, H, W) float32, network units.
            inputs: (S, I, H, W), likewise.
        """
        if not isinstance(self._network, UNet):
            return restored
        images = [torch.from_numpy(np.ascontiguousarray(image)) for image in (restored[:, None], inputs[:, :1])]
        with torch.inference_mode():
            outputs = self._network.project(*(image.to(self._device) for image in images))
        return np.asarray(outputs[:, 0].cpu().numpy())

    def check_samples(self, samples: int) -> None:
        """Refuse what :meth:`sample_slices` cannot draw.

        Raises:
            UserError: If there are fewer than two samples, or the model has no dropout to draw from.
        """
        if samples < 2:
            raise UserError(f"samples is {samples}, expected at least 2: one has no standard deviation")
        if not isinstance(self._network, UNet) or self._network.dropout * self._network.dropout_layers == 0:
            raise UserError("the model has no dropout to draw from: all samples would be the same")

    def sample_slices(self, inputs: Array, samples: int, seed: int = 0, condition: str = "") -> tuple[Array, Array]:
        """Draw restorations with dropout on (z): their mean and standard deviation.

        A slice's draws depend on the seed, the slice's place and the sample's number, not on the batch.

        Args:
            inputs: As in :meth:`restore_slices`.
            samples: How many, at least 2.
            condition: As in :meth:`restore_slices`.

        Returns:
            Mean and standard deviation (N - 1), each (S, H, W) float32, network units.

        Raises:
            UserError: If fewer than two are asked for, the model has no dropout to draw from, or it does not know
                the condition.
        """
        self.check_samples(samples)
        stack = self._stack(inputs, condition)
        return self._sample(self._choose(stack, "torch")[0], stack, samples, seed)

    def _sample(self, network: nn.Module, stack: "SliceStack", samples: int, seed: int) -> tuple[Array, Array]:
        colours = self.data.colours
        mean = np.zeros((len(stack.inputs) * colours, *stack.inputs.shape[2:]), np.float64)
        spread = np.zeros_like(mean)
        with evaluating(network):
            for part in self._parts(network, stack):
                at = slice(part.start * colours, part.stop * colours)
                for number in range(samples):
                    z = [slice_generator(seed, index, number) for index in part]
                    sample = self._run(network, stack, part, z)
                    # Welford's update: exact for equal samples, unlike a difference of two large sums.
                    step = sample - mean[at]
                    mean[at] += step / (number + 1)
                    spread[at] += step * (sample - mean[at])
        sd = np.sqrt(spread / (samples - 1))
        return stack.keep_empty(mean.astype(np.float32)), stack.keep_empty(sd.astype(np.float32))

    def restore_volume(
        self,
        degraded: Array,
        extras: Sequence[Array] = (),
        *,
        spacing: Sequence[float] | None = None,
        samples: int = 0,
        seed: int = 0,
        name: str = "the image",
        condition: str = "",
    ) -> RestoredVolume:
        """Restore a volume in its own units: ``restore(3·x) = 3·restore(x)``.

        Args:
            degraded: (X, Y, Z) float32, any units.
            extras: Further input channels on the same grid, in the order of ``data.inputs``; each is scaled by
                its own transform, or by that of the degraded one where ``data.intensity.shared`` is set.
            spacing: Voxel edges in mm, for a model with smoothed copies among its inputs.
            samples: 0 restores once; N gives mean and standard deviation of N draws of z.
            condition: Which of several images (``data.conditions``) is wanted.

        Raises:
            UserError: If the volume cannot be scaled, the number of channels or their shapes are wrong, the spacing
                is missing, or the model does not know the condition.
        """
        if len(extras) != len(self.data.inputs) - 1:
            columns = ", ".join(self.data.inputs)
            raise UserError(f"{name} comes with {1 + len(extras)} input images, the model takes {columns}")
        intensity = fit_intensity(self.data.intensity, degraded, name)
        if self.data.context and spacing is None:
            sds = ", ".join(f"{sd:g}" for sd in self.data.context)
            raise UserError(f"{name} comes without spacing; expected its voxels' edges in mm, to smooth by {sds} mm")
        further = []
        for extra in extras:
            if extra.shape != degraded.shape:
                raise UserError(f"{name} has shape {degraded.shape}, a further input channel has {extra.shape}")
            further.append(fit_further(self.data.intensity, intensity, extra, name).apply(extra))
        edges = (*(spacing or ()), 1.0, 1.0, 1.0)[:3]
        inputs = input_channels(intensity.apply(degraded), further, self.data, edges)
        return self.restore_inputs(inputs, intensity, samples=samples, seed=seed, condition=condition)

    def restore_inputs(
        self, inputs: Array, intensity: Intensity, *, samples: int = 0, seed: int = 0, condition: str = ""
    ) -> RestoredVolume:
        """:meth:`restore_volume` for what :func:`~taskgan.cohort.slices.load_case` gives: (S, I, H, W)."""
        if samples:
            self.check_samples(samples)
        stack = self._stack(inputs, condition)
        network, error = self._choose(stack, "torch" if samples else "")
        both = self._sample(network, stack, samples, seed) if samples else (self._restore(network, stack), None)
        image, sd = both
        return RestoredVolume(
            image=to_volume(intensity.invert(image)),
            sd=None if sd is None else to_volume(intensity.invert(sd)),
            intensity=intensity,
            precision="bf16" if network is self._computation.small else "32",
            error=error,
            engine=self._computation.used,
        )

    def _choose(self, stack: "SliceStack", engine: str = "") -> tuple[nn.Module, float | None]:
        """The network for these inputs, and how far bfloat16 was found to be off where that was probed."""
        computation = self._computation
        if (engine or computation.engine) == "auto":
            computation.engine = self._fastest(stack)
        computation.use(engine or computation.engine)
        small = computation.small
        if small is None or not computation.probe:
            return small or computation.exact, None
        brightest = int(np.argmax(stack.inputs[:, 0].sum(axis=(1, 2), dtype=np.float64)))
        part = range(brightest, brightest + 1)
        with evaluating(self._network), evaluating(small):
            exact = self._run(self._network, stack, part)
            error = float(np.abs(self._run(small, stack, part) - exact).max())
        error /= max(float(np.abs(exact).max()), float(np.finfo(np.float32).tiny))
        return (small if error <= BF16_TOLERANCE else computation.exact), error

    def _fastest(self, stack: "SliceStack") -> Engine:
        """The engine for volumes of this size on this machine."""
        size = (16, 128, 128) if self.data.patch is not None else (_BF16_BATCH, *stack.inputs.shape[2:])
        part = replace(stack, inputs=stack.inputs[: size[0], :, : size[1], : size[2]])

        def _work(network: nn.Module) -> None:
            self._restore(network, part)

        settings = self.card and {"generator": self.card.generator.model_dump(), "custom": self.card.custom}
        name = settings or type(self._network).__name__
        key = {"network": name, "size": part.inputs.shape, "batch": self.batch_size}
        return self._computation.fastest(_work, key, -(-stack.inputs.size // part.inputs.size))

    def _parts(self, network: nn.Module, stack: "SliceStack") -> list[range]:
        size, count = _BF16_BATCH if network is self._computation.small else self.batch_size, len(stack.inputs)
        return [range(start, min(start + size, count)) for start in range(0, count, size)]

    def _run(
        self, network: nn.Module, stack: "SliceStack", part: range, z: Sequence[torch.Generator] | None = None
    ) -> Array:
        small = network is self._computation.small
        whole = _BF16_BATCH if small else self.batch_size  # an engine compiles for one size
        filled = max(0, whole - len(part)) if small or isinstance(network, EngineNetwork) else 0
        places = [*part, *[part[-1]] * filled]
        if z is not None:
            z = [*z, *[torch.Generator() for _ in range(filled)]]
        images = torch.from_numpy(np.stack([stack.channels(index) for index in places])).to(self._device)
        # TensorFloat-32 has few more digits than bfloat16, and rounds differently in another batch.
        with torch.inference_mode(), torch.backends.cudnn.flags(True, deterministic=True, allow_tf32=False):
            restored = network(images) if z is None else network(images, z)
        slices = restored[: len(part), : self.data.colours].float().cpu().numpy()
        return np.asarray(slices.reshape(-1, *slices.shape[2:]))
