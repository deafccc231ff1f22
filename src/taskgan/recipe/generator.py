"""The generator's section of a recipe, and the steps of a degradation."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from taskgan.core.settings import Settings
from taskgan.recipe.task import Norm

Upsample = Literal["transposed", "nearest", "bilinear"]


class Blur(Settings):
    """Gaussian blur. ``sigma``: standard deviation in pixels of the image as it is at this step."""

    kind: Literal["blur"] = "blur"
    sigma: float = Field(gt=0, le=100)


class Down(Settings):
    """Fewer pixels.

    Attributes:
        factor: Along each axis; L pixels become L/factor, rounded, at least one.
        by: ``area`` takes the mean over each new pixel, ``decimate`` the value at its middle.
    """

    kind: Literal["down"] = "down"
    factor: float = Field(ge=1, le=64)
    by: Literal["area", "decimate"] = "area"


class Noise(Settings):
    """Gaussian noise, of every pixel and channel its own. ``sd``: standard deviation; white is 1."""

    kind: Literal["noise"] = "noise"
    sd: float = Field(gt=0, le=1)


class Poisson(Settings):
    """Counting noise. ``peak``: events in a pixel that is white (1); fewer are noisier."""

    kind: Literal["poisson"] = "poisson"
    peak: float = Field(gt=0, le=1e6)


class Jpeg(Settings):
    """JPEG compression and back; values are clipped to 0 to 1 and rounded to eight bits. ``quality``: 1 to 95, as
    libjpeg counts it.
    """

    kind: Literal["jpeg"] = "jpeg"
    quality: int = Field(ge=1, le=95)


NOT_LINEAR = (Noise, Poisson, Jpeg)
"""Steps after which the low-resolution image is no longer a linear operator of the clean one."""
Step = Annotated[Blur | Down | Noise | Poisson | Jpeg, Field(discriminator="kind")]


VOLUME_DEFAULTS = {"width": 12, "max_width": 48, "depth": 2, "norm": "none", "dropout": 0.0, "dropout_layers": 0}
"""What a generator of 3 dimensions has where a recipe does not say otherwise."""


class Generator(Settings):
    """U-Net (appendix): encoder C64-C128-C256-C512x5, decoder CD512x3-C512x2-C256-C128-C64.

    Attributes:
        dimensions: 2 restores slices. 3 restores volumes by :class:`~taskgan.networks.volume_unet.VolumeUNet`, which
            is trained on blocks (``data.patch``), draws no z and has defaults of its own (:data:`VOLUME_DEFAULTS`).
        width: Channels of the first layer; doubled per layer up to ``max_width``.
        max_width: See ``width``.
        depth: Number of down-samplings.
        norm: Normalisation of all layers but the first and the innermost. ``none`` keeps an image's level, and so
            does ``batch`` once it is trained; ``group`` and ``instance`` take it away from every image, so that only
            ``residual`` brings it back (``tests/networks/test_generator_level.py``).
        upsample: How the decoder of slices doubles the resolution: ``transposed`` convolution (the paper's), which
            can leave a grid of pixels (10.23915/distill.00003), or ``nearest`` or ``bilinear`` interpolation followed
            by a 3×3 convolution, all of whose outputs see as many taps.
        dropout: Rate of the dropout layers; this is z.
        dropout_layers: How many decoder layers, from the innermost, have it.
        residual: Add the degraded channel to the output before the last activation; a number adds the smoothed copy
            of that many mm instead, one of ``data.context``.
        conditioning: How a generator of several conditions is told which one (``data.condition``): ``planes`` are
            convolved like images; ``film`` modulates every normalised layer instead (10.1609/aaai.v32i1.11671).
        projection: Share of what a restored image, degraded again, contradicts of its input that a last layer takes
            away, in training too; 0 has no such layer (:mod:`taskgan.networks.projection`).
        degradation: The steps (blur, down-sampling) of the projection; empty takes those of the cohort.
    """

    dimensions: Literal[2, 3] = 2
    width: int = Field(default=64, ge=1)
    max_width: int = Field(default=512, ge=1)
    depth: int = Field(default=8, ge=1, le=10)
    norm: Norm = "batch"
    upsample: Upsample = "transposed"
    dropout: float = Field(default=0.5, ge=0, lt=1)
    dropout_layers: int = Field(default=3, ge=0)
    residual: bool | Annotated[float, Field(gt=0)] = False
    conditioning: Literal["planes", "film"] = "planes"
    projection: float = Field(default=0.0, ge=0, le=1)
    degradation: tuple[Step, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_volumes(cls, values: Any) -> Any:
        volume = isinstance(values, dict) and values.get("dimensions") == 3
        return VOLUME_DEFAULTS | {"residual": True} | values if volume else values

    @model_validator(mode="after")
    def _volumes_have_no_more(self) -> "Generator":
        if self.dimensions == 2:
            return self
        allowed: dict[str, tuple[tuple[Any, ...], str]] = {
            "norm": (("none", "batch"), "none or batch: the statistics of a block are not those of a volume"),
            "upsample": (("transposed",), "transposed, which it does not use: it interpolates trilinearly"),
            "dropout": ((0,), "0: it draws no z"),
            "conditioning": (("planes",), "planes"),
            "projection": ((0,), "0"),
        }
        for name, (values, expected) in allowed.items():
            if (value := getattr(self, name)) not in values:
                raise ValueError(f"{name} is {value} of a generator of 3 dimensions, expected {expected}")
        return self

    @model_validator(mode="after")
    def _projects_onto_what_is_linear(self) -> "Generator":
        others = [step.kind for step in self.degradation if isinstance(step, NOT_LINEAR)]
        if self.projection and others:
            raise ValueError(
                f"projection is {self.projection:g}, but the degradation has {', '.join(others)}: the layer would "
                "print what that added to the input into the image; expected blur and down alone, or projection 0"
            )
        return self


class Discriminator(Settings):
    """Image classifier C64-C128-C256-C512-C512-C512 with a linear head to one logit (appendix).

    Attributes:
        dimensions: 2 judges slices; 3 the blocks of a generator of 3 dimensions, each patch of them with a logit.
        widths: Channels of each stride-2 layer.
        norm: Normalisation of all layers but the first.
        conditional: See the degraded image too (pix2pix); the paper's does not.
    """

    dimensions: Literal[2, 3] = 2
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(64, 128, 256, 512, 512, 512), min_length=1)
    norm: Norm = "batch"
    conditional: bool = False
