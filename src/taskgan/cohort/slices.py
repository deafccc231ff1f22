"""A case as a network sees it: axial slices in network units, with what is needed to go back.

A volume (X, Y, Z) in the axes of ``data.axes`` becomes slices (S, H, W) with S = Z, H = X and W = Y. Nothing is
resampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taskgan.cohort.pairs import Pair
from taskgan.core.errors import UserError
from taskgan.core.parse import check_voxels, quoted
from taskgan.degrade.degradation import enlarged
from taskgan.images.intensity import Intensity, fit_further, fit_intensity
from taskgan.images.volumes import Volume, read_volume
from taskgan.recipe import Data

Array = NDArray[np.float32]
Acquisition = tuple[tuple[Path | None, str], ...]
AFFINE_MM = 1e-3  # what writing an affine as a quaternion can cost


def to_slices(volume: Array) -> Array:
    """(X, Y, Z) to (S, H, W), contiguous."""
    return np.ascontiguousarray(np.moveaxis(volume, 2, 0))


def to_volume(slices: Array) -> Array:
    """(S, H, W) back to (X, Y, Z)."""
    return np.ascontiguousarray(np.moveaxis(slices, 0, 2))


def smoothed(image: Array, sd_mm: float, voxel_size: Sequence[float]) -> Array:
    """A volume (X, Y, Z) behind a 3D Gaussian, cut off at three standard deviations; beyond the frame the outermost
    values go on.

    Args:
        image: Any units: it is linear.
        voxel_size: Edges along X, Y and Z, mm.
    """
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(image, [sd_mm / edge for edge in voxel_size], mode="nearest", truncate=3.0))


def input_channels(degraded: Array, further: Sequence[Array], data: Data, voxel_size: Sequence[float]) -> Array:
    """The images of a case as channels, with the smoothed copies of the degraded one (``data.context``) after them.

    A copy (:func:`smoothed`) is linear in the volume, so it has the volume's scale.

    Args:
        degraded: (X, Y, Z), network units.
        further: Further inputs on the same grid, likewise.
        data: ``context``, in mm.
        voxel_size: Edges along X, Y and Z, mm; of no matter without ``context``.

    Returns:
        (S, I + K, H, W) float32.
    """
    copies = [smoothed(degraded, sd, voxel_size) for sd in data.context]
    return np.stack([to_slices(channel) for channel in (degraded, *further, *copies)], axis=1)


def with_neighbours(inputs: Array, index: int, neighbours: int, context: int = 0) -> Array:
    """The input channels of one slice, its neighbours included (2.5D); end slices are repeated.

    Args:
        inputs: (S, I + K, H, W).

    Returns:
        (I · (2·neighbours + 1) + K, H, W), the centre slice's channels first, so that channel 0 is always the
        degraded slice itself, and the context last.
    """
    if neighbours == 0:
        centre: Array = inputs[index]
        return centre
    offsets = [0, *(o for k in range(1, neighbours + 1) for o in (-k, k))]
    picked = [int(np.clip(index + o, 0, len(inputs) - 1)) for o in offsets]
    images = inputs.shape[1] - context
    stacked: Array = inputs[picked, :images].reshape(-1, *inputs.shape[2:])
    return np.concatenate([stacked, inputs[index, images:]]) if context else stacked


@dataclass(frozen=True)
class Case:
    """One pair, loaded.

    Attributes:
        inputs: (S, I + K, H, W) float32, network units; channel 0 is the degraded image, the last K its smoothed
            copies. Red, green and blue of a photo (``data.colour``) are three slices.
        clean: (S, H, W) float32 in the units of the degraded image's transform, or None.
        intensity: The transform, fitted on the degraded volume alone.
        source: The degraded volume in the axes of the slices, for its affine and header.
    """

    pair: Pair
    inputs: Array
    clean: Array | None
    intensity: Intensity
    source: Volume


def input_files(pair: Pair, data: Data) -> tuple[Path | None, ...]:
    """The files of a row's inputs, DICOM series as folders."""
    return (pair.degraded, *(pair.path(column) for column in data.inputs[1:]))


def acquisition(pair: Pair, data: Data) -> Acquisition:
    """Files of a row's inputs and the series in them, by which rows of one acquisition know each other."""
    columns = ("degraded", *data.inputs[1:])
    return tuple((path, pair.series(c)) for path, c in zip(input_files(pair, data), columns, strict=True))


def load_case(pair: Pair, data: Data, *, clean: bool = True, known: Case | None = None, enlarge: float = 1) -> Case:
    """Read and scale the images of one row.

    Args:
        known: A case that was loaded with the same settings: if its inputs are the same files they are taken over,
            not read again.
        enlarge: Photos have so many times more pixels along each axis, bicubic as in degradations.

    Raises:
        UserError: If an image cannot be read, the shapes of a pair differ, or a further input lies elsewhere.
    """
    if known is not None and acquisition(known.pair, data) == acquisition(pair, data):
        inputs, intensity, source = known.inputs, known.intensity, known.source
    else:
        inputs, intensity, source = _load_inputs(pair, data, enlarge)
    target = None
    if clean:
        if pair.clean is None:
            raise UserError(f"row {pair.row} (case {pair.case}) names no clean image")
        truth = read_volume(pair.clean, axes=data.axes, series=pair.series("clean"))
        _same_shape(truth, source, pair.clean, pair)
        target = to_slices(intensity.apply(truth.planes(data.colours, pair.clean)))
    return Case(pair, inputs, target, intensity, source)


def _load_inputs(pair: Pair, data: Data, enlarge: float) -> tuple[Array, Intensity, Volume]:
    source = read_volume(pair.degraded, axes=data.axes, series=pair.series("degraded"))
    if enlarge > 1:
        check_voxels(pair.degraded, [round(n * enlarge) for n in source.data.shape[:2]], photo=True)
        colours = None if source.colours is None else enlarged(source.colours, enlarge)
        source = replace(source, data=enlarged(source.data, enlarge), colours=colours)
    intensity = fit_intensity(data.intensity, source.data, str(pair.degraded))
    further = []
    for column in data.inputs[1:]:
        path = pair.path(column)
        if path is None:
            raise UserError(f"row {pair.row} (case {pair.case}) names no image in the input column {quoted(column)}")
        extra = read_volume(path, axes=data.axes, series=pair.series(column))
        _same_shape(extra, source, path, pair)
        if not np.allclose(extra.affine, source.affine, rtol=0, atol=AFFINE_MM):
            raise UserError(f"{path} has another affine than {pair.degraded.name}, expected images on one grid")
        further.append(fit_further(data.intensity, intensity, extra.data, str(path)).apply(extra.data))
    degraded = intensity.apply(source.planes(data.colours, pair.degraded))
    inputs = input_channels(degraded, further, data, source.voxel_size if data.context else ())
    return inputs, intensity, replace(source, colours=None)  # they are in the inputs; whole cohorts are held


def _same_shape(image: Volume, source: Volume, path: object, pair: Pair) -> None:
    if image.data.shape != source.data.shape:
        raise UserError(
            f"{path} has shape {'×'.join(map(str, image.data.shape))}, expected "
            f"{'×'.join(map(str, source.data.shape))} like the degraded image of case {pair.case}"
        )
