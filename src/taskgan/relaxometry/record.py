"""What relaxometry leaves beside its images: who did it with which settings, sidecars, maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from taskgan.cohort.pairs import Pair
from taskgan.core.files import value_digest
from taskgan.core.version import __version__
from taskgan.images.volumes import Volume, write_volume
from taskgan.physics.sequences import Mdme, SpinEcho
from taskgan.recipe import Data, Recipe
from taskgan.relaxometry.acquisition import Relaxometry
from taskgan.relaxometry.fit import RelaxometryMaps
from taskgan.relaxometry.protocol import ProtocolFile
from taskgan.restore.inputs import Job
from taskgan.restore.origin import Origin
from taskgan.restore.record import (
    INTENSITY_FACTOR,
    SEQUENCE_FIELDS,
    is_image_written,
    method_sidecar,
    write_image_sidecar,
)

METHOD = "relaxometry"
MAPS = "maps"
"""Folder of the maps, below the output."""
_UNITS = {"T1map": ("s", 1e-3), "T2map": ("s", 1e-3), "PDmap": ("arbitrary", 1.0), "TB1map": ("percent", 100.0)}


@dataclass(frozen=True)
class SynthesisSettings:
    """What decides a number.

    Attributes:
        fit: Settings of the fit.
        protocol_file: The protocol, where a file gives it.
        factors: What contrasts are multiplied with, where they were calibrated.
        samples: None are drawn.
    """

    fit: Relaxometry
    protocol_file: ProtocolFile
    factors: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0

    def as_values(self) -> dict[str, Any]:
        """Plain values."""
        own = {"fit": self.fit.model_dump(mode="json"), "protocol": self.protocol_file.model_dump(mode="json")}
        return own | ({"factors": dict(self.factors)} if self.factors else {})


def relaxometry_origin(setup: SynthesisSettings, recipe: Recipe, data: Data, training: Mapping[str, Any]) -> Origin:
    """Who restored, for ``restored.yaml``.

    Args:
        setup: Settings.
        recipe: Says how an evaluation reads the images.
        data: The recipe's, with the columns of the table.
        training: Whom the factors are from.
    """
    return Origin(
        method=METHOD,
        name=METHOD,
        checksum=value_digest({"method": METHOD, "version": __version__, **setup.as_values()}, 64),
        data=data,
        task=recipe.task,
        judge=recipe.judge,
        seen=training,
    )


def synthetic_sidecar(
    job: Job,
    target: SpinEcho,
    maps: RelaxometryMaps,
    protocol: Mdme,
    setup: SynthesisSettings,
    origin: Origin,
    notes: Sequence[str],
) -> dict[str, Any]:
    """The sidecar of a synthesised image: the scanner's fields, the sequence that it stands for, how it was made."""
    inversion = {} if target.ti is None else {"InversionTime": target.ti / 1000}
    settings = setup.as_values() | ({"condition": job.condition} if job.condition else {})
    what = f"{target.name} synthesised from fitted T1, T2 and density"
    fields = _base_sidecar(job.pair, origin, settings, what, notes)
    if job.condition in setup.factors:
        fields.pop(INTENSITY_FACTOR, None)  # it leads to the input's units, which the image has left
    return fields | {
        "SequenceName": f"synthetic {target.name}",
        "RepetitionTime": target.tr / 1000,
        "EchoTime": target.te / 1000,
        **inversion,
        "InputProtocol": protocol.model_dump(mode="json"),
        "InputNoise": maps.noise,
    }


def map_paths(out: Path, name: str) -> dict[str, Path]:
    """Where the maps of an acquisition go, by BIDS suffix."""
    return {suffix: out / MAPS / f"{name}_{suffix}.nii.gz" for suffix in _UNITS}


def has_maps(out: Path, name: str, job: Job, setup: SynthesisSettings, origin: Origin) -> bool:
    """Whether an interrupted call left the very maps of an acquisition, of which ``job`` is one of the images."""
    acquisition = replace(job, condition="")
    return all(is_image_written(path, acquisition, origin, setup) for path in map_paths(out, name).values())


def write_maps(
    out: Path, name: str, pair: Pair, maps: RelaxometryMaps, source: Volume, setup: SynthesisSettings, origin: Origin
) -> None:
    """Write T1 and T2 in seconds, density in the input's units and B1 in per cent of nominal, as BIDS has them."""
    for suffix, values in maps.by_suffix().items():
        unit, factor = _UNITS[suffix]
        side = _base_sidecar(pair, origin, setup.as_values(), f"{suffix} fitted to all delays and echoes", ())
        if suffix != "PDmap":
            side.pop(INTENSITY_FACTOR, None)  # the others have units of their own
        path, image = map_paths(out, name)[suffix], (values * factor).astype(values.dtype)
        write_volume(path, image, source.affine, like=source.header)
        write_image_sidecar(path, side | {"Units": unit, "InputNoise": maps.noise})


def _base_sidecar(
    pair: Pair, origin: Origin, settings: dict[str, Any], what: str, notes: Sequence[str]
) -> dict[str, Any]:
    fields = method_sidecar(pair, origin, settings, what, notes)
    return {key: value for key, value in fields.items() if key not in SEQUENCE_FIELDS}
