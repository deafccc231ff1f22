"""One scan: its two images on one grid, in the units that are wanted, a frame at a time."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taskgan.core.errors import UserError
from taskgan.images.orientation import turn_towards, turned, turned_affine
from taskgan.images.volumes import is_nifti_name, load_nifti
from taskgan.prepare.images import describe_grid, read_image, resample
from taskgan.prepare.pet.rows import PetPreparation, PetRow

Array = NDArray[np.float32]
Affine = NDArray[np.float64]
HALF_LIVES_S = {
    "F18": 6586.2, "C11": 1221.8, "N13": 597.9, "O15": 122.24, "Ga68": 4057.7, "Cu64": 45721.4, "Zr89": 282276.0
}  # fmt: skip
"""Of radionuclides as BIDS writes them (DDEP recommended data)."""
_KEPT = (
    *("Manufacturer", "ManufacturersModelName", "TracerName", "TracerRadionuclide", "Units", "BodyPart"),
    *("FrameDuration", "ReconMethodName", "ReconFilterType", "ReconFilterSize", "AttenuationCorrection", "DosePercent"),
)
"""What a sidecar keeps of the user's own: the acquisition, and nothing of who, where or when."""


@dataclass(frozen=True)
class LoadedScan:
    """The images of a case, all on one grid.

    Attributes:
        frame: Number of the frame; None of a static image.
        low: (X, Y, Z), as ``standard``.
        affine: Voxel to world, mm.
        masks: By column.
        sidecars: Of the low-dose and the standard image.
        notes: What was done or looks odd.
    """

    frame: int | None
    low: Array
    standard: Array
    affine: Affine
    masks: Mapping[str, Array]
    sidecars: tuple[dict[str, Any], dict[str, Any]]
    notes: list[str] = field(default_factory=list)


def load_scan(row: PetRow, settings: PetPreparation, number: int) -> Iterator[LoadedScan]:
    """Read a scan, frame by frame where it is dynamic; its number is for the noise's seed.

    Raises:
        UserError: If an image cannot be read, is on another grid, holds NaN, or lacks what SUV needs.
    """
    frames, affine, notes = _read(row.standard, settings)
    lows: list[Array] | None = None
    if row.low is not None:
        lows, low_affine, more = _read(row.low, settings)
        notes += more
        if len(lows) != len(frames):
            raise UserError(f"{row.low} has {len(lows)} frames, {row.standard} {len(frames)}: expected as many")
        lows = [_on_grid(low, low_affine, frames[0], affine, row.low, settings) for low in lows]
    masks = {}
    for column, path in row.masks.items():
        values, own, _ = _read(path, settings)
        masks[column] = _on_grid(values[0], own, frames[0], affine, path, settings, nearest=True)
    standard_side, low_side = ({k: m[k] for k in _KEPT if k in m} for m in row.metadata)
    factors = [1.0, 1.0]
    if settings.suv:
        factors = [suv_factor(m or row.metadata[0], row.columns, row.name) for m in row.metadata]
        standard_side["Units"] = low_side["Units"] = "SUV"
    for k, standard in enumerate(frames):
        if lows is not None:
            low = lows[k]
        else:
            rng = np.random.default_rng([settings.seed, number, k])
            low = lower_dose(standard, settings.simulate_dose, rng, str(row.standard))
            low_side = standard_side | {"DosePercent": settings.simulate_dose, "DoseReduction": _SIMULATED}
        yield LoadedScan(
            k if len(frames) > 1 else None,
            low * np.float32(factors[1] if lows is not None else factors[0]),
            standard * np.float32(factors[0]),
            affine,
            masks,
            (dict(low_side), dict(standard_side)),
            notes,
        )


_SIMULATED = "Poisson noise added to the reconstructed image: an approximation (taskgan prepare pet)"


def _read(path: Path, settings: PetPreparation) -> tuple[list[Array], Affine, list[str]]:
    """Frames (X, Y, Z) of an image, its affine and what was done to its values."""
    if not path.exists():
        raise UserError(f"{path} does not exist")
    if is_nifti_name(path):
        try:
            image = load_nifti(path)
            data, affine = np.asarray(image.dataobj, dtype=np.float32), np.asarray(image.affine, dtype=np.float64)
        except UserError:
            raise
        except Exception as error:  # a damaged header makes nibabel, numpy and zlib fail in many ways
            raise UserError(f"{path} cannot be read as NIfTI: {error}") from None
    else:
        read = read_image(path)
        data, affine = np.asarray(read.data, dtype=np.float32), read.affine
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    if data.ndim not in (3, 4):
        raise UserError(f"{path} has dimensions {'×'.join(map(str, data.shape))}, expected a volume or frames of one")
    frames = [data] if data.ndim == 3 else [data[..., k] for k in range(data.shape[3])]
    if settings.mean:
        frames = [np.asarray(np.mean(frames, axis=0, dtype=np.float64), dtype=np.float32)]
    elif settings.frame is not None and len(frames) > 1:
        if settings.frame >= len(frames):
            raise UserError(f"{path} has {len(frames)} frames, there is no frame {settings.frame} (from 0)")
        frames = [frames[settings.frame]]
    bad = sum(int((~np.isfinite(frame)).sum()) for frame in frames)
    if bad and not settings.zero_nan:
        raise UserError(f"{path} holds {bad} NaN or infinite voxels; --zero-nan makes them 0")
    if bad:
        frames = [np.nan_to_num(frame, nan=0.0, posinf=0.0, neginf=0.0) for frame in frames]
    return frames, affine, [f"{path}: {bad} NaN or infinite voxels became 0"] * bool(bad)


def _on_grid(
    image: Array,
    affine: Affine,
    like: Array,
    onto: Affine,
    path: Path,
    settings: PetPreparation,
    *,
    nearest: bool = False,
) -> Array:
    """An image on the grid of the standard one: turned where only axes differ, resampled where that is wanted."""
    import nibabel as nib

    codes = nib.aff2axcodes(onto)
    turn = turn_towards(affine, "".join(codes)) if None not in codes else None
    if turn is not None:
        image, affine = turned(image, turn), turned_affine(affine, image.shape, turn)
    apart = float(np.abs(affine - onto).max())
    if image.shape == like.shape and apart <= settings.tolerance:
        return image
    if settings.resample:
        return resample(image, affine, like.shape, onto, nearest=nearest)[0]
    grids = f"{describe_grid(image.shape, affine)}, the standard image {describe_grid(like.shape, onto)}"
    raise UserError(
        f"{path} is on another grid: {grids}, affines {apart:.3g} mm apart; expected the same (--tolerance "
        f"{settings.tolerance:g} mm), or --resample"
    )


def suv_factor(metadata: Mapping[str, Any], columns: Mapping[str, str], name: str) -> float:
    """What Bq/mL is multiplied with to be SUV by body weight: grams, by the Bq that were left at that time.

    Args:
        metadata: BIDS fields: ``Units``, ``InjectedRadioactivity``, ``InjectedRadioactivityUnits``,
            ``TracerRadionuclide``, ``InjectionStart``, ``ImageDecayCorrected``, ``ImageDecayCorrectionTime``.
        columns: Of the table; ``weight`` in kg, which ``BodyWeight`` of the sidecar may be too.
        name: What messages call the scan.

    Raises:
        UserError: If one is missing or has another unit.
    """
    if str(metadata.get("Units")) != "Bq/mL":
        raise UserError(f"{name} has Units {metadata.get('Units', 'unknown')}, expected Bq/mL to make SUV of")
    weight = _number(columns.get("weight") or metadata.get("BodyWeight"))
    dose = _number(metadata.get("InjectedRadioactivity"))
    unit = {"Bq": 1.0, "kBq": 1e3, "MBq": 1e6, "GBq": 1e9}.get(str(metadata.get("InjectedRadioactivityUnits")), 0)
    half_life = HALF_LIVES_S.get(str(metadata.get("TracerRadionuclide")).replace("-", ""), 0)
    needed = {"a weight in kg (column weight)": weight, "InjectedRadioactivity": dose}
    needed |= {"InjectedRadioactivityUnits": unit, "a known TracerRadionuclide": half_life}
    if missing := [text for text, value in needed.items() if not value]:
        raise UserError(f"{name} lacks {' and '.join(missing)} for SUV")
    if metadata.get("ImageDecayCorrected") is not True:
        raise UserError(f"{name} is not said to be decay corrected (ImageDecayCorrected), which SUV needs")
    elapsed = _number(metadata.get("ImageDecayCorrectionTime")) - _number(metadata.get("InjectionStart"))
    return 1000 * weight / (dose * unit * math.exp(-math.log(2) * elapsed / half_life))


def _number(value: object) -> float:
    """A number of a header; 0 where it is none."""
    try:
        number = float(str(value))
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


_GAUSS = 0.6745  # median absolute deviation of a normal variable
_REACHES = np.linspace(0.05, 3.0, 60)  # standard deviations in voxels
_FEWEST = 1000


def measured_noise(image: Array) -> tuple[float, float]:
    """Size and reach of the noise of (X, Y, Z), along X.

    Of noise with the autocorrelation exp(−h²/4s²), the ratio of second to first differences says s. The finest
    structure counts only: anatomy is in the first differences too, so that s is rather too large.

    Returns:
        Standard deviation by the mean of the foreground, and s in voxels.
    """
    inside = image > 0.1 * np.percentile(image, 99)
    if inside.sum() < _FEWEST:
        return 0.0, 0.0
    mean = float(image[inside].mean(dtype=np.float64))
    first = np.diff(image, axis=0)[inside[1:] & inside[:-1]]
    second = np.diff(image, 2, axis=0)[inside[2:] & inside[1:-1] & inside[:-2]]
    if not first.size or not second.size:
        return 0.0, 0.0
    one, two = (float(np.median(np.abs(part - np.median(part)))) / _GAUSS for part in (first, second))
    near, far = np.exp(-1 / (4 * _REACHES**2)), np.exp(-4 / (4 * _REACHES**2))
    expected = (6 - 8 * near + 2 * far) / (2 - 2 * near)
    best = int(np.argmin(np.abs(expected - (two / max(one, 1e-30)) ** 2)))
    size = two / np.sqrt(6 - 8 * near[best] + 2 * far[best])
    return float(size / mean), float(_REACHES[best])


def lower_dose(image: Array, dose: float, rng: np.random.Generator, name: str = "the image") -> Array:
    """The image (X, Y, Z) with the noise of a lower dose: an approximation; zero stays zero, nothing is negative.

    The noise of an iterative reconstruction is neither white nor of constant size. What is measured of the image
    itself is how large its noise is and how far it reaches; what is added is Poisson noise of the image's values,
    smoothed to that reach, of the variance that the counts that are missing would have added. Bias at low counts,
    streaks and the reconstruction's own regularisation are not in it: a cohort that was made so says so.

    Args:
        image: Standard dose, any units, at least 0.
        dose: Per cent of it.
        rng: Where the noise comes from.
        name: What messages call the image.

    Raises:
        UserError: If the image has no noise by which to know its counts.
    """
    size, reach = measured_noise(image)
    if size <= 1e-6:
        raise UserError(f"{name} has no noise that can be measured, so that nothing says what a lower dose would add")
    inside = image > 0
    mean = float(image[image > 0.1 * np.percentile(image, 99)].mean(dtype=np.float64))
    quantum = size**2 * mean * (100 / dose - 1)  # variance that is added, by value
    expected = np.where(inside, np.clip(image, 0, None), 0).astype(np.float64) / quantum
    white = (rng.poisson(expected) - expected) * quantum
    probe = np.zeros([2 * int(4 * reach + 1) + 1] * 3)
    probe[tuple(n // 2 for n in probe.shape)] = 1
    gain = np.sqrt(np.square(ndimage.gaussian_filter(probe, reach, mode="constant")).sum())
    noise = ndimage.gaussian_filter(white, reach, mode="constant") / gain
    return np.where(inside, np.clip(image + noise, 0, None), 0).astype(np.float32)
