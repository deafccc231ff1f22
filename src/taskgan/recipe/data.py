"""The data section of a recipe: which images become samples, and what a network sees of them."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from taskgan.core.settings import Settings
from taskgan.recipe.generator import Generator
from taskgan.recipe.task import Augment, as_names, as_text


class IntensityTransform(Settings):
    """What a network sees of an image: how the scale is found that its values are divided by.

    See :mod:`taskgan.images.intensity`.

    Attributes:
        kind: ``mean_nonzero``: mean of the voxels above zero (the paper's sister work). ``mean_foreground``:
            mean of the voxels above a tenth of the 99th percentile, for images whose background is noise
            rather than zero. ``percentile``: the given percentile. ``none``: 1.
        percentile: For ``percentile``.
        shared: Further inputs of a case are divided by the scale of its degraded image too. Real and imaginary
            parts of one acquisition, or its echoes, mean something only beside each other; without it each
            further input has a scale of its own, which is right for another modality.
        output: What values an image can have, which decides the generator's last activation:
            ``nonnegative`` (PET), ``real`` (complex MR parts), ``unit`` (0 to 1).
    """

    kind: Literal["mean_nonzero", "mean_foreground", "percentile", "none"] = "mean_nonzero"
    percentile: float = Field(default=99.5, gt=0, le=100)
    shared: bool = False
    output: Literal["nonnegative", "real", "unit"] = "nonnegative"


class NumericScale(Settings):
    """How a number is told to a generator: 0 in the middle of the training rows' range, −1 and 1 at its ends.

    Attributes:
        log: By its logarithm, as doses are that differ by factors.
        low: Smallest value of the training rows.
        high: Largest.
    """

    log: bool = False
    low: float
    high: float

    @model_validator(mode="after")
    def _is_a_range(self) -> "NumericScale":
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"low is {self.low:g} and high {self.high:g}, expected a range (above 0 with log)")
        return self


class Data(Settings):
    """Which columns and rows of ``pairs.csv`` become samples.

    Attributes:
        inputs: Image columns stacked as input channels; the first is the degraded image.
        colour: What networks see of photos: ``luminance``, or ``rgb``, red, green and blue in and out. T and judges
            read luminance of either.
        select: Only rows whose columns hold these values, e.g. ``{dose: 1}``.
        neighbours: Slices on either side that join as channels (2.5D); 0 is 2D.
        context: Standard deviations (mm) of 3D Gaussians: a copy of the degraded volume behind each of them is a
            further channel, made when an image is read and held in memory, never written.
        patch: Edges (x, y, z) in voxels of the blocks that a generator of 3 dimensions learns from, at most the
            volume's; None for one of 2, which learns from slices.
        min_signal: Training leaves out slices whose clean mean is under this share of the volume's mean.
        balanced: Draw the classes of the property equally often, whatever their numbers in the cohort (``binary``
            and ``multi_class``; the other kinds have no classes to balance). The name of a column draws its values
            equally often, for any kind.
        workers: Loader processes; 0 loads in the main one.
        augment: See :class:`Augment`.
        intensity: See :class:`IntensityTransform`.
        condition: Column of ``pairs.csv`` that says which of several clean images (contrasts) a row is about; the
            generator is told by one-hot planes after all its other input channels. Empty: there is one.
        axes: Axes in which volumes are cut into slices along the third, e.g. ``LAS``; files in others are turned and
            what is made of them is turned back. Empty takes those of the first training image: axial slices, or the
            acquired ones where slices are thick.
        conditions: The column's values, in the order of the planes. Empty takes those of the training rows, in the
            order of their labels where every value has one of its own, else in alphabetical order.
        numeric: Columns of ``pairs.csv`` with a number that the generator is told as a constant plane each, after
            those of the condition (or as ``film`` does), e.g. ``[dose]``.
        numeric_scales: Of each such column. Empty takes the range of the training rows, by the logarithm where all
            are above zero and the largest is at least four times the smallest.
    """

    inputs: tuple[str, ...] = ("degraded",)
    colour: Literal["luminance", "rgb"] = "luminance"
    select: dict[str, str | int | float] = Field(default_factory=dict)
    neighbours: int = Field(default=0, ge=0, le=16)
    context: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field(default=(), max_length=8)
    patch: tuple[Annotated[int, Field(ge=4)], Annotated[int, Field(ge=4)], Annotated[int, Field(ge=1)]] | None = None
    min_signal: float = Field(default=0.05, ge=0, lt=1)
    balanced: bool | str = True
    workers: int = Field(default=0, ge=0)
    augment: Augment = Augment()
    intensity: IntensityTransform = IntensityTransform()
    condition: str = ""
    axes: str = Field(
        default="", pattern="^([RL][AP][SI]|[RL][SI][AP]|[AP][RL][SI]|[AP][SI][RL]|[SI][RL][AP]|[SI][AP][RL])?$"
    )
    conditions: tuple[Annotated[str, BeforeValidator(as_text)], ...] = ()
    numeric: Annotated[tuple[str, ...], BeforeValidator(as_names)] = ()
    numeric_scales: dict[str, NumericScale] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _makes_samples(self) -> "Data":
        if not self.inputs or self.inputs[0] != "degraded":
            raise ValueError("the first input must be 'degraded'")
        if "clean" in self.inputs or len(set(self.inputs)) < len(self.inputs):
            raise ValueError(f"inputs are {', '.join(self.inputs)}: expected each once, and not the clean image")
        return self

    @model_validator(mode="after")
    def _colours_stand_alone(self) -> "Data":
        if self.colour == "rgb" and (len(self.inputs) > 1 or self.neighbours or self.context or self.patch):
            raise ValueError(
                "colour is rgb, which is of photos: expected inputs [degraded], neighbours 0, no context and no patch"
            )
        if self.augment.blur or self.augment.erase:
            raise ValueError(
                f"augment.blur is {self.augment.blur:g} and augment.erase {self.augment.erase:g}, which would teach "
                "a restorer to blur and to leave out; expected 0 (they are for task.pretrain and judge)"
            )
        if self.conditions and not self.condition:
            raise ValueError("conditions are named but not their column, expected data.condition, e.g. contrast")
        if len(set(self.conditions)) < len(self.conditions) or "" in self.conditions:
            raise ValueError(f"conditions are {', '.join(self.conditions)}: expected names, each once")
        names = [*self.numeric, *[self.condition] * bool(self.condition)]
        if len(set(names)) < len(names) or "" in names:
            raise ValueError(f"numeric is {', '.join(self.numeric)}: expected columns, each once, not the condition's")
        if self.numeric_scales and set(self.numeric_scales) != set(self.numeric):
            raise ValueError("numeric_scales are not of the columns of numeric, expected one of each, or none")
        return self

    @property
    def untold(self) -> "Data":
        """The same for what is told no numbers: a filter, a fit, a choice among models."""
        return self.model_copy(update={"numeric": (), "numeric_scales": {}})

    @property
    def colours(self) -> int:
        """Channels of a slice, and of what a generator makes of it."""
        return 3 if self.colour == "rgb" else 1

    @property
    def channels(self) -> int:
        """Input channels of the generator: images, then smoothed copies, then constant planes.

        Raises:
            ValueError: If there is a condition whose values nobody has looked up yet.
        """
        if self.condition and not self.conditions:
            raise ValueError(f"the values of {self.condition} are not known before the training rows are read")
        images = len(self.inputs) * (2 * self.neighbours + 1) * self.colours
        return images + len(self.context) + self.planes

    @property
    def planes(self) -> int:
        """Constant channels, which come last: of the condition and of numbers."""
        return len(self.conditions) + len(self.numeric)

    def start(self, residual: bool | float) -> int:
        """The channel that ``generator.residual`` adds.

        Raises:
            ValueError: If it is no smoothed copy that there is.
        """
        if isinstance(residual, bool):
            return 0
        if residual not in self.context:
            known = ", ".join(f"{sd:g}" for sd in self.context) or "empty"
            raise ValueError(f"generator.residual is {residual:g} mm, expected one of data.context ({known})")
        return len(self.inputs) * (2 * self.neighbours + 1) + self.context.index(residual)


def check_dimensions(generator: Generator, data: Data) -> None:
    """See that the samples are what the generator restores.

    Raises:
        ValueError: If they are not.
    """
    if generator.dimensions == 3 and data.patch is None:
        raise ValueError("generator.dimensions is 3 without data.patch, expected edges, e.g. [80, 80, 20]")
    if generator.dimensions == 2 and data.patch is not None:
        raise ValueError("data.patch is for generator.dimensions 3, found 2")
    if data.patch is not None and data.neighbours:
        raise ValueError(f"data.neighbours is {data.neighbours}, expected 0 with data.patch: a block has all of them")
