"""How an image is shown to a network that others trained."""

from pydantic import Field, model_validator

from taskgan.core.settings import Settings


class Preparation(Settings):
    """From network units to what the network expects: (scale · x − mean) / sd.

    Attributes:
        crop: Square that is shown: its middle from the left and from the top, and its edge, as shares of the image's
            shorter side; what reaches beyond the frame repeats its edge. None is the middle square where ``pixels``
            are given, else the whole image.
        pixels: Edge of what the network sees; None leaves images (and then ``crop``) as they are.
        channels: 3 repeats grey to red, green and blue.
        upright: Rows first, as photos are stored elsewhere; here columns are the first axis.
        scale: Multiplies values, 255 for networks that read bytes.
        mean: Of every channel, or of all.
        sd: Of every channel, or of all.
    """

    crop: tuple[float, float, float] | None = None
    pixels: int | None = Field(default=None, ge=1, le=4096)
    channels: int = Field(default=1, ge=1, le=3)
    upright: bool = False
    scale: float = Field(default=1.0, gt=0)
    mean: tuple[float, ...] = (0.0,)
    sd: tuple[float, ...] = (1.0,)

    @model_validator(mode="after")
    def _consistent(self) -> "Preparation":
        if self.crop is not None and not 0 < self.crop[2] <= 8:
            raise ValueError(f"crop has the edge {self.crop[2]:g}, expected a share of the shorter side, above 0")
        if self.channels == 2 or {len(self.mean), len(self.sd)} - {1, self.channels}:
            raise ValueError(
                f"channels is {self.channels} with {len(self.mean)} mean and {len(self.sd)} sd; expected 1 or 3 "
                "channels, and one mean and sd or one of each channel"
            )
        if min(self.sd) <= 0:
            raise ValueError("sd are above 0")
        return self
