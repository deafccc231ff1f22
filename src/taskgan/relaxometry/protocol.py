"""The times and angles of the input and of the contrasts: from a file, the images' sidecars, or the defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import model_validator

from taskgan.core.errors import Problems, UserError
from taskgan.core.files import read_yaml
from taskgan.core.parse import quoted
from taskgan.core.settings import Settings, validated
from taskgan.images.volumes import read_sidecar, sidecar
from taskgan.physics.sequences import TARGETS, Mdme, SpinEcho
from taskgan.relaxometry.acquisition import Relaxometry

_LONGEST_S = 60.0  # no sequence has such a time: it is one in milliseconds
_GRADIENT = ("GR", "GRE")

Images = Mapping[tuple[int, int], Path]
"""An image of the input, its real part, by delay and echo from 1."""


class ProtocolFile(Settings):
    """What ``--protocol FILE`` may hold; it goes before the sidecars. Times in ms, angles in degrees.

    Attributes:
        mdme: Of the input; None leaves it to the sidecars.
        targets: Contrasts, by name; the others are left to the clean images' sidecars.
    """

    mdme: Mdme | None = None
    targets: tuple[SpinEcho, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> "ProtocolFile":
        names = [target.name for target in self.targets]
        if len(set(names)) < len(names):
            raise ValueError(f"targets are {', '.join(names)}: expected each once")
        return self


@dataclass(frozen=True)
class SynthesisSettings:
    """What decides a number: the fit, the protocol where a file gives it, and what contrasts are multiplied with."""

    fit: Relaxometry
    protocol_file: ProtocolFile
    factors: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0

    def as_values(self) -> dict[str, Any]:
        """Plain values."""
        own = {"fit": self.fit.model_dump(mode="json"), "protocol": self.protocol_file.model_dump(mode="json")}
        return own | ({"factors": dict(self.factors)} if self.factors else {})


def read_protocol(path: Path) -> ProtocolFile:
    """Read a protocol file; UserError and Problems say what is wrong with it."""
    return validated(ProtocolFile, read_yaml(path), f"{path} is not a valid protocol")


def input_protocol(images: Images, protocol_file: ProtocolFile) -> tuple[Mdme, str]:
    """The input's protocol, and in words where it is from.

    Args:
        images: One image of every delay and echo; its sidecar has ``InversionTime`` (the delay after saturation),
            ``EchoTime``, ``RepetitionTime``, ``SaturationFlipAngle`` and ``FlipAngle``. TR and angles that no
            sidecar has are the defaults.
        protocol_file: Of ``--protocol``.

    Raises:
        UserError: If sidecars lack times, contradict each other, or there are other numbers of delays and echoes.
    """
    delays, echoes = max(d for d, _ in images), max(e for _, e in images)
    first = images[1, 1]
    if protocol_file.mdme is not None:
        protocol, source = protocol_file.mdme, "file"
    else:
        sides = {key: read_sidecar(path) for key, path in images.items()}
        if not any("InversionTime" in side for side in sides.values()):
            protocol, source = Mdme(), "default"
        else:
            protocol, source = _from_sidecars(images, sides, delays, echoes)
    if (len(protocol.delays), len(protocol.echoes)) != (delays, echoes):
        where = "the protocol file" if source == "file" else f"{sidecar(first)}, without times, so that the default"
        raise UserError(
            f"{first.parent} has {delays} delays and {echoes} echoes, {where} has {len(protocol.delays)} and "
            f"{len(protocol.echoes)}; expected InversionTime and EchoTime in the sidecars, or --protocol FILE"
        )
    return protocol, source


def _from_sidecars(
    images: Images, sides: Mapping[tuple[int, int], dict[str, Any]], delays: int, echoes: int
) -> tuple[Mdme, str]:
    def times(field: str, keys: list[tuple[int, int]]) -> float:
        """A time in ms that all of these images have in common."""
        common = {_ms(sides[key], field, images[key]) for key in keys}
        if len(common) > 1:
            raise UserError(
                f"{sidecar(images[keys[-1]])} has another {field} than {images[keys[0]].name}: "
                f"{', '.join(f'{time:g}' for time in sorted(common))} ms, expected one"
            )
        return common.pop()

    every = list(images)
    values: dict[str, Any] = {
        "delays": tuple(times("InversionTime", [(d, e) for e in range(1, echoes + 1)]) for d in range(1, delays + 1)),
        "echoes": tuple(times("EchoTime", [(d, e) for d in range(1, delays + 1)]) for e in range(1, echoes + 1)),
    }
    missing = []
    if all("RepetitionTime" in side for side in sides.values()):
        values["tr"] = times("RepetitionTime", every)
    else:
        missing.append("RepetitionTime")
    for angle, name in (("SaturationFlipAngle", "saturation_deg"), ("FlipAngle", "excitation_deg")):
        angles = {side.get(angle) for side in sides.values()}
        if angles == {None}:
            missing.append(angle)
        elif len(angles) > 1:
            raise UserError(f"{sidecar(images[1, 1])} and those beside it differ in {angle}, expected one")
        else:
            values[name] = angles.pop()
    where = sidecar(images[1, 1])
    protocol = validated(Mdme, values, f"{where} and those beside it are no valid protocol")
    return protocol, "sidecars" + (f", default {' and '.join(missing)}" if missing else "")


def _ms(side: Mapping[str, Any], field: str, image: Path) -> float:
    value = side.get(field)
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        text = "no" if value is None else f"the value {quoted(value)} as"
        raise UserError(f"{sidecar(image)} has {text} {field}, expected seconds")
    if value > _LONGEST_S:
        raise UserError(f"{sidecar(image)} has the {field} {value:g}, expected seconds, not milliseconds")
    return round(float(value) * 1000, 4)


def contrast_sequence(
    contrast: str, clean: Path | None, protocol_file: ProtocolFile
) -> tuple[SpinEcho, str, list[str]]:
    """The sequence of a contrast, in a word where it is from, and what to warn of.

    The sidecar of the clean image may say how it was acquired; its voxels are not looked at.

    Raises:
        UserError: If nothing says what the contrast is.
    """
    for target in protocol_file.targets:
        if target.name == contrast:
            return target, "file", []
    shipped = {target.name: target for target in TARGETS}.get(contrast)
    side = read_sidecar(clean) if clean is not None else {}
    if clean is not None and {"RepetitionTime", "EchoTime"} <= set(side):
        inverted = "InversionTime" in side
        if inverted or shipped is None or shipped.ti is None:  # else the sidecar does not tell the whole of it
            values = {"name": contrast, "tr": _ms(side, "RepetitionTime", clean), "te": _ms(side, "EchoTime", clean)}
            if inverted:
                values["ti"] = _ms(side, "InversionTime", clean)
            try:
                return (validated(SpinEcho, values, "the sequence is not valid"), "sidecar", _notes(side, contrast))
            except Problems as error:
                raise UserError(f"{sidecar(clean)}: {error.problems[0]}") from None
    if shipped is not None:
        return shipped, "default", []
    known = ", ".join(target.name for target in (*protocol_file.targets, *TARGETS))
    raise UserError(
        f"the contrast {quoted(contrast)} has no protocol; expected one of {known}, a clean image whose sidecar has "
        "RepetitionTime and EchoTime, or --protocol FILE"
    )


def _notes(side: Mapping[str, Any], contrast: str) -> list[str]:
    kind = side.get("ScanningSequence")
    kinds = kind if isinstance(kind, list) else [kind]
    if any(one in _GRADIENT for one in kinds):
        return [f"a gradient echo as {contrast}, which is synthesised by the equation of a spin echo"]
    return []
