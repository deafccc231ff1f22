"""When a run counts as diverged: settings of a recipe."""

from pydantic import Field

from taskgan.schema import Settings


class Limits(Settings):
    """A run is stopped where going on would be a waste. NaN and infinity always stop it.

    A discriminator has won when for ``discriminator_steps`` steps in a row it tells every pair apart (its loss
    is under ``discriminator_loss`` of what guessing costs) *and* G follows it alone without getting anywhere:
    λ·Eq. 2 is more than ``discriminator_share`` of Eq. 1 + λ·Eq. 2, and Eq. 1 does not fall. A sure D by
    itself is no failure here: feature matching goes on teaching where D's logit has long saturated. (With
    ``cycle_gan`` the weighted cycle loss stands in the place of Eq. 1, and G's adversarial loss in that of Eq. 2.)

    Attributes:
        discriminator_loss: See above.
        discriminator_steps: See above; 0 never stops.
        discriminator_share: See above.
        spread: An output whose standard deviation is under this share of the clean images' is constant.
        saturated: An output of bounded images with more than this share of its pixels at a bound is saturated
            (where the clean images have fewer).
        constant_steps: Steps in a row of constant or saturated output that stop a run; 0 never stops.
    """

    discriminator_loss: float = Field(default=0.01, gt=0, le=1)
    discriminator_steps: int = Field(default=1000, ge=0)
    discriminator_share: float = Field(default=0.9, gt=0, lt=1)
    spread: float = Field(default=0.01, ge=0, lt=1)
    saturated: float = Field(default=0.999, gt=0, le=1)
    constant_steps: int = Field(default=200, ge=0)
